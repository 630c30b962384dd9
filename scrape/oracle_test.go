package scrape

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	promscrape "github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"promrelay/record"
	"promrelay/targets"
	"promrelay/wal"
)

// answer is what a target says to one scrape.
type answer struct {
	status      int
	contentType string
	body        string
	delay       time.Duration
}

// step is one interval of a sequence: at its start the configuration and the targets may change,
// then each target gives one answer.
type step struct {
	config  string            // of the job, as YAML; "" leaves it as it is
	targets []model.LabelSet  // nil leaves them as they are
	answers map[string]answer // by address; a target without one refuses the connection
}

const interval = 10 * time.Second

// got is what came of a sequence, by series: a line for each sample and exemplar, in order.
type got map[string][]string

func (g got) add(series, line string) { g[series] = append(g[series], line) }

// sampleLine writes a sample. Without metadata the line ends so that sameLine takes any.
func sampleLine(ms, st int64, v string, meta metadata.Metadata) string {
	if meta.IsEmpty() {
		return fmt.Sprintf("%d %s st=%d", ms, v, st)
	}
	return fmt.Sprintf("%d %s st=%d %s %q %s", ms, v, st, meta.Type, meta.Help, meta.Unit)
}

// sameLine compares lines. Prometheus gives no metadata with some samples of a series that has some.
func sameLine(want, have string) bool {
	return want == have || strings.HasPrefix(have, want+" ")
}

func floatText(v float64) string { return fmt.Sprintf("%x", math.Float64bits(v)) }

// histogramText shows the bits of floats, and tells nil from empty nowhere.
func histogramText(h writev2.Histogram) string {
	b, err := h.Marshal()
	if err != nil {
		return err.Error()
	}
	return hex.EncodeToString(b)
}

func exemplarLine(ms int64, v float64, ls string) string {
	return fmt.Sprintf("exemplar %d %x %s", ms, math.Float64bits(v), ls)
}

// recorder is a storage.AppendableV2 that orders samples as tsdb/agent does, but for one thing: what
// a commit brings out of order within itself is dropped too, as the TSDB would drop it.
type recorder struct {
	mu     sync.Mutex
	series map[string]*recorded
	refs   []*recorded
	mixed  map[string]bool // series that one page gives with different metadata; promrelay knows only the last
	out    got
}

type recorded struct {
	ref      storage.SeriesRef
	name     string
	last     int64
	exemplar *exemplar.Exemplar
}

func (r *recorder) AppenderV2(context.Context) storage.AppenderV2 {
	return &recorderAppender{r: r, metas: map[*recorded]metadata.Metadata{}}
}

type recorderAppender struct {
	r       *recorder
	metas   map[*recorded]metadata.Metadata // given in this transaction
	pending []func()
}

func (a *recorderAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	value := floatText(v)
	switch {
	case fh != nil:
		if err := fh.Validate(); err != nil {
			return 0, err
		}
		value = histogramText(writev2.FromFloatHistogram(0, 0, fh))
	case h != nil:
		if err := h.Validate(); err != nil {
			return 0, err
		}
		value = histogramText(writev2.FromIntHistogram(0, 0, h))
	}
	var s *recorded
	if ref == 0 {
		ls = ls.WithoutEmpty()
		if name, dup := ls.HasDuplicateLabelNames(); dup {
			return 0, fmt.Errorf("label name %q is not unique: %w", name, errInvalid)
		}
		if s = a.r.series[ls.String()]; s == nil {
			s = &recorded{name: ls.String(), last: math.MinInt64}
			a.r.refs = append(a.r.refs, s)
			s.ref = storage.SeriesRef(len(a.r.refs))
			a.r.series[s.name] = s
		}
	} else {
		s = a.r.refs[ref-1]
	}
	if t == s.last && ref != 0 {
		return s.ref, nil // as in tsdb; tsdb/agent would refuse it
	}
	if t <= s.last {
		return 0, storage.ErrOutOfOrderSample
	}
	meta := o.Metadata
	if m, ok := a.metas[s]; ok && m != meta || a.r.mixed[s.name] {
		a.r.mixed[s.name] = true
	}
	a.metas[s] = meta
	a.pending = append(a.pending, func() {
		if t <= s.last {
			return
		}
		s.last = t
		if a.r.mixed[s.name] {
			meta = metadata.Metadata{}
		}
		a.r.out.add(s.name, sampleLine(t, st, value, meta))
	})
	for _, e := range o.Exemplars {
		e.Labels = e.Labels.WithoutEmpty()
		size := 0
		e.Labels.Range(func(l labels.Label) { size += len([]rune(l.Name)) + len([]rune(l.Value)) })
		if _, dup := e.Labels.HasDuplicateLabelNames(); dup || size > exemplar.ExemplarMaxLabelSetLength || s.exemplar != nil && !newerExemplar(*s.exemplar, e) {
			continue
		}
		s.exemplar = &e
		a.pending = append(a.pending, func() { a.r.out.add(s.name, exemplarLine(e.Ts, e.Value, e.Labels.String())) })
	}
	return s.ref, nil
}

// newerExemplar is validateExemplar of tsdb's exemplar storage, which receivers have.
func newerExemplar(newest, e exemplar.Exemplar) bool {
	if newest.Equals(e) || e.Ts < newest.Ts {
		return false
	}
	return e.Ts > newest.Ts || e.Value > newest.Value || e.Value == newest.Value && e.Labels.Hash() > newest.Labels.Hash()
}

func (a *recorderAppender) Commit() error {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	for _, f := range a.pending {
		f()
	}
	return nil
}

func (a *recorderAppender) Rollback() error { return nil }

// readLog is a Log that reads records as the relay does. Its segments are short.
type readLog struct {
	mu     sync.Mutex
	groups int
	tables record.Tables
	seg    uint64
	out    got
	err    error
}

func (l *readLog) Segment() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(l.groups/7) + 1
}

func (l *readLog) Append(segment uint64, group ...wal.Frame) (wal.Position, error) {
	now := l.Segment()
	l.mu.Lock()
	defer l.mu.Unlock()
	if segment != now {
		return wal.Position{}, &wal.RotatedError{Segment: now}
	}
	l.groups++
	if now != l.seg {
		l.seg, l.tables = now, record.Tables{}
	}
	for _, f := range group {
		if err := l.read(f); err != nil && l.err == nil {
			l.err = err
		}
	}
	return wal.Position{}, nil
}

func (l *readLog) read(f wal.Frame) error {
	if f.Type == record.FrameTable {
		_, err := l.tables.Apply(f.Payload)
		return err
	}
	var s record.Scrape
	t, missing, err := l.tables.Scrape(f.Payload, &s)
	if err != nil || missing > 0 {
		return fmt.Errorf("%d missing, %w", missing, err)
	}
	if s.Samples() != int(f.Count) {
		return fmt.Errorf("%d samples in a frame that says %d", s.Samples(), f.Count)
	}
	names := make([]string, t.Len())
	metas := make([]metadata.Metadata, t.Len())
	b := labels.NewScratchBuilder(16)
	c := t.Cursor()
	for row := 0; c.Next(); row++ {
		names[row] = c.Labels(&b).String()
		if n := t.Meta(uint32(row)); n != 0 {
			typ, _, help, unit := t.Entry(n)
			metas[row] = metadata.Metadata{Type: typ, Help: string(t.Symbols().Bytes(help)), Unit: string(t.Symbols().Bytes(unit))}
		}
	}
	for row, v := range s.Values {
		if !s.Present.Has(row) {
			continue
		}
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		start := t.Start(uint32(row))
		if isStaleNaN(v) {
			start = 0
		}
		l.out.add(names[row], sampleLine(ms, start, floatText(v), metas[row]))
	}
	for _, e := range s.Irregular {
		switch e.Kind {
		case record.Sample:
			l.out.add(names[e.Row], sampleLine(e.Time, e.Start, floatText(e.Value), metas[e.Row]))
		case record.Histogram:
			var h writev2.Histogram
			if err := h.Unmarshal(e.Histogram); err != nil {
				return err
			}
			l.out.add(names[e.Row], sampleLine(e.Time, e.Start, histogramText(h), metas[e.Row]))
		case record.Exemplar:
			l.out.add(names[e.Row], exemplarLine(e.Time, e.Value, labels.FromStrings(e.Labels...).String()))
		}
	}
	return nil
}

// exporter answers the scrapes of one scraper, over connections in memory. It runs in the bubble of a test.
type exporter struct {
	mu      sync.Mutex
	answers map[string]answer
	conns   chan net.Conn
	server  *http.Server
}

func newExporter() *exporter {
	e := &exporter{conns: make(chan net.Conn)}
	e.server = &http.Server{Handler: e}
	go e.server.Serve(e)
	return e
}

func (e *exporter) Accept() (net.Conn, error) {
	c, ok := <-e.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (e *exporter) Close() error   { return nil }
func (e *exporter) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (e *exporter) stop() {
	close(e.conns)
	e.server.Close()
	time.Sleep(interval) // for answers that are still on their way
}

func (e *exporter) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	e.mu.Lock()
	_, ok := e.answers[addr]
	e.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("connection to %s refused", addr)
	}
	near, far := net.Pipe()
	e.conns <- far
	return near, nil
}

func (e *exporter) set(answers map[string]answer) {
	e.mu.Lock()
	e.answers = answers
	e.mu.Unlock()
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	a, ok := e.answers[r.Host]
	e.mu.Unlock()
	if !ok {
		panic(http.ErrAbortHandler)
	}
	time.Sleep(a.delay)
	w.Header()["Content-Type"] = nil
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(a.status)
	w.Write([]byte(a.body))
}

// options makes connections go to e.
func (e *exporter) options() []config_util.HTTPClientOption {
	return []config_util.HTTPClientOption{config_util.WithDialContextFunc(e.dial), config_util.WithKeepAlivesDisabled()}
}

func loadJob(t testing.TB, yaml string) *promconfig.Config {
	t.Helper()
	text := "global:\n  scrape_interval: 10s\n  scrape_timeout: 5s\nscrape_configs:\n- job_name: job\n"
	for line := range strings.Lines(yaml) {
		text += "  " + line
	}
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// runPrometheus runs the sequence through prometheus/scrape.
func runPrometheus(t testing.TB, steps []step) got {
	e := newExporter()
	defer e.stop()
	r := &recorder{series: map[string]*recorded{}, mixed: map[string]bool{}, out: got{}}
	o := &promscrape.Options{
		AppendMetadata: true, ParseST: parseST(steps), HTTPClientOptions: e.options(),
		DiscoveryReloadInterval: model.Duration(time.Millisecond), DiscoveryReloadOnStartup: true,
	}
	fqdn := reflect.ValueOf(o).Elem().FieldByName("fqdn") // else it asks the DNS, which a bubble must not
	*(*string)(unsafe.Pointer(fqdn.UnsafeAddr())) = "host"
	m, err := promscrape.NewManager(o, nil, nil, nil, r, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	sets := make(chan map[string][]*targetgroup.Group)
	done := make(chan struct{})
	go func() { m.Run(sets); close(done) }()
	play(t, e, steps, func(c *promconfig.Config, group *targetgroup.Group) {
		if c != nil {
			if err := m.ApplyConfig(c); err != nil {
				t.Fatal(err)
			}
		}
		sets <- map[string][]*targetgroup.Group{"job": {group}}
	})
	m.Stop()
	<-done
	return r.out
}

// parseST tells whether start timestamps can be compared: promrelay takes them from protobuf alone. (With OpenMetrics
// text Prometheus would drop the _created series for them, and an exemplar that is cut short makes it spin for ever.)
func parseST(steps []step) bool {
	for _, s := range steps {
		for _, a := range s.answers {
			if strings.HasPrefix(a.contentType, "application/openmetrics-text") {
				return false
			}
		}
		if strings.Contains(s.config, "fallback_scrape_protocol: OpenMetrics") {
			return false
		}
	}
	return true
}

// runRelay runs the sequence through the package under test.
func runRelay(t testing.TB, steps []step) got {
	e := newExporter()
	defer e.stop()
	log := &readLog{out: got{}}
	p, err := New(Options{Log: log, Guard: NewGuard()})
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "host%s", labels.EmptyLabels())
	p.offsetSeed = h.Sum64()
	p.clients.options = e.options()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	var job *targets.Job
	var all []*targets.Target
	play(t, e, steps, func(c *promconfig.Config, group *targetgroup.Group) {
		if c != nil {
			job = &targets.Job{Name: "job", Config: c.ScrapeConfigs[0]}
		}
		next, err := targets.FromGroup(job, group)
		if err != nil {
			t.Fatal(err)
		}
		change := targets.Change{Job: job, Added: next}
		for _, old := range all {
			if !slices.ContainsFunc(next, func(n *targets.Target) bool { return n.Hash == old.Hash }) {
				change.Removed = append(change.Removed, old)
			}
		}
		all = next
		p.Apply([]targets.Change{change})
	})
	cancel()
	<-done
	if log.err != nil {
		t.Fatal(log.err)
	}
	return log.out
}

// play goes through the steps in time. Changes come at the start of a step, answers change with it.
func play(t testing.TB, e *exporter, steps []step, apply func(*promconfig.Config, *targetgroup.Group)) {
	// An odd time, so that no scrape falls on the border of two steps.
	time.Sleep(time.Until(time.Now().Truncate(interval).Add(interval + 7*time.Millisecond)))
	var last *targetgroup.Group
	for _, s := range steps {
		e.set(s.answers)
		var c *promconfig.Config
		var group *targetgroup.Group
		if s.config != "" {
			c = loadJob(t, s.config)
		}
		if s.targets != nil {
			group = &targetgroup.Group{Source: "static", Targets: s.targets}
		}
		if group != nil {
			last = group
		}
		if c != nil || group != nil {
			apply(c, last) // after a change of configuration discovery starts anew, too
		}
		time.Sleep(interval)
	}
	prompt := map[string]answer{} // so that no scrape is under way at the end
	for addr, a := range steps[len(steps)-1].answers {
		a.delay = 0
		prompt[addr] = a
	}
	e.set(prompt)
	time.Sleep(4 * interval) // staleness markers of what has gone
	synctest.Wait()
}

// compare runs the sequence both ways and tells the differences.
func compare(t *testing.T, steps []step) string {
	var want, have got
	synctest.Test(t, func(t *testing.T) { want = runPrometheus(t, steps) })
	synctest.Test(t, func(t *testing.T) { have = runRelay(t, steps) })
	if len(want) == 0 {
		t.Fatal("the sequence leads to no samples at all")
	}
	if !parseST(steps) {
		for _, lines := range have {
			for i, l := range lines {
				lines[i] = startStamp.ReplaceAllString(l, " st=0")
			}
		}
	}
	return diff(want, have)
}

var startStamp = regexp.MustCompile(` st=\d+`)

func diff(want, have got) string {
	var out strings.Builder
	names := map[string]bool{}
	for n := range want {
		names[n] = true
	}
	for n := range have {
		names[n] = true
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	for _, n := range sorted {
		if slices.EqualFunc(want[n], have[n], sameLine) {
			continue
		}
		if d := cmp.Diff(want[n], have[n]); d != "" {
			fmt.Fprintf(&out, "%s (-prometheus +promrelay):\n%s\n", n, d)
		}
	}
	return out.String()
}

func isStaleNaN(v float64) bool { return math.Float64bits(v) == 0x7ff0000000000002 }
