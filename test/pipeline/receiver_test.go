package pipeline

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/test/process"
)

// receiver takes remote write of both versions and keeps every sample in the order in which it came.
type receiver struct {
	address string

	mu       sync.Mutex // guards what follows
	server   *http.Server
	reply    func(exchange) answer      // nil: as a receiver that is well
	refuse   func(labels []string) bool // a series for which the whole request is answered with 400; nil: none
	series   map[string]*stored
	requests []exchange
	problems []string
	scratch  []byte
}

// exchange is one request.
type exchange struct {
	number     int // 0 for the first one
	version    int // of remote write
	at         time.Time
	attempt    string // the header Retry-Attempt
	samples    int    // with histograms
	exemplars  int
	outOfOrder int // samples not newer than what was stored of their series
	status     int // of the answer; 0 while there is none
	stored     bool
}

// answer is what a receiver does with a request.
type answer struct {
	status     int // 0: 204
	text       string
	retryAfter string
	store      bool
	silent     bool            // no headers that tell what was written
	hold       <-chan struct{} // the answer waits for it, or for the end of the connection
}

// stored is what was stored of one series.
type stored struct {
	labels  map[string]string
	samples []sample
	newest  int64
}

// sample is one sample of a series.
type sample struct {
	ms        int64
	bits      uint64 // of the value, or of the sum of a histogram
	request   int
	histogram bool
}

func (s sample) value() float64 { return math.Float64frombits(s.bits) }
func (s sample) stale() bool    { return s.bits == value.StaleNaN }

// newReceiver starts a receiver, which ends with the test.
func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := newDeadReceiver(t)
	r.up(t)
	return r
}

// newDeadReceiver is one that refuses connections.
func newDeadReceiver(t *testing.T) *receiver {
	t.Helper()
	address, err := process.FreeAddress("127.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: address, series: map[string]*stored{}}
	t.Cleanup(r.down)
	return r
}

func (r *receiver) url() string { return "http://" + r.address + "/api/v1/write" }

// up makes the receiver listen, at the same address each time.
func (r *receiver) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(r.write), ReadHeaderTimeout: time.Minute}
	r.mu.Lock()
	r.server = s
	r.mu.Unlock()
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.problem("serve: %v", err)
		}
	}()
}

// down ends all connections; new ones are refused.
func (r *receiver) down() {
	r.mu.Lock()
	s := r.server
	r.server = nil
	r.mu.Unlock()
	if s != nil {
		_ = s.Close()
	}
}

// answers sets what the receiver does from now on.
func (r *receiver) answers(f func(exchange) answer) {
	r.mu.Lock()
	r.reply = f
	r.mu.Unlock()
}

func (r *receiver) problem(format string, args ...any) {
	r.mu.Lock()
	r.problemLocked(format, args...)
	r.mu.Unlock()
}

func (r *receiver) problemLocked(format string, args ...any) {
	if len(r.problems) < 20 {
		r.problems = append(r.problems, fmt.Sprintf(format, args...))
	}
}

// write is the handler.
func (r *receiver) write(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the relay was killed
	}
	points, version, exemplars, err := decode(req.Header, body)
	if err != nil {
		r.problem("request of %d bytes: %v", len(body), err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a, n := r.take(points, exchange{version: version, at: at, attempt: req.Header.Get("Retry-Attempt"), exemplars: exemplars})
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-req.Context().Done():
			return
		}
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	if version == 2 && !a.silent {
		written := 0
		if a.store {
			written = points.count()
		}
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(written))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(exemplars))
	}
	r.mu.Lock()
	r.requests[n].status = a.status
	r.mu.Unlock()
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.text)
}

// take decides about a request and stores its samples, or does not.
func (r *receiver) take(points content, x exchange) (answer, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x.number, x.samples = len(r.requests), points.count()
	series := make([]*stored, len(points))
	newest := map[*stored]int64{}
	for i, p := range points {
		s := r.seriesLocked(p.labels)
		series[i] = s
		last, ok := newest[s]
		if !ok {
			last = s.newest
		}
		for _, one := range p.samples {
			if one.ms <= last {
				x.outOfOrder++
			}
			last = max(last, one.ms)
		}
		newest[s] = last
	}
	a := answer{store: true}
	if r.reply != nil {
		a = r.reply(x)
	}
	if r.refuse != nil && slices.ContainsFunc(points, func(p pointSet) bool { return r.refuse(p.labels) }) {
		a = answer{status: http.StatusBadRequest, text: "a series that is not taken"}
	}
	if a.status == 0 {
		a.status = http.StatusNoContent
	}
	x.stored = a.store
	if a.store {
		for i, p := range points {
			s := series[i]
			for _, one := range p.samples {
				one.request = x.number
				s.samples = append(s.samples, one)
				s.newest = max(s.newest, one.ms)
			}
		}
	}
	r.requests = append(r.requests, x)
	return a, x.number
}

// seriesLocked returns what is stored under labels, which are names and values in turn.
func (r *receiver) seriesLocked(labels []string) *stored {
	key := r.scratch[:0]
	for _, l := range labels {
		key = append(append(key, l...), 0xff)
	}
	r.scratch = key
	if s := r.series[string(key)]; s != nil {
		return s
	}
	s := &stored{labels: map[string]string{}, newest: math.MinInt64}
	for i := 0; i < len(labels); i += 2 {
		if i > 0 && labels[i] <= labels[i-2] {
			r.problemLocked("labels are not sorted: %q", labels)
		}
		if labels[i] == "" || labels[i+1] == "" {
			r.problemLocked("empty label: %q", labels)
		}
		s.labels[labels[i]] = labels[i+1]
	}
	r.series[string(key)] = s
	return s
}

// content is what a request holds.
type content []pointSet

type pointSet struct {
	labels  []string // names and values in turn
	samples []sample
}

func (c content) count() (n int) {
	for _, p := range c {
		n += len(p.samples)
	}
	return n
}

var unzstd, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))

// decode reads a request of either version.
func decode(h http.Header, body []byte) (c content, version, exemplars int, err error) {
	switch e := h.Get("Content-Encoding"); e {
	case "snappy":
		body, err = snappy.Decode(nil, body)
	case "zstd":
		body, err = unzstd.DecodeAll(body, nil)
	default:
		err = fmt.Errorf("Content-Encoding %q", e)
	}
	if err != nil {
		return nil, 0, 0, err
	}
	switch t := strings.ReplaceAll(h.Get("Content-Type"), " ", ""); t {
	case "application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest":
		c, exemplars, err = decode1(body)
		return c, 1, exemplars, errors.Join(err, wantVersion(h, "0.1.0"))
	case "application/x-protobuf;proto=io.prometheus.write.v2.Request":
		c, exemplars, err = decode2(body)
		return c, 2, exemplars, errors.Join(err, wantVersion(h, "2.0.0"))
	default:
		return nil, 0, 0, fmt.Errorf("Content-Type %q", t)
	}
}

func wantVersion(h http.Header, want string) error {
	if have := h.Get("X-Prometheus-Remote-Write-Version"); have != want {
		return fmt.Errorf("X-Prometheus-Remote-Write-Version %q, want %q", have, want)
	}
	return nil
}

func decode1(body []byte) (c content, exemplars int, err error) {
	var m prompb.WriteRequest
	if err := m.Unmarshal(body); err != nil {
		return nil, 0, err
	}
	for _, ts := range m.Timeseries {
		var p pointSet
		for _, l := range ts.Labels {
			p.labels = append(p.labels, l.Name, l.Value)
		}
		for _, s := range ts.Samples {
			p.samples = append(p.samples, sample{ms: s.Timestamp, bits: math.Float64bits(s.Value)})
		}
		for _, h := range ts.Histograms {
			p.samples = append(p.samples, sample{ms: h.Timestamp, bits: math.Float64bits(h.Sum), histogram: true})
		}
		exemplars += len(ts.Exemplars)
		c = append(c, p)
	}
	return c, exemplars, nil
}

func decode2(body []byte) (c content, exemplars int, err error) {
	var m writev2.Request
	if err := m.Unmarshal(body); err != nil {
		return nil, 0, err
	}
	if len(m.Symbols) == 0 || m.Symbols[0] != "" {
		return nil, 0, errors.New("the first symbol is not empty")
	}
	for _, ts := range m.Timeseries {
		var p pointSet
		for _, ref := range ts.LabelsRefs {
			if int(ref) >= len(m.Symbols) {
				return nil, 0, fmt.Errorf("symbol %d of %d", ref, len(m.Symbols))
			}
			p.labels = append(p.labels, m.Symbols[ref])
		}
		if len(p.labels)%2 != 0 {
			return nil, 0, fmt.Errorf("odd labels %q", p.labels)
		}
		for _, s := range ts.Samples {
			p.samples = append(p.samples, sample{ms: s.Timestamp, bits: math.Float64bits(s.Value)})
		}
		for _, h := range ts.Histograms {
			p.samples = append(p.samples, sample{ms: h.Timestamp, bits: math.Float64bits(h.Sum), histogram: true})
		}
		exemplars += len(ts.Exemplars)
		c = append(c, p)
	}
	return c, exemplars, nil
}

// matching returns the series that bear all the labels, in an order of their own; samples are copies.
func (r *receiver) matching(labels map[string]string) []stored {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []stored
	for _, key := range slices.Sorted(maps.Keys(r.series)) {
		s := r.series[key]
		if len(s.samples) > 0 && bears(s.labels, labels) {
			out = append(out, stored{labels: s.labels, samples: slices.Clone(s.samples), newest: s.newest})
		}
	}
	return out
}

// bears tells whether have holds want; an empty value wants the label to be absent.
func bears(have, want map[string]string) bool {
	for n, v := range want {
		if have[n] != v {
			return false
		}
	}
	return true
}

// log returns the requests so far.
func (r *receiver) log() []exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// totals counts what is stored; repeated and late are samples that came a second time, or after a newer one of their series.
func (r *receiver) totals() (series, samples, repeated, late int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.series {
		if len(s.samples) == 0 {
			continue
		}
		series++
		samples += len(s.samples)
		newest, seen := int64(math.MinInt64), map[int64]bool(nil)
		for i, one := range s.samples {
			if one.ms <= newest && seen == nil {
				seen = map[int64]bool{}
				for _, before := range s.samples[:i] {
					seen[before.ms] = true
				}
			}
			switch {
			case one.ms > newest:
				newest = one.ms
			case seen[one.ms]:
				repeated++
			default:
				late++
			}
			if seen != nil {
				seen[one.ms] = true
			}
		}
	}
	return series, samples, repeated, late
}

// sound fails the test if a request was not as it should be, or a series' samples were not in order or came twice.
func (r *receiver) sound(t *testing.T) {
	t.Helper()
	if _, _, repeated, late := r.totals(); repeated+late > 0 {
		t.Errorf("%d samples came twice, %d out of order", repeated, late)
	}
	r.wellFormed(t)
}

// wellFormed fails the test if a request was not as it should be.
func (r *receiver) wellFormed(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.problems {
		t.Error(p)
	}
}

// numbers returns the pages of an exporter of which the receiver has the number, in the order in which they came.
func (r *receiver) numbers(labels map[string]string) []int {
	want := maps.Clone(labels)
	if want == nil {
		want = map[string]string{}
	}
	want["__name__"] = pageSeries
	var out []int
	for _, s := range r.matching(want) {
		for _, one := range s.samples {
			if !one.stale() {
				out = append(out, int(one.value()))
			}
		}
	}
	return out
}
