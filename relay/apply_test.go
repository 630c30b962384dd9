package relay

import (
	"strings"
	"testing"

	"promrelay/config"
)

// TestApply edits the configuration under way.
func TestApply(t *testing.T) {
	w, recv := setup(t)
	other := newReceiver(t)
	named := func(url, more string) config.Destination { return dest(t, url, "name: a\n"+more) }
	plain := config.DefaultRelay
	r := start(t, w, Settings{Destinations: []config.Destination{named(recv.URL, "")}})
	wr := newWriter(t, w, 1, 10)
	wr.scrape()
	wait(t, "the first scrape", func() bool { n, _ := recv.count(); return n == 10 })

	// Another URL under the same name goes on where the old one stopped; a new destination starts now.
	moved := newReceiver(t)
	if err := r.Apply(Settings{Destinations: []config.Destination{named(moved.URL, "headers: {X-Token: new}\n"), dest(t, other.URL, "")}, Relay: plain}); err != nil {
		t.Fatal(err)
	}
	wr.scrape()
	wait(t, "the second scrape", func() bool {
		n, _ := moved.count()
		m, _ := other.count()
		return n == 10 && m == 10
	})
	if err := r.Apply(Settings{Destinations: []config.Destination{dest(t, other.URL, ""), dest(t, other.URL, "")}, Relay: plain}); err == nil || !strings.Contains(err.Error(), "give each a name") {
		t.Errorf("two destinations of one URL: %v", err)
	}
	// A removed one finds its position again when it comes back soon.
	if err := r.Apply(Settings{Destinations: []config.Destination{dest(t, other.URL, "")}, Relay: plain}); err != nil {
		t.Fatal(err)
	}
	wr.scrape()
	wait(t, "the third scrape", func() bool { n, _ := other.count(); return n == 20 })
	if err := r.Apply(Settings{Destinations: []config.Destination{dest(t, other.URL, ""), named(moved.URL, "")}, Relay: plain}); err != nil {
		t.Fatal(err)
	}
	wr.scrape()
	r.drain(t)
	if n, _ := moved.count(); n != 30 {
		t.Errorf("the destination that came again has %d samples, not those of three scrapes", n)
	}
	if n, _ := recv.count(); n != 10 {
		t.Errorf("the old URL has %d samples, not those of one scrape", n)
	}
}
