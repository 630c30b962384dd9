package pipeline

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"promrelay/test/peers"

	fake "promrelay/test/receiver"
)

// TestReload changes the configuration of a running relay by SIGHUP and by POST /-/reload.
func TestReload(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	first, second, third := newExporter(t, plain("first", 5)), newExporter(t, plain("second", 5)), newExporter(t, plain("third", 5))
	config := func(jobs ...string) string {
		return "global: {scrape_interval: 1s}\nscrape_configs:\n" + strings.Join(jobs, "") + "remote_write: [{url: '" + r.URL() + "'}]\n"
	}
	relay := startRelay(t, config(staticJob("first", first)), "--web.enable-lifecycle")
	first.awaitPages(t, 2)

	writeFile(t, relay.ConfigFile, config(staticJob("first", first), staticJob("second", second)))
	if err := relay.Process().Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	second.awaitPages(t, 2)

	writeFile(t, relay.ConfigFile, config(staticJob("first", first), staticJob("second", second), staticJob("third", third)))
	if status, text := postReload(t, relay); status != http.StatusOK {
		t.Errorf("reload: %d %s", status, text)
	}
	third.awaitPages(t, 2)

	for name, c := range map[string]struct{ config, want string }{
		"unknown key": {config(staticJob("third", third)) + "scrap_configs: []\n", `scrap_configs`},
		"bad regex":   {config("- {job_name: x, relabel_configs: [{source_labels: [a], regex: '('}]}\n"), `missing closing )`},
		"the wal":     {config(staticJob("third", third)) + "wal: {segment_bytes: 1MB}\n", "block wal has changed: that needs a restart"},
		"twice":       {config(staticJob("third", third)) + "- {url: '" + r.URL() + "'}\n", ""},
	} {
		writeFile(t, relay.ConfigFile, c.config)
		status, text := postReload(t, relay)
		if status != http.StatusInternalServerError || !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: have %d %q, want 500 and %q in one line", name, status, text, c.want)
		}
		if v := metric(t, relay, "promrelay_config_last_reload_successful"); v != 0 {
			t.Errorf("%s: promrelay_config_last_reload_successful is %v", name, v)
		}
		if page := targetsPage(t, relay); !strings.Contains(page, bannerWords) || !strings.Contains(page, c.want) {
			t.Errorf("%s: /targets does not tell of the refused file", name)
		}
	}
	bad, err := os.ReadFile(relay.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, relay.ConfigFile, config(staticJob("first", first), staticJob("second", second), staticJob("third", third)))
	if status, text := postReload(t, relay); status != http.StatusOK || strings.Contains(targetsPage(t, relay), bannerWords) {
		t.Errorf("a good file after bad ones: %d %s, or /targets still tells of a refused one", status, text)
	}
	writeFile(t, relay.ConfigFile, string(bad))
	if err := relay.Process().Signal(syscall.SIGHUP); err != nil { // the last bad one again
		t.Fatal(err)
	}
	third.awaitPages(t, len(third.asked())+2)

	end := time.Now()
	stop(t, relay)
	r.sound(t)
	for job, e := range map[string]*exporter{"first": first, "second": second, "third": third} {
		g := e.in(job)
		came := g.check(t, r.of(g.labels))
		demand(t, job, came, e.whole(end))
		steady(t, job, e)
	}
	onlyKnown(t, r.of(nil), first.in("first"), second.in("second"), third.in("third"))
}

// bannerWords stand on /targets while a configuration file is refused.
const bannerWords = "The configuration file was refused at"

// targetsPage is /targets as a person reads it.
func targetsPage(t *testing.T, r *peers.Relay) string {
	t.Helper()
	page, err := peers.Get(t.Context(), r.URL()+"/targets")
	if err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(string(page))
}

// steady demands that pages were asked for every second.
func steady(t *testing.T, name string, e *exporter) {
	t.Helper()
	pages := e.asked()
	for i := 1; i < len(pages); i++ {
		if gap := pages[i].began.Sub(pages[i-1].began); gap > 1700*time.Millisecond {
			t.Errorf("%s: %s between pages %d and %d", name, gap, i, i+1)
		}
	}
}

func postReload(t *testing.T, r *peers.Relay) (status int, text string) {
	t.Helper()
	resp, err := http.Post(r.URL()+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestReloadNotEnabled asks a relay to reload that was started without --web.enable-lifecycle.
func TestReloadNotEnabled(t *testing.T) {
	t.Parallel()
	relay := startRelay(t, "global: {scrape_interval: 1s}\n")
	if status, text := postReload(t, relay); status != http.StatusForbidden || !strings.Contains(text, "--web.enable-lifecycle") {
		t.Errorf("have %d %q", status, text)
	}
	stop(t, relay)
}

// TestStop ends a relay whose receiver is slow: what was scraped is delivered first.
func TestStop(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	var es []*exporter
	for i := range 5 {
		es = append(es, newExporter(t, plain(fmt.Sprintf("stop%d", i), 100)))
	}
	r.does(fake.Back(fake.Latency(700 * time.Millisecond)))
	relay := startRelay(t, "global: {scrape_interval: 1s}\nscrape_configs:\n"+staticJob("stop", es...)+
		"remote_write: [{url: '"+r.URL()+"', queue_config: {batch_send_deadline: 30s}}]\n")
	for _, e := range es {
		e.awaitPages(t, 4)
	}
	end := time.Now()
	stop(t, relay)
	t.Logf("the relay ended in %s", time.Since(end).Round(time.Millisecond))
	r.sound(t)
	for _, e := range es {
		g := e.in("stop")
		demand(t, e.address, g.check(t, r.of(g.labels)), e.whole(end))
	}
	for _, x := range r.Requests() {
		if x.Status == 0 {
			t.Errorf("the relay did not wait for the answer to request %d", x.Number)
		}
	}
}
