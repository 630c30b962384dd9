package relay

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protowire"
)

// The deliberate deviations of docs/remote-write.md.

// bad reports whether p has samples of the one series that the receivers below refuse.
func bad(p *posted) bool {
	return slices.ContainsFunc(p.series, func(s wireSeries) bool { return s.label("n") == "33" })
}

func TestDeviation_RefusedIsSplit(t *testing.T) {
	for _, code := range []int{400, 409, 422} {
		tr := try(t, by1, whole(nil), 100, func(_ int, p *posted, _ http.ResponseWriter) int {
			if bad(p) {
				return code
			}
			return 0
		})
		tr.once(t, tr.wr.samples-1)
		if n := dropped(t, tr.reg); n != 1 {
			t.Errorf("%d: %d samples count as dropped, want 1", code, n)
		}
	}
}

// TestDeviation_RefusedBy2IsSplit: a receiver of 2.0 that accepts a request as a whole or not at all.
func TestDeviation_RefusedBy2IsSplit(t *testing.T) {
	for name, headers := range map[string]bool{"0 written": true, "no headers": false} {
		tr := try(t, by2, whole(nil), 100, func(_ int, p *posted, w http.ResponseWriter) int {
			if !bad(p) {
				return 0
			}
			if headers {
				p.written(w, 0, 0)
			}
			return http.StatusBadRequest
		})
		if n := len(tr.stored()); n != tr.wr.samples-1 {
			t.Errorf("%s: %d samples were stored, want %d", name, n, tr.wr.samples-1)
		}
	}
}

// TestDeviation_SplittingKeepsOrder: while the refused series are looked for, samples keep coming.
func TestDeviation_SplittingKeepsOrder(t *testing.T) {
	for _, more := range []string{by1, by2} {
		tr := begin(t, more, whole(nil), 60, func(_ int, p *posted, w http.ResponseWriter) int {
			if bad(p) {
				p.written(w, 0, 0)
				return http.StatusBadRequest
			}
			return 0
		})
		for range 6 {
			tr.wr.scrape()
			time.Sleep(5 * time.Millisecond)
		}
		tr.drain(t)
		if n := len(tr.stored()); n != 59*8+1 {
			t.Errorf("%q: %d samples were stored, want %d", more, n, 59*8+1)
		}
		inOrder(t, tr.wire)
	}
}

func TestDeviation_UnauthorizedIsKept(t *testing.T) {
	for _, more := range []string{by1, by2} {
		tr := try(t, more, whole(nil), 20, func(n int, _ *posted, _ http.ResponseWriter) int { return []int{401, 403, 404, 0}[min(n, 3)] })
		tr.once(t, tr.wr.samples)
	}
}

func TestDeviation_TooManyRequestsIsAlwaysRetried(t *testing.T) {
	for _, more := range []string{by1, by2} {
		queue := "queue_config: {retry_on_http_429: false, batch_send_deadline: 5ms, min_backoff: 1ms, max_backoff: 5ms}\n"
		tr := try(t, more+queue, whole(nil), 20, func(n int, _ *posted, _ http.ResponseWriter) int { return []int{429, 429, 0}[min(n, 2)] })
		tr.once(t, tr.wr.samples)
	}
}

func TestDeviation_LaterIsRetried(t *testing.T) {
	for _, more := range []string{by1, by2} {
		tr := try(t, more, whole(nil), 20, func(n int, _ *posted, _ http.ResponseWriter) int { return []int{408, 425, 499, 0}[min(n, 3)] })
		tr.once(t, tr.wr.samples)
	}
}

func TestDeviation_RetryStatusCodes(t *testing.T) {
	relay := whole(nil)
	if err := yaml.Unmarshal([]byte("retry_status_codes: [418, 422]"), &relay); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{by1, by2} {
		tr := try(t, more, relay, 20, func(n int, _ *posted, _ http.ResponseWriter) int { return []int{418, 422, 418, 0}[min(n, 3)] })
		tr.once(t, tr.wr.samples)
		for _, p := range tr.second() {
			if p.count() != 20 {
				t.Errorf("a request of %d samples: it was split", p.count())
			}
		}
	}
}

// TestDeviation_OutsideTheDataIsHeld: answers that say nothing about the samples.
func TestDeviation_OutsideTheDataIsHeld(t *testing.T) {
	codes := []int{402, 405, 407, 415, 0}
	for _, more := range []string{by1, by2} {
		tr := try(t, more, whole(nil), 20, func(n int, _ *posted, _ http.ResponseWriter) int { return codes[min(n, len(codes)-1)] })
		tr.once(t, tr.wr.samples)
	}
}

func TestDeviation_TooLargeIsSplit(t *testing.T) {
	for _, more := range []string{by1, by2} {
		tr := try(t, more, whole(nil), 100, func(_ int, p *posted, _ http.ResponseWriter) int {
			if p.count() > 30 {
				return http.StatusRequestEntityTooLarge
			}
			return 0
		})
		tr.once(t, tr.wr.samples)
	}
}

// TestDeviation_TooLargeByItsText: Cortex and Mimir say it with 400.
func TestDeviation_TooLargeByItsText(t *testing.T) {
	for _, text := range []string{"rpc error: received message larger than max (600 vs. 500)", "the incoming push request has been rejected because its message size of 600 bytes was larger than the allowed limit of 500 bytes"} {
		for _, more := range []string{by1, by2} {
			tr := try(t, more, whole(nil), 100, func(_ int, p *posted, w http.ResponseWriter) int {
				if p.count() <= 30 {
					return 0
				}
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintln(w, text)
				return said
			})
			tr.once(t, tr.wr.samples)
		}
	}
}

// TestDeviation_FallsBackBeforeAnythingIsConfirmed: receivers of 1.0 answer a request of 2.0 as they like.
func TestDeviation_FallsBackBeforeAnythingIsConfirmed(t *testing.T) {
	for _, code := range []int{400, 403, 404, 405, 406, 409, 411, 413, 422, 302, 500, 501} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			fallen(t, func(_ int, p *posted, w http.ResponseWriter) int {
				if p.version == 2 {
					w.Header().Set("Location", "/elsewhere")
					return code
				}
				return 0
			})
		})
	}
}

// TestDeviation_ConfirmedSurvivesALoneAnswer: one answer that does not fit, of a proxy say, does not end 2.0.
func TestDeviation_ConfirmedSurvivesALoneAnswer(t *testing.T) {
	for _, code := range []int{415, 204} {
		tr := try(t, "", whole(nil), 20, func(n int, _ *posted, _ http.ResponseWriter) int { return []int{code, 0}[min(n, 1)] })
		tr.once(t, tr.wr.samples)
		for _, p := range tr.all() {
			if p.version != 2 {
				t.Errorf("%d: a request of version %d", code, p.version)
			}
		}
	}
}

// TestDeviation_NegotiationBeginsWithSamples: not with an empty request of 1.0.
func TestDeviation_NegotiationBeginsWithSamples(t *testing.T) {
	for _, p := range fallen(t, only1).all() {
		if p.count() == 0 {
			t.Error("an empty request")
		}
	}
}

func TestDeviation_RetryAfterIsCapped(t *testing.T) {
	arrived := make(chan struct{}, 10)
	tr := begin(t, by2, whole(nil), 5, func(_ int, _ *posted, w http.ResponseWriter) int {
		w.Header().Set("Retry-After", "100000")
		arrived <- struct{}{}
		return http.StatusServiceUnavailable
	})
	<-arrived
	var pause time.Duration
	wait(t, "a word on the pause", func() bool {
		for _, e := range tr.logs.All() {
			for _, f := range e.Context {
				if f.Type == zapcore.DurationType {
					pause = max(pause, time.Duration(f.Integer))
				}
			}
		}
		return pause > 0
	})
	if pause > 66*time.Second {
		t.Errorf("the pause is %s, want a minute and a tenth at the most", pause)
	}
}

func TestDeviation_RedirectsToAGetAreNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303} {
		for _, more := range []string{"", by1, by2} {
			tr := try(t, more, whole(nil), 20, func(n int, p *posted, w http.ResponseWriter) int {
				if p.method != http.MethodPost || p.uri == "/login" {
					t.Errorf("%d: %s %s", code, p.method, p.uri)
				}
				if n < 2 {
					w.Header().Set("Location", "/login")
					return code
				}
				return 0
			})
			tr.once(t, tr.wr.samples)
			if log := logged(tr.logs); !strings.Contains(log, "/login") {
				t.Errorf("%d: the log does not say where to:\n%s", code, log)
			}
		}
	}
}

func TestDeviation_RedirectsOfAPostAreFollowed(t *testing.T) {
	for _, code := range []int{307, 308} {
		var moved atomic.Int32
		tr := try(t, by2, whole(nil), 20, func(_ int, p *posted, w http.ResponseWriter) int {
			if p.uri == "/moved" {
				moved.Add(1)
				if p.method != http.MethodPost || p.count() != 20 || p.version != 2 || p.header.Get("Content-Encoding") != "snappy" {
					t.Errorf("%d: %s with %d samples, %v", code, p.method, p.count(), p.header)
				}
				return 0
			}
			w.Header().Set("Location", "/moved")
			return code
		})
		tr.once(t, tr.wr.samples)
		if moved.Load() != 1 {
			t.Errorf("%d: %d requests were sent on", code, moved.Load())
		}
	}
}

func TestDeviation_CredentialsStayWithTheHost(t *testing.T) {
	for _, auth := range []string{"basic_auth: {username: u, password: p}\n", "authorization: {credentials: secret}\n"} {
		elsewhere := newWire(t)
		x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") == "" {
				t.Error("no credentials for the destination itself")
			}
			http.Redirect(w, req, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect)
		}))
		w := openSpec(t)
		r := start(t, w, Settings{Destinations: destinations(t, x.URL, by2+auth), Relay: whole(nil)})
		newWriter(t, w, 1, 20).scrape()
		wait(t, "a request or a reason for none", func() bool { return len(elsewhere.all()) > 0 || r.Statuses()[0].Error != "" })
		r.stop()
		x.Close()
		for _, p := range elsewhere.all() {
			if got := p.header.Get("Authorization"); got != "" {
				t.Errorf("another host got %q", got)
			}
		}
	}
}

// TestDeviation_ExemplarsAndHistogramsBy1: where the configuration asks for them, in the fields that Prometheus gives them.
func TestDeviation_ExemplarsAndHistogramsBy1(t *testing.T) {
	s := schema1()
	s[1].sub[3] = field{typ: protowire.BytesType}
	s[1].sub[4] = field{typ: protowire.BytesType}
	exemplars, histograms := 0, 0
	for _, p := range play(t, by1+"send_exemplars: true\nsend_native_histograms: true\n", labels.EmptyLabels(), everything(t)) {
		conform(t, "WriteRequest", p.message, s)
		for _, ts := range p.series {
			exemplars += len(ts.exemplars)
			histograms += len(ts.histograms)
		}
	}
	if exemplars != 1 || histograms != 1 {
		t.Errorf("%d exemplars and %d histograms, want 1 and 1", exemplars, histograms)
	}
}

// TestDeviation_MetadataSwitch: metadata_config.send false leaves metadata out of 2.0, too.
func TestDeviation_MetadataSwitch(t *testing.T) {
	for _, p := range play(t, by2+"metadata_config: {send: false}\n", labels.EmptyLabels(), everything(t)) {
		for _, s := range p.series {
			if s.meta.Type != 0 || s.meta.HelpRef != 0 || s.meta.UnitRef != 0 {
				t.Errorf("%s has metadata %+v", s.name(), s.meta)
			}
		}
		if slices.Contains(p.symbols, "Help.") {
			t.Error("the help is among the symbols")
		}
	}
}

func TestDeviation_PagesAreCutToTheirTitle(t *testing.T) {
	page := "<html><head><title>502 Bad Gateway</title></head><body>" + strings.Repeat("<p>nonsense</p>", 100) + "</body></html>"
	tr := try(t, by2, whole(nil), 20, func(n int, _ *posted, w http.ResponseWriter) int {
		if n > 0 {
			return 0
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		w.Write([]byte(page))
		return said
	})
	if log := logged(tr.logs); !strings.Contains(log, "502 Bad Gateway") || strings.Contains(log, "nonsense") {
		t.Errorf("the log:\n%s", log)
	}
}

// TestDeviation_AgeLimitEndsRetries: sample_age_limit also applies to samples that are tried again.
func TestDeviation_AgeLimitEndsRetries(t *testing.T) {
	for _, more := range []string{by1, by2} {
		x := newWire(t)
		x.answer = func(int, *posted, http.ResponseWriter) int { return http.StatusServiceUnavailable }
		w := openSpec(t)
		queue := "queue_config: {batch_send_deadline: 5ms, min_backoff: 1ms, max_backoff: 10ms, sample_age_limit: 2s}\n"
		r, reg, _ := launch(t, w, Settings{Destinations: destinations(t, x.URL, more+queue), Relay: whole(nil)})
		wr := newWriter(t, w, 1, 5)
		wr.now = time.Now().UnixMilli() - 2900 // the scrape is 1.9 s old
		wr.scrape()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := r.Drain(ctx); err != nil {
			t.Errorf("%q: %v", more, err)
		}
		cancel()
		if n := counters(t, reg)["promrelay_relay_dropped_samples_total reason=too_old"]; n != 5 {
			t.Errorf("%q: %v samples count as too old, want 5", more, n)
		}
	}
}
