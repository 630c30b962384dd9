package pipeline

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"promrelay/test/peers"
	fake "promrelay/test/receiver"
)

// TestRollingRestart stops the relay by SIGTERM and starts it anew on the same log, as the rolling update of a StatefulSet does once the
// old pod is gone: at random moments, and once while the receiver hangs. Every page that was scraped arrives, once. It measures the gap
// that a restart leaves; docs/operations.md has the figures.
func TestRollingRestart(t *testing.T) {
	long(t)
	const targets, series, interval = 50, 400, 5 * time.Second
	r := newReceiver(t)
	var es []*exporter
	for i := range targets {
		es = append(es, newExporter(t, plain(fmt.Sprintf("restart%d", i), series)))
	}
	relay := startRelay(t, fmt.Sprintf("global: {scrape_interval: %s}\nscrape_configs:\n", interval)+staticJob("restart", es...)+
		"remote_write:\n"+destination("one", r, 2))
	for _, e := range es {
		e.awaitPages(t, 2)
	}
	var away []time.Duration
	for _, hangs := range []bool{false, false, true} {
		if hangs {
			r.does(fake.Back(fake.HangAnswer()))
			time.Sleep(interval)
		}
		away = append(away, roll(t, relay))
		r.does()
		time.Sleep(2*interval + rand.N(interval))
	}
	awaitDelivered(t, r, 30*time.Second, es...)
	end := time.Now()
	stop(t, relay)

	r.wellFormed(t)
	longest, left := time.Duration(0), 0
	for _, e := range es {
		g := e.in("restart")
		g.restarts = true
		came := g.check(t, r.of(g.labels))
		demand(t, e.address, came, e.whole(end))
		var times []int64
		for _, ms := range came {
			times = append(times, ms)
		}
		slices.Sort(times)
		for i := 1; i < len(times); i++ {
			gap := time.Duration(times[i]-times[i-1]) * time.Millisecond
			longest = max(longest, gap)
			left += int((gap+interval/2)/interval) - 1
		}
	}
	t.Logf("%d targets of %d series, each %s: three restarts, the relay away for %s; longest gap %s; %d scrapes were left out",
		targets, series, interval, away, longest, left)
	for _, a := range away[:2] {
		if a > 5*time.Second {
			t.Errorf("the relay was away for %s", a)
		}
	}
	if longest > 2*interval+time.Second {
		t.Errorf("the longest gap is %s: a restart may cost a target one scrape", longest)
	}
}

// roll stops the relay, starts it again at once, and returns for how long it was not ready.
func roll(t *testing.T, relay *peers.Relay) time.Duration {
	t.Helper()
	began := time.Now()
	stop(t, relay)
	restart(t, relay)
	await(t, 30*time.Second, "the relay to be ready", func() error {
		resp, err := http.Get(relay.URL() + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", resp.Status)
		}
		return nil
	})
	return time.Since(began).Round(time.Millisecond)
}
