package relay

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"promrelay/config"
)

// TestAnswers goes through the answers of a receiver before it accepts requests.
func TestAnswers(t *testing.T) {
	header := func(w http.ResponseWriter, name, value string) { w.Header().Set(name, value) }
	tests := map[string]struct {
		more     string
		answer   func(n int, w http.ResponseWriter, series []string) int
		lost     int // samples
		versions map[int]bool
		twice    bool
	}{
		"500": {answer: func(n int, _ http.ResponseWriter, _ []string) int { return []int{500, 503, 0}[min(n, 2)] }},
		"429": {answer: func(n int, _ http.ResponseWriter, _ []string) int { return []int{429, 0}[min(n, 1)] }},
		"Retry-After": {answer: func(n int, w http.ResponseWriter, _ []string) int {
			header(w, "Retry-After", "1")
			return []int{503, 0}[min(n, 1)]
		}},
		"hang up": {answer: func(n int, w http.ResponseWriter, _ []string) int {
			if n < 2 {
				panic(http.ErrAbortHandler)
			}
			return 0
		}},
		"401 is kept": {answer: func(n int, _ http.ResponseWriter, _ []string) int { return []int{401, 403, 404, 0}[min(n, 3)] }},
		"415 to 2.0": {
			answer:   func(n int, w http.ResponseWriter, _ []string) int { return []int{415, 0}[min(n, 1)] },
			versions: map[int]bool{1: true},
		},
		"413": {answer: func(_ int, _ http.ResponseWriter, series []string) int {
			if len(series) > 30 {
				return 413
			}
			return 0
		}},
		"400 to 2.0": {
			answer: func(n int, w http.ResponseWriter, series []string) int {
				if n == 1 {
					header(w, "X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(len(series)-7))
					return 400
				}
				return 0
			},
			lost: 7,
		},
		"400 to 2.0 for exemplars": {
			answer: func(n int, w http.ResponseWriter, series []string) int {
				if n == 1 {
					header(w, "X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(len(series)))
					header(w, "X-Prometheus-Remote-Write-Exemplars-Written", "0")
					return 400
				}
				return 0
			},
		},
		"400 to 1.0": {
			more: "protobuf_message: prometheus.WriteRequest\n",
			answer: func(_ int, _ http.ResponseWriter, series []string) int {
				if slices.ContainsFunc(series, func(s string) bool { return strings.Contains(s, `n="33"`) }) {
					return 400
				}
				return 0
			},
			lost: 10, // of one series
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, recv := setup(t)
			recv.answer = tt.answer
			r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, tt.more)}})
			wr := newWriter(t, w, 1, 100)
			for range 10 {
				wr.scrape()
			}
			r.drain(t)
			n, twice := recv.count()
			want := wr.samples - tt.lost
			if strings.HasPrefix(name, "400 to 2.0") {
				want = n // the receiver of this test keeps nothing of a request that it refuses
				refused := 0
				s := r.Statuses()[0]
				for _, k := range s.Refusals {
					refused += int(k.Samples)
				}
				if refused != tt.lost || len(s.Refusals) != 1 {
					t.Errorf("status: %+v", s)
				}
			}
			if n != want || twice != 0 && tt.lost == 0 { // what passes is asked with a sample that is there already
				t.Errorf("%d of %d samples arrived, %d twice", n, want, twice)
			}
			for v := range recv.versions {
				if tt.versions != nil && !tt.versions[v] {
					t.Errorf("version %d was used", v)
				}
			}
			recv.inOrder(t)
		})
	}
}

// TestSilentReceiver is about one that answers 204 to remote write 2.0 and stores nothing.
func TestSilentReceiver(t *testing.T) {
	w, recv := setup(t)
	silent := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.Header.Get("Content-Type"), "v2") {
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		recv.ServeHTTP(rw, req)
	}))
	defer silent.Close()
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, silent.URL, "")}})
	wr := newWriter(t, w, 3, 100)
	for range 5 {
		wr.scrape()
	}
	r.drain(t)
	n, twice := recv.count()
	if s := r.Statuses()[0]; n != wr.samples || twice != 0 || s.Version != 1 {
		t.Errorf("%d of %d samples arrived, %d twice; %+v", n, wr.samples, twice, s)
	}
}
