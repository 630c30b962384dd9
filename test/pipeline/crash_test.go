package pipeline

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"promrelay/test/peers"
	fake "promrelay/test/receiver"
)

// versions are the versions of remote write, and the protobuf_message of a remote_write block that asks for each.
var versions = map[int]string{1: "prometheus.WriteRequest", 2: "io.prometheus.write.v2.Request"}

// TestCrash kills the relay several times at random moments while no receiver listens, and then starts the receivers. What was in the
// log when the relay was killed arrives once.
func TestCrash(t *testing.T) {
	t.Parallel()
	one, two := newDeadReceiver(t), newDeadReceiver(t)
	var es []*exporter
	for i := range 5 {
		es = append(es, newExporter(t, func(page int, at time.Time) pageText {
			p := plain(fmt.Sprintf("crash%d", i), 200)(page, at)
			// The next process scrapes this sample again, and must find that it is in the log.
			stamp := at.Truncate(5 * time.Second)
			p.lines = append(p.lines, line{name: "stamped", value: float64(stamp.Unix()), ms: stamp.UnixMilli()})
			return p
		}))
	}
	relay := startRelay(t, "global: {scrape_interval: 1s}\nscrape_configs:\n"+staticJob("crash", es...)+"remote_write:\n"+
		destination("one", one, 1)+destination("two", two, 2)+"wal: {segment_bytes: 64KB}\n")
	var kills []time.Time
	for i := range 5 {
		if i > 0 {
			restart(t, relay)
		}
		time.Sleep(1500*time.Millisecond + rand.N(2500*time.Millisecond))
		kills = append(kills, time.Now())
		relay.Kill()
	}
	one.up(t)
	two.up(t)
	restart(t, relay)
	awaitDelivered(t, one, time.Minute, es...)
	awaitDelivered(t, two, time.Minute, es...)
	end := time.Now()
	stop(t, relay)

	for version, r := range map[int]*receiver{1: one, 2: two} {
		r.sound(t) // nothing was delivered before a kill, so nothing comes twice
		samples := 0
		for _, e := range es {
			g := e.in("crash")
			g.restarts = true
			came := g.check(t, r.of(g.labels))
			samples += len(came) * (200 + 7)
			must := e.safe(end, kills)
			demand(t, e.address, came, must)
			if len(must) < 5 {
				t.Errorf("only %d pages are checked", len(must))
			}
		}
		for _, x := range r.Requests() {
			if x.Version != version {
				t.Errorf("request by remote write %d, want %d", x.Version, version)
				break
			}
		}
		t.Logf("remote write %d: %d samples or so after %d kills", version, samples, len(kills))
	}
}

// safe returns the pages that were in the log, or not yet asked for, at each of the kills and at the end.
func (e *exporter) safe(end time.Time, kills []time.Time) []int {
	pages := e.asked()
	return slices.DeleteFunc(e.whole(end), func(n int) bool {
		p := pages[n-1]
		return slices.ContainsFunc(kills, func(k time.Time) bool { return p.began.Before(k) && p.ended.Add(inFlight).After(k) })
	})
}

// destination is a remote_write block. With version 0 the relay negotiates.
func destination(name string, r *receiver, version int, more ...string) string {
	out := fmt.Sprintf("- name: %s\n  url: '%s'\n", name, r.URL())
	if version != 0 {
		out += "  protobuf_message: " + versions[version] + "\n"
	}
	for _, m := range more {
		out += "  " + m + "\n"
	}
	return out
}

// TestKillBetweenSendAndAnswer kills the relay several times while a receiver has stored a request and not answered it. Segments are so
// small that they last a few seconds. All samples arrive, and those that arrive twice were in such requests.
func TestKillBetweenSendAndAnswer(t *testing.T) {
	t.Parallel()
	receivers := map[int]*receiver{1: newReceiver(t), 2: newReceiver(t)}
	var es []*exporter
	for i := range 3 {
		es = append(es, newExporter(t, plain(fmt.Sprintf("kill%d", i), 300)))
	}
	relay := startRelay(t, "global: {scrape_interval: 1s}\nscrape_configs:\n"+staticJob("kill", es...)+"remote_write:\n"+
		destination("one", receivers[1], 1, "queue_config: {batch_send_deadline: 300ms, max_samples_per_send: 100}")+
		destination("two", receivers[2], 2, "queue_config: {batch_send_deadline: 300ms, max_samples_per_send: 100}")+
		"wal: {segment_bytes: 20KB}\n")
	var kills []time.Time
	segments := map[string]bool{}
	for i := range 4 {
		es[0].awaitPages(t, len(es[0].asked())+4)
		for _, r := range receivers {
			r.does(fake.Back(fake.HangAnswer()))
		}
		await(t, 20*time.Second, "a request at each receiver that is stored and not answered", func() error {
			for version, r := range receivers {
				if !slices.ContainsFunc(r.Requests(), func(x fake.Exchange) bool { return x.Done.IsZero() && x.Stored.Samples() > 0 }) {
					return fmt.Errorf("remote write %d has none", version)
				}
			}
			return nil
		})
		if i%2 == 1 {
			time.Sleep(rand.N(1200 * time.Millisecond)) // scrapes go on
		}
		note(t, relay, segments)
		kills = append(kills, time.Now())
		relay.Kill()
		for _, r := range receivers {
			r.does()
		}
		restart(t, relay)
	}
	es[0].awaitPages(t, len(es[0].asked())+3)
	note(t, relay, segments)
	end := time.Now()
	stop(t, relay)
	t.Logf("%d segments in %s", len(segments), end.Sub(es[0].asked()[0].began).Round(time.Second))
	if len(segments) < 4 {
		t.Errorf("only %d segments: they were to rotate", len(segments))
	}
	for version, r := range receivers {
		r.wellFormed(t)
		for _, e := range es {
			g := e.in("kill")
			g.restarts = true
			came := g.check(t, r.of(g.labels))
			demand(t, e.address, came, e.safe(end, kills))
		}
		r.onlyInFlightTwice(t, version, kills)
	}
}

// note adds the segments that the WAL directory has now.
func note(t *testing.T, relay *peers.Relay, segments map[string]bool) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(relay.WAL, "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		segments[filepath.Base(p)] = true
	}
	if _, err := os.Stat(relay.WAL); err != nil {
		t.Fatal(err)
	}
}

// onlyInFlightTwice demands that samples came twice only if their scrape was not confirmed as a whole when the relay was killed: they
// were in a request without an answer, or belong to the scrape of such a sample.
func (r *receiver) onlyInFlightTwice(t *testing.T, version int, kills []time.Time) {
	t.Helper()
	requests, entries := r.Requests(), r.Entries()
	instances := map[string]string{}
	for _, s := range r.Select() {
		instances[s.Name] = s.Labels.Get("instance")
	}
	type scrape struct {
		instance string
		ms       int64
	}
	open := map[scrape]bool{} // scrapes that were not confirmed as a whole when the relay was killed
	for name, all := range entries {
		for _, e := range all {
			if e.Taken == 0 {
				continue
			}
			x := requests[e.By[0]]
			for _, k := range kills {
				if e.Time < k.UnixMilli() && (x.Status == 0 || x.At.After(k)) {
					open[scrape{instances[name], e.Time}] = true
				}
			}
		}
	}
	held, mates, others, oldest := 0, 0, 0, time.Duration(0)
	for name, all := range entries {
		for _, e := range all {
			for i := 1; i < len(e.By); i++ {
				switch x := requests[e.By[i-1]]; {
				case x.Status == 0:
					held++
				case open[scrape{instances[name], e.Time}]:
					mates++
				default:
					others++
					if i := slices.IndexFunc(kills, func(k time.Time) bool { return k.After(x.At) }); i >= 0 {
						oldest = max(oldest, kills[i].Sub(x.At))
					}
				}
			}
		}
	}
	t.Logf("remote write %d: %d samples came twice from requests without an answer, %d of the same scrapes, %d others", version, held, mates, others)
	if held == 0 {
		t.Error("no sample came twice: the kill was not between send and answer")
	}
	if others > 0 {
		t.Errorf("remote write %d: %d samples came twice of scrapes that were confirmed, up to %s before the kill", version, others, oldest.Round(time.Millisecond))
	}
	for _, x := range requests {
		if x.Status != 0 && x.Status != http.StatusNoContent {
			t.Errorf("request %d was answered with %d", x.Number, x.Status)
		}
	}
}
