package relay

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"promrelay/config"
)

// Rules of both specifications for retries.

func TestSpec1_RetriesServerErrors(t *testing.T) { retriesServerErrors(t, by1) }

func TestSpec2_RetriesServerErrors(t *testing.T) { retriesServerErrors(t, by2) }

func retriesServerErrors(t *testing.T, more string) {
	codes := []int{500, 501, 502, 503, 504, 507, 511, 599}
	tr := try(t, more, whole(nil), 20, func(n int, p *posted, _ http.ResponseWriter) int {
		if n < len(codes) {
			return codes[n]
		}
		return 0
	})
	tr.once(t, tr.wr.samples)
	if n := len(tr.second()); n != len(codes)+1 {
		t.Errorf("%d requests, want one for each of %d errors and one more", n, len(codes))
	}
	if n := dropped(t, tr.reg); n != 0 {
		t.Errorf("%d samples count as dropped", n)
	}
}

func TestSpec1_BacksOff(t *testing.T) { backsOff(t, by1) }

func TestSpec2_BacksOff(t *testing.T) { backsOff(t, by2) }

// backsOff demands that a pause is never shorter than the doubled minimum: jitter only adds.
func backsOff(t *testing.T, more string) {
	least := []int{4, 8, 16, 32, 32, 32, 32}
	tr := try(t, more+"queue_config: {batch_send_deadline: 5ms, min_backoff: 4ms, max_backoff: 32ms}\n", whole(nil), 5, func(n int, _ *posted, _ http.ResponseWriter) int {
		if n < len(least) {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	got := pauses(tr.second())
	if len(got) != len(least) {
		t.Fatalf("%d pauses, want %d", len(got), len(least))
	}
	for i, d := range got {
		if d < time.Duration(least[i])*time.Millisecond {
			t.Errorf("pause %d is %s, want %dms or more", i, d, least[i])
		}
	}
}

func TestSpec1_NoRetryAfterSuccess(t *testing.T) { noRetryAfterSuccess(t, by1) }

func TestSpec2_NoRetryAfterSuccess(t *testing.T) { noRetryAfterSuccess(t, by2) }

func noRetryAfterSuccess(t *testing.T, more string) {
	codes := []int{200, 201, 202, 204, 206, 299}
	tr := try(t, more, whole(nil), 5, func(n int, p *posted, w http.ResponseWriter) int {
		p.written(w, p.count(), -1)
		return codes[n%len(codes)]
	})
	for range len(codes) - 1 {
		tr.wr.scrape()
		tr.drain(t)
	}
	for l, times := range tr.sent() {
		if times != 1 {
			t.Errorf("%s was sent %d times", l, times)
		}
	}
	if n := len(tr.sent()); n != tr.wr.samples {
		t.Errorf("%d of %d samples came", n, tr.wr.samples)
	}
}

func TestSpec1_NoRetryAfterClientError(t *testing.T) { noRetryAfterClientError(t, by1) }

func TestSpec2_NoRetryAfterClientError(t *testing.T) { noRetryAfterClientError(t, by2) }

// noRetryAfterClientError is about answers that mean the samples, with the deviations switched off.
func noRetryAfterClientError(t *testing.T, more string) {
	off := whole(func(r *config.Relay) { r.SplitRefused, r.KeepUnauthorized = false, false })
	for _, code := range []int{400, 401, 403, 404, 409, 422} {
		tr := try(t, more, off, 20, func(n int, p *posted, w http.ResponseWriter) int {
			if n > 0 {
				return 0
			}
			p.written(w, 0, 0)
			return code
		})
		if n := len(tr.second()); n != 1 {
			t.Errorf("%d: %d requests", code, n)
		}
		if n := dropped(t, tr.reg); n != 20 {
			t.Errorf("%d: %d samples count as dropped, want 20", code, n)
		}
		tr.wr.scrape() // what comes after it passes
		tr.drain(t)
		tr.once(t, 40)
	}
}

func TestSpec1_RetriesTooManyRequests(t *testing.T) { retriesTooManyRequests(t, by1) }

func TestSpec2_RetriesTooManyRequests(t *testing.T) { retriesTooManyRequests(t, by2) }

func retriesTooManyRequests(t *testing.T, more string) {
	tr := try(t, more, whole(nil), 20, func(n int, p *posted, w http.ResponseWriter) int {
		if n < 3 {
			p.written(w, p.count(), -1) // Mimir claims so
			return http.StatusTooManyRequests
		}
		return 0
	})
	tr.once(t, tr.wr.samples)
}

func TestSpec2_RetriesThePartlyWritten(t *testing.T) {
	tr := try(t, by2, whole(nil), 20, func(n int, p *posted, w http.ResponseWriter) int {
		if n < 2 {
			p.written(w, p.count()/2, 0)
			return []int{503, 429}[n]
		}
		return 0
	})
	tr.once(t, tr.wr.samples)
	for _, p := range tr.second() {
		if !bytes.Equal(p.message, tr.second()[0].message) {
			t.Error("the request that was tried again is another one")
		}
	}
}

func TestSpec2_HonoursRetryAfter(t *testing.T) {
	for name, value := range map[string]string{"seconds": "30", "date": time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)} {
		for _, code := range []int{429, 503} {
			for _, more := range []string{by1, by2} {
				arrived := make(chan struct{}, 100)
				tr := begin(t, more, whole(nil), 5, func(_ int, _ *posted, w http.ResponseWriter) int {
					w.Header().Set("Retry-After", value)
					arrived <- struct{}{}
					return code
				})
				<-arrived
				select {
				case <-arrived:
					t.Errorf("%d, Retry-After in %s, %q: tried again at once", code, name, more)
				case <-time.After(60 * time.Millisecond): // a backoff takes 20ms at the most
				}
				tr.stop()
			}
		}
	}
}
