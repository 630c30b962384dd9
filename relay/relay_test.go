package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver takes remote write and keeps what it got, by series.
type receiver struct {
	*httptest.Server
	// answer may refuse a request: it gets the number of the request and its message, and returns a status, 0 for the usual one.
	answer func(n int, w http.ResponseWriter, series []string) int

	mu       sync.Mutex
	t        testing.TB
	requests int
	versions map[int]int
	got      map[string][]string // a line for each sample, in the order of arrival
	largest  int                 // samples in a request
	metadata map[string]string
}

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
			w.WriteHeader(status)
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

// inOrder tells the series whose samples, repeated ones left out, did not come in order of time.
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

// writer appends scrapes to a log as the scrape room does.
type writer struct {
	t       testing.TB
	wal     *wal.WAL
	tables  []*record.Table
	written []uint64 // the segment in which each was written last
	now     int64
	samples int
}

func openWAL(t testing.TB, dir string) *wal.WAL {
	t.Helper()
	w, err := wal.Open(wal.Options{Dir: dir, SegmentBytes: 64 << 10, MinFreeBytes: -1, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// newWriter makes targets with some series each, with metadata.
func newWriter(t testing.TB, w *wal.WAL, targets, series int) *writer {
	wr := &writer{t: t, wal: w, now: time.Now().UnixMilli()}
	for i := range targets {
		table := record.NewTable(uint64(i + 1))
		s := table.Symbols()
		for j := range series {
			row := table.Add(labels.FromStrings("__name__", fmt.Sprintf("metric_%d_total", j%7), "n", strconv.Itoa(j), "target", strconv.Itoa(i)), 0)
			table.SetMeta(row, table.Metadata(model.MetricTypeCounter, s.Intern([]byte(fmt.Sprintf("metric_%d", j%7))), s.Intern([]byte("Help.")), s.Intern([]byte("seconds"))))
		}
		wr.tables = append(wr.tables, table)
		wr.written = append(wr.written, 0)
	}
	return wr
}

// scrape appends one scrape of each target.
func (w *writer) scrape() {
	w.t.Helper()
	w.now += 1000
	for i, table := range w.tables {
		s := &record.Scrape{Time: w.now, Values: make([]float64, table.Len())}
		for row := range s.Values {
			s.Values[row] = float64(w.now%100000) + float64(row)
		}
		w.append(i, s)
	}
}

func (w *writer) append(i int, s *record.Scrape) {
	w.t.Helper()
	for {
		seg := w.wal.Segment()
		var group []wal.Frame
		if w.written[i] != seg {
			group = append(group, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.tables[i].AppendFull(nil, s.Values, s.Present)})
		} else if w.tables[i].Dirty() {
			group = append(group, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.tables[i].AppendDelta(nil)})
		}
		group = append(group, wal.Frame{Type: record.FrameScrape, Count: uint32(s.Samples()), Payload: record.AppendScrape(nil, w.tables[i], s)})
		_, err := w.wal.Append(seg, group...)
		if rotated := (*wal.RotatedError)(nil); errors.As(err, &rotated) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		w.written[i] = seg
		w.samples += s.Samples()
		return
	}
}

// dest is a remote_write block for url, with more lines of YAML.
func dest(t testing.TB, url, more string) config.Destination {
	t.Helper()
	text := "remote_write:\n- url: " + url + "\n"
	for l := range strings.Lines(more) {
		text += "  " + l
	}
	if !strings.Contains(more, "queue_config") {
		text += "\n  queue_config: {batch_send_deadline: 20ms, min_backoff: 5ms, max_backoff: 20ms}\n"
	}
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	rw := c.RemoteWriteConfigs[0]
	d := config.Destination{RemoteWriteConfig: rw, Negotiate: !strings.Contains(more, "protobuf_message")}
	if strings.Contains(more, "send_exemplars") {
		d.Exemplars = &rw.SendExemplars
	}
	if strings.Contains(more, "send_native_histograms") {
		d.NativeHistograms = &rw.SendNativeHistograms
	}
	return d
}

// running is a relay under test.
type running struct {
	*Relay
	stop func()
}

func start(t testing.TB, w *wal.WAL, s Settings, change ...func(*Relay)) *running {
	t.Helper()
	r, err := New(Options{WAL: w, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	r.pace.hold = 50 * time.Millisecond
	for _, f := range change {
		f(r)
	}
	if s.Relay == (config.Relay{}) {
		s.Relay = config.DefaultRelay
		s.Relay.DrainFactor = 0
	}
	if err := r.Apply(s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	x := &running{Relay: r}
	x.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(x.stop)
	return x
}

// drain waits until everything is delivered.
func (r *running) drain(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		t.Fatalf("%v; %+v", err, r.Statuses())
	}
}

func closeWAL(t testing.TB, w *wal.WAL) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func setup(t testing.TB) (*wal.WAL, *receiver) {
	w := openWAL(t, t.TempDir())
	t.Cleanup(func() { closeWAL(t, w) })
	return w, newReceiver(t)
}

// rich appends a scrape with everything that a record can hold.
func rich(t *testing.T, w *writer) {
	h := &histogram.Histogram{Schema: 1, Count: 3, Sum: 7, ZeroThreshold: 0.01, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1}}
	m := writev2.FromIntHistogram(0, 0, h)
	hb, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	table := w.tables[0]
	table.SetStart(1, 500)
	s := &record.Scrape{Time: 10_000, Present: record.Bits{0b1011}, Values: []float64{1, 2.5, 0, math.Inf(1)}, Times: []int64{9000, 10_000, 0, 9500}}
	s.Irregular = []record.Irregular{
		{Kind: record.Exemplar, Row: 1, Time: 9999, Value: 0.25, Labels: []string{"trace_id", "abc"}},
		{Kind: record.Histogram, Row: 2, Time: 10_000, Start: 77, Histogram: hb},
		{Kind: record.Sample, Row: 0, Time: 10_001, Value: math.Copysign(0, -1), Start: 3},
	}
	w.append(0, s)
}

func TestDeliver(t *testing.T) {
	tests := map[string]struct {
		more string
		want map[string][]string
	}{
		"2.0": {want: map[string][]string{
			`{__name__="metric_0_total", cluster="c1", n="0", target="0"}`: {`9000 1 st=0 counter "Help." seconds`, `10001 -0 st=3 counter "Help." seconds`},
			`{__name__="metric_1_total", cluster="c1", n="1", target="0"}`: {`10000 2.5 st=500 counter "Help." seconds`, `exemplar 9999 0.25 {trace_id="abc"}`},
			`{__name__="metric_2_total", cluster="c1", n="2", target="0"}`: {`10000 {count:3, sum:7, (0.7071067811865475,1]:1, (1,1.414213562373095]:2} st=77 counter "Help." seconds`},
			`{__name__="metric_3_total", cluster="c1", n="3", target="0"}`: {`9500 +Inf st=0 counter "Help." seconds`},
		}},
		"1.0 with all it can": {
			more: "protobuf_message: prometheus.WriteRequest\nsend_exemplars: true\nsend_native_histograms: true\n",
			want: map[string][]string{
				`{__name__="metric_0_total", cluster="c1", n="0", target="0"}`: {`9000 1`, `10001 -0`},
				`{__name__="metric_1_total", cluster="c1", n="1", target="0"}`: {`10000 2.5`, `exemplar 9999 0.25 {trace_id="abc"}`},
				`{__name__="metric_2_total", cluster="c1", n="2", target="0"}`: {`10000 {count:3, sum:7, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}`},
				`{__name__="metric_3_total", cluster="c1", n="3", target="0"}`: {`9500 +Inf`},
			},
		},
		"1.0 as it comes": {
			more: "protobuf_message: prometheus.WriteRequest\n",
			want: map[string][]string{
				`{__name__="metric_0_total", cluster="c1", n="0", target="0"}`: {`9000 1`, `10001 -0`},
				`{__name__="metric_1_total", cluster="c1", n="1", target="0"}`: {`10000 2.5`},
				`{__name__="metric_3_total", cluster="c1", n="3", target="0"}`: {`9500 +Inf`},
			},
		},
		"relabelled": {
			more: "write_relabel_configs:\n- {source_labels: [n], regex: '[03]', action: drop}\n- {source_labels: [cluster], target_label: region, replacement: 'r-${1}'}\n- {regex: target, action: labeldrop}\nsend_native_histograms: false\nsend_exemplars: false\n",
			want: map[string][]string{
				`{__name__="metric_1_total", cluster="c1", n="1", region="r-c1"}`: {`10000 2.5 st=500 counter "Help." seconds`},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, recv := setup(t)
			r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, tt.more)}, ExternalLabels: labels.FromStrings("cluster", "c1", "n", "never")})
			rich(t, newWriter(t, w, 1, 4))
			r.drain(t)
			if d := cmp.Diff(tt.want, recv.got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestMany sends many targets over several segments and shards, with destinations that want different things.
func TestMany(t *testing.T) {
	for _, shards := range []int{1, 4} {
		for _, proto := range []string{"", "protobuf_message: prometheus.WriteRequest\n"} {
			t.Run(fmt.Sprintf("%d shards %s", shards, proto), func(t *testing.T) {
				w, recv := setup(t)
				queue := fmt.Sprintf("queue_config: {batch_send_deadline: 20ms, min_shards: %d, max_samples_per_send: 300}\n", shards)
				r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, proto+queue)}})
				wr := newWriter(t, w, 5, 200)
				for i := range 40 {
					if i == 20 { // the targets grow
						for _, table := range wr.tables {
							table.Add(labels.FromStrings("__name__", "late", "target", table.String()), 0)
						}
					}
					wr.scrape()
				}
				r.drain(t)
				n, twice := recv.count()
				if n != wr.samples || twice != 0 || recv.largest > 300 {
					t.Errorf("%d of %d samples arrived, %d twice, up to %d in a request", n, wr.samples, twice, recv.largest)
				}
				recv.inOrder(t)
			})
		}
	}
}

// TestAnswers goes through what a receiver may answer before it takes what it gets.
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
				if n == 0 {
					header(w, "X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(len(series)-7))
					return 400
				}
				return 0
			},
			lost: 7,
		},
		"400 to 2.0 for exemplars": {
			answer: func(n int, w http.ResponseWriter, series []string) int {
				if n == 0 {
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
				if s := r.Statuses()[0]; s.Refused != tt.lost || (s.Refusal != "") != (tt.lost > 0) {
					t.Errorf("status: %+v", s)
				}
			}
			if n != want || twice != 0 {
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

// TestRestart lets the receiver be away, and the relay end and start, with samples before and after.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	recv := newReceiver(t)
	var up sync.Map
	recv.answer = func(int, http.ResponseWriter, []string) int {
		if _, ok := up.Load("up"); ok {
			return 0
		}
		return 503
	}
	settings := Settings{Destinations: []config.Destination{dest(t, recv.URL, "")}}
	total := 0
	now := time.Now().UnixMilli()
	for life := range 4 {
		w := openWAL(t, dir)
		r := start(t, w, settings)
		wr := newWriter(t, w, 3, 50)
		wr.now = now
		if life == 3 {
			up.Store("up", true)
		}
		for range 30 {
			wr.scrape()
		}
		now = wr.now
		total += wr.samples
		if life == 3 {
			r.drain(t)
		}
		r.stop()
		closeWAL(t, w)
	}
	n, twice := recv.count()
	if n != total || twice != 0 {
		t.Errorf("%d of %d samples arrived, %d twice", n, total, twice)
	}
	recv.inOrder(t)
}

// TestLag lets one destination hang until the feed has long gone on; the other one does not notice.
func TestLag(t *testing.T) {
	w, recv := setup(t)
	slow := newReceiver(t)
	release := make(chan struct{})
	slow.answer = func(int, http.ResponseWriter, []string) int { <-release; return 0 }
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "name: fast\n"), dest(t, slow.URL, "name: slow\n")}},
		func(r *Relay) { r.feed.limit = 64 << 10 })
	wr := newWriter(t, w, 10, 200)
	for range 20 {
		wr.scrape()
	}
	wait(t, "the fast one to be done", func() bool { n, _ := recv.count(); return n == wr.samples })
	r.feed.mu.Lock()
	gone := r.feed.first
	r.feed.mu.Unlock()
	if gone == 0 {
		t.Error("the feed holds everything; the test shows nothing")
	}
	close(release)
	r.drain(t)
	n, twice := slow.count()
	if n != wr.samples || twice != 0 {
		t.Errorf("%d of %d samples arrived at the slow one, %d twice", n, wr.samples, twice)
	}
	slow.inOrder(t)
}

func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// TestApply edits the configuration under way.
func TestApply(t *testing.T) {
	w, recv := setup(t)
	other := newReceiver(t)
	named := func(url, more string) config.Destination { return dest(t, url, "name: a\n"+more) }
	plain := config.DefaultRelay
	r := start(t, w, Settings{Destinations: []config.Destination{named(recv.URL, "")}})
	wr := newWriter(t, w, 1, 10)
	wr.scrape()
	wait(t, "the first scrape", func() bool { n, _ := recv.count(); return n == 10 })

	// Another URL under the same name goes on where the old one stopped; a new destination starts now.
	moved := newReceiver(t)
	if err := r.Apply(Settings{Destinations: []config.Destination{named(moved.URL, "headers: {X-Token: new}\n"), dest(t, other.URL, "")}, Relay: plain}); err != nil {
		t.Fatal(err)
	}
	wr.scrape()
	wait(t, "the second scrape", func() bool {
		n, _ := moved.count()
		m, _ := other.count()
		return n == 10 && m == 10
	})
	if err := r.Apply(Settings{Destinations: []config.Destination{dest(t, other.URL, ""), dest(t, other.URL, "")}, Relay: plain}); err == nil || !strings.Contains(err.Error(), "give each a name") {
		t.Errorf("two destinations of one URL: %v", err)
	}
	// A removed one that comes again within the grace goes on where it stopped.
	if err := r.Apply(Settings{Destinations: []config.Destination{dest(t, other.URL, "")}, Relay: plain}); err != nil {
		t.Fatal(err)
	}
	wr.scrape()
	wait(t, "the third scrape", func() bool { n, _ := other.count(); return n == 20 })
	if err := r.Apply(Settings{Destinations: []config.Destination{dest(t, other.URL, ""), named(moved.URL, "")}, Relay: plain}); err != nil {
		t.Fatal(err)
	}
	wr.scrape()
	r.drain(t)
	if n, _ := moved.count(); n != 30 {
		t.Errorf("the destination that came again has %d samples, not those of three scrapes", n)
	}
	if n, _ := recv.count(); n != 10 {
		t.Errorf("the old URL has %d samples, not those of one scrape", n)
	}
}

// TestDamage flips a byte of a record that was not sent yet: what is lost is counted to the sample.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	w := openWAL(t, dir)
	recv := newReceiver(t)
	settings := Settings{Destinations: []config.Destination{dest(t, recv.URL, "")}}
	if _, err := w.Destination(settings.Destinations[0].ID()); err != nil {
		t.Fatal(err)
	}
	wr := newWriter(t, w, 1, 50)
	for range 10 {
		wr.scrape()
	}
	closeWAL(t, w)
	segments, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := false
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err == nil && len(b) > 2000 {
			b[len(b)-300] ^= 4 // in one of the last scrapes
			flipped = true
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !flipped {
		t.Fatalf("no segment among %v", segments)
	}
	w = openWAL(t, dir)
	defer closeWAL(t, w)
	r := start(t, w, settings)
	after := newWriter(t, w, 1, 50)
	after.now = wr.now
	after.scrape()
	r.drain(t)
	n, _ := recv.count()
	if lost := wr.samples + after.samples - n; lost != 50 {
		t.Errorf("%d samples are lost, not those of one scrape", lost)
	}
	r.stop()
}

// TestMetadata is about remote write 1.0, which has metadata in requests of its own.
func TestMetadata(t *testing.T) {
	w, recv := setup(t)
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "protobuf_message: prometheus.WriteRequest\nmetadata_config: {send_interval: 30ms, max_samples_per_send: 3}\n")}},
		func(r *Relay) { r.pace.tell = 0 })
	wr := newWriter(t, w, 1, 20)
	wr.scrape()
	wait(t, "metadata", func() bool {
		wr.scrape()
		recv.mu.Lock()
		defer recv.mu.Unlock()
		return len(recv.metadata) == 7
	})
	r.drain(t)
	if got := recv.metadata["metric_3"]; got != "COUNTER Help. seconds" {
		t.Errorf("metadata of metric_3: %q", got)
	}
	if n, twice := recv.count(); n != wr.samples || twice != 0 {
		t.Errorf("%d of %d samples arrived, %d twice", n, wr.samples, twice)
	}
}

func TestWantedShards(t *testing.T) {
	const window = 10 * time.Second
	tests := map[string]struct {
		now           int
		blocked, busy time.Duration
		retried       bool
		want          int
	}{
		"requests wait":  {now: 2, blocked: 6 * time.Second, busy: 20 * time.Second, want: 4},
		"at the most":    {now: 8, blocked: 6 * time.Second, busy: 80 * time.Second, want: 8},
		"idle":           {now: 4, busy: 3 * time.Second, want: 2},
		"at the least":   {now: 1, want: 1},
		"just right":     {now: 4, blocked: time.Second, busy: 30 * time.Second, want: 4},
		"receiver fails": {now: 2, blocked: 10 * time.Second, busy: 20 * time.Second, retried: true, want: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := wantedShards(tt.now, 1, 8, tt.blocked, tt.busy, window, tt.retried); got != tt.want {
				t.Errorf("%d shards, want %d", got, tt.want)
			}
		})
	}
}

// TestReshard changes the number of shards under way.
func TestReshard(t *testing.T) {
	w, recv := setup(t)
	recv.answer = func(int, http.ResponseWriter, []string) int { time.Sleep(time.Millisecond); return 0 }
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "queue_config: {batch_send_deadline: 20ms, max_samples_per_send: 20, min_backoff: 5ms}\n")}},
		func(r *Relay) { r.pace.review = 20 * time.Millisecond })
	wr := newWriter(t, w, 4, 200)
	most := 0
	for i := range 60 {
		wr.scrape()
		most = max(most, r.Statuses()[0].Shards)
		if i%10 == 0 {
			time.Sleep(30 * time.Millisecond)
		}
	}
	r.drain(t)
	n, twice := recv.count()
	if n != wr.samples || twice != 0 || most < 2 {
		t.Errorf("%d of %d samples arrived, %d twice, by up to %d shards", n, wr.samples, twice, most)
	}
	recv.inOrder(t)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-3":                            0,
		"99999999":                      maxRetryAfter,
		"Thu, 01 Jan 2026 00:00:05 GMT": 5 * time.Second,
		"Thu, 01 Jan 2025 00:00:05 GMT": 0,
		"soon":                          0,
	}
	for v, want := range tests {
		if got := retryAfter(v, now); got != want {
			t.Errorf("Retry-After %q means %s, want %s", v, got, want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, proto := range []string{"protobuf_message: io.prometheus.write.v2.Request\n", "protobuf_message: prometheus.WriteRequest\n"} {
		b.Run(strings.Fields(proto)[1], func(b *testing.B) {
			w := openWAL(b, b.TempDir())
			defer closeWAL(b, w)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
			}))
			defer srv.Close()
			r, err := New(Options{WAL: w})
			if err != nil {
				b.Fatal(err)
			}
			d, err := r.destination(Settings{Destinations: []config.Destination{dest(b, srv.URL, proto)}, ExternalLabels: labels.FromStrings("cluster", "c1")})
			if err != nil {
				b.Fatal(err)
			}
			wr := newWriter(b, w, 1, 2500)
			wr.scrape()
			reader, err := w.NewReader(w.Tail())
			if err != nil {
				b.Fatal(err)
			}
			defer reader.Close()
			dec := decoder{log: r.log, metrics: r.metrics}
			var blk block
			for blk.table == nil {
				e, _, err := reader.TryNext()
				if err != nil {
					b.Fatal(err)
				}
				dec.decode(e, &blk)
			}
			d.most = 1 << 30
			s := &shard{batch: batch{version: d.version, symbols: &d.catalog.symbols}, queue: make(chan *request, 1)}
			d.shards = []*shard{s}
			var size, packed int
			for b.Loop() {
				d.encode(context.Background(), nil, &blk)
				if len(s.queue) > 0 {
					b.Fatal("sealed early")
				}
				q := s.batch.seal()
				size, packed = q.size, len(q.payload)
				s.from = nil
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*2500), "ns/sample")
			b.ReportMetric(float64(size)/2500, "bytes/sample")
			b.ReportMetric(float64(packed)/2500, "packed-bytes/sample")
		})
	}
}
