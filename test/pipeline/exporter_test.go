package pipeline

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"promrelay/test/process"
	fake "promrelay/test/receiver"
)

// pageSeries is the series that has the number of the page.
const pageSeries = "test_page_number"

const textType = "text/plain; version=0.0.4; charset=utf-8"

// exporter serves pages and remembers them.
type exporter struct {
	address string
	render  func(page int, at time.Time) pageText

	mu    sync.Mutex // guards pages
	pages []served   // pages[i] has the number i+1
}

// pageText is a page: its samples, and how they are written.
type pageText struct {
	lines       []line // beside the number of the page, in the text and in what is expected
	body        []byte // nil for what the lines make
	contentType string // empty for text
	samples     int    // on the page, 0 for as many as the lines
	accept      func(header string) error
}

// served is a page that was scraped.
type served struct {
	began, ended time.Time // ended is zero while the page is not written
	lines        []line
	samples      int
}

// line is a sample on a page.
type line struct {
	name   string
	labels []string // names and values in turn
	value  float64
	ms     int64 // its own timestamp, 0 for none
}

// newExporter serves what render returns at http://127.0.0.N:PORT/metrics until the test ends.
func newExporter(t *testing.T, render func(page int, at time.Time) pageText) *exporter {
	t.Helper()
	address, err := process.FreeAddress("127.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	e := &exporter{address: address, render: render}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(t, w, r) }), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return e
}

func (e *exporter) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	e.mu.Lock()
	e.pages = append(e.pages, served{began: at})
	n := len(e.pages)
	e.mu.Unlock()
	p := e.render(n, at)
	if p.accept != nil {
		if err := p.accept(r.Header.Get("Accept")); err != nil {
			t.Errorf("page %d: %v", n, err)
		}
	}
	if p.body == nil {
		p.body = text(append([]line{{name: pageSeries, value: float64(n)}}, p.lines...))
	}
	if p.contentType == "" {
		p.contentType = textType
	}
	w.Header().Set("Content-Type", p.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(p.body)))
	_, err := w.Write(p.body)
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pages[n-1].lines, e.pages[n-1].samples = p.lines, cmp.Or(p.samples, len(p.lines)+1)
	if err == nil && r.Context().Err() == nil {
		e.pages[n-1].ended = time.Now()
	}
}

// asked returns the pages that were scraped so far.
func (e *exporter) asked() []served {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.pages)
}

// awaitPages waits until n pages were served.
func (e *exporter) awaitPages(t *testing.T, n int) {
	t.Helper()
	await(t, time.Duration(n+20)*2*time.Second, fmt.Sprintf("%d pages", n), func() error {
		if have := e.asked(); len(have) < n || have[n-1].ended.IsZero() {
			return fmt.Errorf("have %d", len(have))
		}
		return nil
	})
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// text writes lines in the exposition format.
func text(lines []line) []byte {
	var b []byte
	for i := range lines {
		b = lines[i].append(b)
	}
	return b
}

func (l *line) append(b []byte) []byte {
	b = append(b, l.name...)
	for i := 0; i < len(l.labels); i += 2 {
		b = append(b, ",{"[btoi(i == 0)])
		b = append(append(b, l.labels[i]...), `="`...)
		b = append(append(b, escapes.Replace(l.labels[i+1])...), '"')
	}
	if len(l.labels) > 0 {
		b = append(b, '}')
	}
	b = strconv.AppendFloat(append(b, ' '), l.value, 'g', -1, 64)
	if l.ms != 0 {
		b = strconv.AppendInt(append(b, ' '), l.ms, 10)
	}
	return append(b, '\n')
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// plain renders the same n series each time, with values of their own on each page.
func plain(prefix string, n int) func(page int, at time.Time) pageText {
	return func(page int, _ time.Time) pageText {
		lines := make([]line, n)
		for i := range lines {
			lines[i] = line{name: prefix + "_total", labels: []string{"i", strconv.Itoa(i)}, value: plainValue(page, i)}
		}
		return pageText{lines: lines}
	}
}

// plainValue returns values that need all the bits of a float.
func plainValue(page, i int) float64 { return float64(page) + float64(i)/7 }

// target says which series the samples of an exporter's pages become at a receiver.
type target struct {
	*exporter
	labels map[string]string // of the target, and external ones
	// change returns what relabelling should make of the labels of a series; nil if the series is dropped. A nil func changes nothing.
	change func(map[string]string) map[string]string
	// restarts tells that the relay was restarted, so that it may not remember the page before.
	restarts bool
}

// key is the name of a series.
func key(ls map[string]string) string { return labels.FromMap(ls).String() }

// expectation is what is expected of each series.
type expectation map[string][]fake.Sample

// stamps returns the timestamps that the relay gave to the pages that came to r, by the page's number.
func (g target) stamps(t *testing.T, have expectation) map[int]int64 {
	t.Helper()
	k := g.key(line{name: pageSeries})
	out := map[int]int64{}
	for _, s := range have[k] {
		if s.Stale() {
			continue
		}
		n := int(s.Value)
		if pages := g.asked(); n < 1 || n > len(pages) {
			t.Errorf("%s: page %v was not served", k, s.Value)
		} else if ahead := s.Time - pages[n-1].began.UnixMilli(); ahead > 0 || ahead < -2000 {
			t.Errorf("%s: the samples of page %d are from %d ms after it was asked for", k, n, ahead)
		}
		if _, twice := out[n]; twice {
			t.Errorf("%s: page %d came with two timestamps", k, n)
		}
		out[n] = s.Time
	}
	return out
}

// key names the series of a line; it is empty for one that is dropped.
func (g target) key(l line) string {
	ls := map[string]string{"__name__": l.name}
	for i := 0; i < len(l.labels); i += 2 {
		ls[l.labels[i]] = l.labels[i+1]
	}
	for n, v := range g.labels {
		ls[n] = v
	}
	if g.change != nil {
		if ls = g.change(ls); ls == nil {
			return ""
		}
	}
	return key(ls)
}

// expected returns what the pages with these timestamps should have become. checkReports checks report series.
func (g target) expected(stamps map[int]int64) expectation {
	out := expectation{}
	put := func(k string, s fake.Sample) {
		have := out[k]
		if k != "" && (len(have) == 0 || have[len(have)-1].Time < s.Time) {
			out[k] = append(have, s)
		}
	}
	before, last := map[string]bool{}, 0
	for i, p := range g.asked() {
		n := i + 1
		stamp, ok := stamps[n]
		if !ok {
			continue
		}
		now := map[string]bool{}
		for _, l := range append([]line{{name: pageSeries, value: float64(n)}}, p.lines...) {
			k, ms := g.key(l), stamp
			if l.ms != 0 {
				ms = l.ms
			} else {
				now[k] = true
			}
			put(k, fake.Sample{Time: ms, Value: l.value})
		}
		if !g.restarts || last == n-1 {
			for k := range before {
				if !now[k] {
					put(k, staleAt(stamp))
				}
			}
		}
		before, last = now, n
	}
	return out
}

// check compares what came of the target with what it served, and returns the pages that came.
func (g target) check(t *testing.T, have expectation) (pages map[int]int64) {
	t.Helper()
	stamps := g.stamps(t, have)
	if len(stamps) == 0 {
		t.Errorf("%s: nothing came", g.key(line{name: pageSeries}))
		return stamps
	}
	compare(t, g.expected(stamps), have, fake.Sample.Equal)
	g.checkReports(t, have, stamps)
	return stamps
}

// staleAt is a staleness marker.
func staleAt(ms int64) fake.Sample {
	return fake.Sample{Time: ms, Value: math.Float64frombits(value.StaleNaN)}
}

func byTime(a, b fake.Sample) int { return cmp.Compare(a.Time, b.Time) }

// reportNames are the series that the relay makes of a scrape.
var reportNames = []string{"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"}

// checkReports looks for one sample of each report series at each page.
func (g target) checkReports(t *testing.T, have expectation, stamps map[int]int64) {
	t.Helper()
	for _, name := range reportNames {
		k := g.key(line{name: name})
		at := map[int64]float64{}
		for _, s := range have[k] {
			at[s.Time] = s.Value
		}
		for n, ms := range stamps {
			v, ok := at[ms]
			if !ok || name == "up" && v != 1 || name == "scrape_samples_scraped" && int(v) != g.asked()[n-1].samples {
				t.Errorf("%s of page %d: have %v, %v", k, n, v, ok)
			}
		}
	}
}

// compare demands the same samples in have for every series of want, and reports the first differences.
func compare(t *testing.T, want, have expectation, same func(want, have fake.Sample) bool) {
	t.Helper()
	left := 10
	fail := func(format string, args ...any) {
		if left--; left >= 0 {
			t.Errorf(format, args...)
		}
	}
	for k, w := range want {
		h := have[k]
		for i := range max(len(w), len(h)) {
			switch {
			case i >= len(w):
				fail("%s: more than was served: %v", k, h[i:])
			case i >= len(h):
				fail("%s: %d of %d samples missing, from %v on", k, len(w)-i, len(w), w[i])
			case !same(w[i], h[i]):
				fail("%s: sample %d: have %v, want %v", k, i, h[i], w[i])
			default:
				continue
			}
			break
		}
	}
}

// onlyKnown demands that every series is one of a target of the list.
func onlyKnown(t *testing.T, have expectation, of ...target) {
	t.Helper()
	known := map[string]bool{}
	for _, g := range of {
		for _, name := range append([]string{pageSeries}, reportNames...) {
			known[g.key(line{name: name})] = true
		}
		for _, p := range g.asked() {
			for _, l := range p.lines {
				known[g.key(l)] = true
			}
		}
	}
	for k := range have {
		if !known[k] {
			t.Errorf("%s came and was not served", k)
			return
		}
	}
}
