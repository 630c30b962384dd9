package samples

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// incarnation is the header that tells one relay from the one before.
const incarnation = "X-Test-Incarnation"

// receiver takes remote write 2.0 and keeps what arrives.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	oldest   int // relays before this one come too late
	out      got
	seen     map[string]bool // samples and exemplars that arrived, by series and text; nil where none may come twice
	twice    int
	requests int
	faults   []string
}

func newReceiver() *receiver {
	r := &receiver{out: newGot()}
	r.Server = httptest.NewServer(r)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the relay was stopped
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, err := strconv.Atoi(req.Header.Get(incarnation)); err != nil || n < r.oldest {
		w.WriteHeader(http.StatusGone)
		return
	}
	n, err := r.take(req, body)
	if err != nil {
		r.faults = append(r.faults, err.Error())
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.requests++
	for name, n := range map[string]int{"Samples": n.samples, "Histograms": n.histograms, "Exemplars": n.exemplars} {
		w.Header().Set("X-Prometheus-Remote-Write-"+name+"-Written", strconv.Itoa(n))
	}
	w.WriteHeader(http.StatusNoContent)
}

type written struct{ samples, histograms, exemplars int }

func (r *receiver) take(req *http.Request, body []byte) (n written, err error) {
	if got := req.Header.Get("Content-Type"); !strings.Contains(got, "io.prometheus.write.v2.Request") {
		return n, fmt.Errorf("Content-Type %q", got)
	}
	if body, err = snappy.Decode(nil, body); err != nil {
		return n, err
	}
	var m writev2.Request
	if err := m.Unmarshal(body); err != nil {
		return n, err
	}
	b := labels.NewScratchBuilder(8)
	for _, ts := range m.Timeseries {
		ls, err := ts.ToLabels(&b, m.Symbols)
		if err != nil {
			return n, err
		}
		meta, err := ts.ToMetadata(m.Symbols)
		if err != nil {
			return n, err
		}
		name, last := ls.String(), ""
		ls.Range(func(l labels.Label) {
			if l.Name <= last || l.Value == "" {
				err = fmt.Errorf("labels %s: %q after %q, or empty", ls, l.Name, last)
			}
			last = l.Name
		})
		if err != nil {
			return n, err
		}
		if len(ts.Samples)+len(ts.Histograms) == 0 || len(ts.Samples) > 0 && len(ts.Histograms) > 0 {
			return n, fmt.Errorf("%s with %d samples and %d histograms", name, len(ts.Samples), len(ts.Histograms))
		}
		for _, s := range ts.Samples {
			r.sample(name, sample{ms: s.Timestamp, start: s.StartTimestamp, value: floatText(s.Value), meta: metaText(meta)})
			n.samples++
		}
		for _, h := range ts.Histograms {
			s := sample{ms: h.Timestamp, start: h.StartTimestamp, meta: metaText(meta)}
			h.Timestamp, h.StartTimestamp = 0, 0
			s.value = histogramText(h)
			r.sample(name, s)
			n.histograms++
		}
		for _, e := range ts.Exemplars {
			ex, err := e.ToExemplar(&b, m.Symbols)
			if err != nil {
				return n, err
			}
			if text := exemplarText(ex.Ts, ex.Value, ex.Labels); r.news(name + " exemplar " + text) {
				r.out.exemplars[name] = append(r.out.exemplars[name], text)
			}
			n.exemplars++
		}
	}
	return n, nil
}

func (r *receiver) sample(name string, s sample) {
	if r.news(name + " " + s.String()) {
		r.out.samples[name] = append(r.out.samples[name], s)
	}
}

// news tells whether something is to be taken in. What arrived before is not, where a relay that was stopped may have sent it.
func (r *receiver) news(text string) bool {
	if r.seen == nil {
		return true
	}
	if r.seen[text] {
		r.twice++
		return false
	}
	r.seen[text] = true
	return true
}

// expect begins a sequence, in which samples may come twice or not, and takes nothing more from relays before the given one.
func (r *receiver) expect(relay int, twice bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.oldest, r.out, r.seen, r.twice = relay, newGot(), nil, 0
	if twice {
		r.seen = map[string]bool{}
	}
}

// result is what arrived since expect, and what was wrong.
func (r *receiver) result() (got, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) > 0 {
		return r.out, fmt.Errorf("requests that no receiver takes: %q", r.faults)
	}
	return r.out, nil
}
