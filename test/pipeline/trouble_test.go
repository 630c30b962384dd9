package pipeline

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	fake "promrelay/test/receiver"
)

// TestTroubledReceiver has receivers refuse, hang, lose connections and answer with errors to what they stored. Nothing is lost, and
// only what was stored by a request that was not confirmed comes twice.
func TestTroubledReceiver(t *testing.T) {
	t.Parallel()
	for version := range versions {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			var es []*exporter
			for i := range 2 {
				es = append(es, newExporter(t, plain(fmt.Sprintf("trouble%d", i), 150)))
			}
			refuse := func(code int, text string, numbers ...int) fake.Part {
				return fake.Fault(fake.StatusClaiming(code, text, fake.Zero).When(fake.Numbered(numbers...)))
			}
			r.does(
				refuse(http.StatusServiceUnavailable, "not now", 2), fake.Back(fake.Header("Retry-After", "1").When(fake.Numbered(2))),
				refuse(http.StatusTooManyRequests, "", 4, 5, 6),
				fake.Back(fake.HangAnswer().When(fake.Numbered(8))), // until remote_timeout ends the connection
				refuse(http.StatusUnauthorized, "who are you?", 10),
				fake.Back(fake.Instead(http.StatusInternalServerError, "stored and yet").When(fake.Numbered(12))),
				refuse(http.StatusRequestEntityTooLarge, "", 14),
			)
			// What is refused with 401 waits for 30 s: that is why this takes so long.
			relay := startRelay(t, "global: {scrape_interval: 1s}\nscrape_configs:\n"+staticJob("trouble", es...)+"remote_write:\n"+
				destination("r", r, version, "remote_timeout: 2s", "queue_config: {batch_send_deadline: 500ms, max_samples_per_send: 200}"))
			await(t, 90*time.Second, "the last trouble", func() error {
				if n := len(r.Requests()); n < 25 {
					return fmt.Errorf("have %d requests", n)
				}
				return nil
			})
			r.Down()
			es[0].awaitPages(t, len(es[0].asked())+3)
			r.up(t)
			awaitDelivered(t, r, time.Minute, es...)
			if n := metric(t, relay, "promrelay_relay_dropped_samples_total"); n != 0 {
				t.Errorf("promrelay_relay_dropped_samples_total is %v", n)
			}
			end := time.Now()
			stop(t, relay)
			for _, e := range es {
				g := e.in("trouble")
				demand(t, e.address, g.check(t, r.of(g.labels)), e.whole(end))
			}
			r.wellFormed(t)
			requests := r.Requests()
			allowed := 0
			for _, x := range requests {
				if x.Status/100 != 2 {
					allowed += x.Stored.Samples()
				}
			}
			_, samples, repeated, late := r.totals()
			t.Logf("%d samples by %d requests, %d came twice", samples, len(requests), repeated)
			// Where requests got smaller or a connection broke, samples are read again from where their scrape began.
			if late > 0 || repeated > allowed+len(es)*(150+6) {
				t.Errorf("%d samples came out of order, %d twice, of which %d were not confirmed", late, repeated, allowed)
			}
			if pause := requests[3].At.Sub(requests[2].At); pause < time.Second {
				t.Errorf("%s before the request after one that was answered with Retry-After: 1", pause)
			}
		})
	}
}

// TestRefusedSeries has a receiver of remote write 1.0 refuse every request that holds one of two series: these alone are lost.
func TestRefusedSeries(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	e := newExporter(t, plain("refused", 300))
	offends := func(series string) bool {
		return strings.Contains(series, `i="17"`) || strings.Contains(series, `i="230"`)
	}
	r.does(fake.Fault(fake.Status(http.StatusBadRequest, "a series that is not taken").When(fake.WithSeries("17 or 230", offends))))
	relay := startRelay(t, "global: {scrape_interval: 1s}\nscrape_configs:\n"+staticJob("refused", e)+"remote_write:\n"+
		destination("r", r, 1, "queue_config: {batch_send_deadline: 300ms}"))
	e.awaitPages(t, 8)
	time.Sleep(time.Second / 2)
	lost := metric(t, relay, "promrelay_relay_dropped_samples_total")
	end := time.Now()
	stop(t, relay)
	// While nothing else passes, what was taken last is sent once more, to see whether anything does.
	if _, _, repeated, late := r.totals(); repeated > 40 || late > 0 {
		t.Errorf("%d samples came twice, %d out of order", repeated, late)
	}
	r.wellFormed(t)
	g := e.in("refused")
	g.change = func(ls map[string]string) map[string]string {
		if ls["i"] == "17" || ls["i"] == "230" {
			return nil
		}
		return ls
	}
	demand(t, "refused", g.check(t, r.of(nil)), e.whole(end))
	onlyKnown(t, r.of(nil), g)
	refused := 0
	for _, x := range r.Requests() {
		if x.Status == http.StatusBadRequest {
			refused++
		}
	}
	t.Logf("%d of %d requests refused, %v samples lost", refused, len(r.Requests()), lost)
	if pages := len(e.asked()); lost < float64(2*(pages-1)) || lost > float64(2*pages) {
		t.Errorf("%v samples are counted as lost, want 2 of each of %d pages", lost, pages)
	}
	if refused == 0 || refused > 2*50 { // 2 log2 n for each of the two series, then some each time that they are tried again
		t.Errorf("%d requests were refused", refused)
	}
}
