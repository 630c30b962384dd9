package relay

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// receiver accepts remote write and keeps the samples, by series.
type receiver struct {
	*httptest.Server
	// answer may refuse a request: it gets the number of the request and its message, and returns a status, 0 for the usual one, and
	// answered if it has written the answer itself.
	answer func(n int, w http.ResponseWriter, series []string) int

	mu       sync.Mutex
	t        testing.TB
	requests int
	versions map[int]int
	got      map[string][]string // a line for each sample, in the order of arrival
	largest  int                 // samples in a request
	metadata map[string]string
}

const answered = -1

func newReceiver(t testing.TB) *receiver {
	r := &receiver{t: t, versions: map[int]int{}, got: map[string][]string{}, metadata: map[string]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

type line struct{ series, text string }

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	compressed, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	body, err := snappy.Decode(nil, compressed)
	if err != nil {
		r.t.Error(err)
		return
	}
	version := 1
	var lines []line
	if strings.Contains(req.Header.Get("Content-Type"), "io.prometheus.write.v2.Request") {
		version = 2
		lines = r.decode2(body)
	} else {
		lines = r.decode1(body)
	}
	var names []string
	for _, l := range lines {
		names = append(names, l.series)
	}
	r.mu.Lock()
	n := r.requests
	r.requests++
	r.mu.Unlock()
	if r.answer != nil {
		if status := r.answer(n, w, names); status != 0 {
			if status != answered {
				w.WriteHeader(status)
			}
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[version]++
	r.largest = max(r.largest, len(lines))
	for _, l := range lines {
		r.got[l.series] = append(r.got[l.series], l.text)
	}
	if version == 2 {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(len(lines)))
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) decode1(body []byte) (out []line) {
	var m prompb.WriteRequest
	if err := m.Unmarshal(body); err != nil {
		r.t.Error(err)
	}
	b := labels.NewScratchBuilder(8)
	for _, ts := range m.Timeseries {
		name := ts.ToLabels(&b, nil).String()
		for _, s := range ts.Samples {
			out = append(out, line{name, fmt.Sprintf("%d %v", s.Timestamp, s.Value)})
		}
		for _, h := range ts.Histograms {
			out = append(out, line{name, fmt.Sprintf("%d %s", h.Timestamp, h.ToIntHistogram())})
		}
		for _, e := range ts.Exemplars {
			ex := e.ToExemplar(&b, nil)
			out = append(out, line{name, fmt.Sprintf("exemplar %d %v %s", ex.Ts, ex.Value, ex.Labels)})
		}
	}
	r.mu.Lock()
	for _, md := range m.Metadata {
		r.metadata[md.MetricFamilyName] = fmt.Sprintf("%s %s %s", md.Type, md.Help, md.Unit)
	}
	r.mu.Unlock()
	return out
}

func (r *receiver) decode2(body []byte) (out []line) {
	var m writev2.Request
	if err := m.Unmarshal(body); err != nil {
		r.t.Error(err)
	}
	used := make([]bool, len(m.Symbols))
	use := func(refs ...uint32) {
		for _, ref := range refs {
			used[ref] = true
		}
	}
	b := labels.NewScratchBuilder(8)
	for _, ts := range m.Timeseries {
		use(ts.LabelsRefs...)
		use(ts.Metadata.HelpRef, ts.Metadata.UnitRef)
		ls, err := ts.ToLabels(&b, m.Symbols)
		if err != nil {
			r.t.Error(err)
		}
		if !slices.IsSortedFunc(pairs(ls), func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) }) {
			r.t.Errorf("labels are not sorted: %s", ls)
		}
		md, err := ts.ToMetadata(m.Symbols)
		if err != nil {
			r.t.Error(err)
		}
		meta := ""
		if !md.IsEmpty() {
			meta = fmt.Sprintf(" %s %q %s", md.Type, md.Help, md.Unit)
		}
		for _, s := range ts.Samples {
			out = append(out, line{ls.String(), fmt.Sprintf("%d %v st=%d%s", s.Timestamp, s.Value, s.StartTimestamp, meta)})
		}
		for _, h := range ts.Histograms {
			out = append(out, line{ls.String(), fmt.Sprintf("%d %s st=%d%s", h.Timestamp, h.ToIntHistogram(), h.StartTimestamp, meta)})
		}
		for _, e := range ts.Exemplars {
			use(e.LabelsRefs...)
			ex, err := e.ToExemplar(&b, m.Symbols)
			if err != nil {
				r.t.Error(err)
			}
			out = append(out, line{ls.String(), fmt.Sprintf("exemplar %d %v %s", ex.Ts, ex.Value, ex.Labels)})
		}
	}
	if m.Symbols[0] != "" {
		r.t.Errorf("the first symbol is %q", m.Symbols[0])
	}
	seen := map[string]bool{}
	for i, s := range m.Symbols {
		if i > 0 && !used[i] || seen[s] {
			r.t.Errorf("symbol %d, %q, is not used or stands twice", i, s)
		}
		seen[s] = true
	}
	return out
}

func pairs(ls labels.Labels) (out []labels.Label) {
	ls.Range(func(l labels.Label) { out = append(out, l) })
	return out
}

// count is how many lines came, without those that came twice.
func (r *receiver) count() (n, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, lines := range r.got {
		seen := map[string]bool{}
		for _, l := range lines {
			if seen[l] {
				twice++
			} else {
				n++
			}
			seen[l] = true
		}
	}
	return n, twice
}

// inOrder reports the series whose samples did not come in order of time. Repeated samples do not count.
func (r *receiver) inOrder(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, lines := range r.got {
		last, seen := int64(0), map[string]bool{}
		for _, l := range lines {
			if seen[l] || strings.HasPrefix(l, "exemplar") {
				continue
			}
			seen[l] = true
			ms, _, _ := strings.Cut(l, " ")
			at, err := strconv.ParseInt(ms, 10, 64)
			if err != nil || at <= last {
				t.Errorf("%s: %q after %d", name, l, last)
			}
			last = at
		}
	}
}
