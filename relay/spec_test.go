package relay

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

// This file serves the tests of docs/remote-write.md, which has a row for each: TestSpec1 and TestSpec2 are about the
// specifications, TestDeviation about what is different on purpose.

const (
	by1 = "protobuf_message: prometheus.WriteRequest\n"
	by2 = "protobuf_message: io.prometheus.write.v2.Request\n"
)

// wire is a receiver that keeps each request as it came.
type wire struct {
	*httptest.Server
	// answer returns the status for a request: 0 to accept it, said if it has written one itself; n counts requests.
	answer func(n int, p *posted, w http.ResponseWriter) int

	t     testing.TB
	mu    sync.Mutex
	posts []*posted
}

// posted is one request.
type posted struct {
	method, uri string
	header      http.Header
	raw         []byte // the body, compressed
	message     []byte
	version     int // as its Content-Type says
	symbols     []string
	series      []wireSeries
	at          time.Time
	answered    time.Time
	accepted    bool
}

// wireSeries is a TimeSeries of either version.
type wireSeries struct {
	labels              []labels.Label // in the order of the message
	samples, histograms []wirePoint
	exemplars           []wireExemplar
	meta                writev2.Metadata
}

type wirePoint struct {
	ms, start int64
	bits      uint64 // of the value; of histograms 0
}

type wireExemplar struct {
	labels []labels.Label
	value  float64
	ms     int64
}

func newWire(t testing.TB) *wire {
	x := &wire{t: t}
	x.Server = httptest.NewServer(x)
	t.Cleanup(x.Close)
	return x
}

func (x *wire) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p := &posted{method: req.Method, uri: req.URL.RequestURI(), header: req.Header.Clone(), at: time.Now(), version: 1}
	var err error
	if p.raw, err = io.ReadAll(req.Body); err != nil {
		return // the relay ends
	}
	if p.method == http.MethodPost {
		x.decode(p)
	}
	x.mu.Lock()
	n := len(x.posts)
	x.posts = append(x.posts, p)
	x.mu.Unlock()
	status := 0
	if x.answer != nil {
		status = x.answer(n, p, w)
	}
	x.mu.Lock()
	p.accepted, p.answered = status == 0, time.Now()
	x.mu.Unlock()
	if status == 0 {
		p.written(w, p.count(), -1)
		status = http.StatusNoContent
	}
	if status != said {
		w.WriteHeader(status)
	}
}

const said = -1

// written sets the headers by which a receiver of 2.0 says what it stored; exemplars may be -1 for all.
func (p *posted) written(w http.ResponseWriter, samples, exemplars int) {
	if p.version != 2 {
		return
	}
	histograms := 0
	all := 0
	for _, s := range p.series {
		histograms += len(s.histograms)
		all += len(s.exemplars)
	}
	if exemplars < 0 {
		exemplars = all
	}
	histograms = min(histograms, samples)
	w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(samples-histograms))
	w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(histograms))
	w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(exemplars))
}

func (x *wire) decode(p *posted) {
	var err error
	if p.message, err = snappy.Decode(nil, p.raw); err != nil {
		x.t.Errorf("the body is no block of Snappy: %v", err)
		return
	}
	if strings.Contains(p.header.Get("Content-Type"), "io.prometheus.write.v2.Request") {
		p.version = 2
		var m writev2.Request
		err = m.Unmarshal(p.message)
		p.symbols = m.Symbols
		for _, ts := range m.Timeseries {
			s := wireSeries{labels: x.resolve(p, ts.LabelsRefs), meta: ts.Metadata}
			for _, v := range ts.Samples {
				s.samples = append(s.samples, wirePoint{v.Timestamp, v.StartTimestamp, math.Float64bits(v.Value)})
			}
			for _, v := range ts.Histograms {
				s.histograms = append(s.histograms, wirePoint{ms: v.Timestamp, start: v.StartTimestamp})
			}
			for _, v := range ts.Exemplars {
				s.exemplars = append(s.exemplars, wireExemplar{x.resolve(p, v.LabelsRefs), v.Value, v.Timestamp})
			}
			p.series = append(p.series, s)
		}
	} else {
		var m prompb.WriteRequest
		err = m.Unmarshal(p.message)
		for _, ts := range m.Timeseries {
			s := wireSeries{labels: plain(ts.Labels)}
			for _, v := range ts.Samples {
				s.samples = append(s.samples, wirePoint{ms: v.Timestamp, bits: math.Float64bits(v.Value)})
			}
			for _, v := range ts.Histograms {
				s.histograms = append(s.histograms, wirePoint{ms: v.Timestamp})
			}
			for _, v := range ts.Exemplars {
				s.exemplars = append(s.exemplars, wireExemplar{plain(v.Labels), v.Value, v.Timestamp})
			}
			p.series = append(p.series, s)
		}
	}
	if err != nil {
		x.t.Errorf("version %d: %v in %s", p.version, err, hex.EncodeToString(p.message))
	}
}

func plain(ls []prompb.Label) (out []labels.Label) {
	for _, l := range ls {
		out = append(out, labels.Label{Name: l.Name, Value: l.Value})
	}
	return out
}

// resolve looks references up. Each must exist.
func (x *wire) resolve(p *posted, refs []uint32) (out []labels.Label) {
	if len(refs)%2 != 0 {
		x.t.Errorf("%d references are no pairs", len(refs))
		return nil
	}
	for i := 0; i < len(refs); i += 2 {
		if int(max(refs[i], refs[i+1])) >= len(p.symbols) {
			x.t.Errorf("references %d and %d among %d symbols", refs[i], refs[i+1], len(p.symbols))
			return nil
		}
		out = append(out, labels.Label{Name: p.symbols[refs[i]], Value: p.symbols[refs[i+1]]})
	}
	return out
}

// count is how many samples and histograms p holds.
func (p *posted) count() (n int) {
	for _, s := range p.series {
		n += len(s.samples) + len(s.histograms)
	}
	return n
}

func (s *wireSeries) name() string { return fmt.Sprint(s.labels) }

// label returns the value of one.
func (s *wireSeries) label(name string) string {
	for _, l := range s.labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// points names the samples and histograms of p.
func (p *posted) points() (out []string) {
	for _, s := range p.series {
		for _, v := range slices.Concat(s.samples, s.histograms) {
			out = append(out, fmt.Sprintf("%s %d", s.name(), v.ms))
		}
	}
	return out
}

// all returns the requests so far.
func (x *wire) all() []*posted {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.posts)
}

// stored returns how often each point came in a request that was accepted, sent how often in any.
func (x *wire) stored() map[string]int {
	return x.tally(func(p *posted) bool { return p.accepted })
}

func (x *wire) sent() map[string]int {
	return x.tally(func(*posted) bool { return true })
}

func (x *wire) tally(which func(*posted) bool) map[string]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := map[string]int{}
	for _, p := range x.posts {
		if which(p) {
			for _, l := range p.points() {
				out[l]++
			}
		}
	}
	return out
}

// once demands that n points were stored, each once.
func (x *wire) once(t *testing.T, n int) {
	t.Helper()
	got := x.stored()
	for l, times := range got {
		if times != 1 {
			t.Errorf("%s was stored %d times", l, times)
		}
	}
	if len(got) != n {
		t.Errorf("%d of %d samples were stored", len(got), n)
	}
}

// whole is the relay block of the tests: without a bound on draining, and as change makes it.
func whole(change func(*config.Relay)) config.Relay {
	r := config.DefaultRelay
	r.DrainFactor = 0
	if change != nil {
		change(&r)
	}
	return r
}

func openSpec(t testing.TB) *wal.WAL {
	w := openWAL(t, t.TempDir())
	t.Cleanup(func() { closeWAL(t, w) })
	return w
}

// play sends what fill appends, through a destination with these lines of YAML, and returns the requests.
func play(t *testing.T, more string, external labels.Labels, fill func(*wal.WAL)) []*posted {
	t.Helper()
	x := newWire(t)
	w := openSpec(t)
	r := start(t, w, Settings{Destinations: destinations(t, x.URL+"/push?tenant=a", more), ExternalLabels: external, Relay: whole(nil)})
	fill(w)
	r.drain(t)
	r.stop()
	posts := x.all()
	if len(posts) == 0 {
		t.Fatal("no request came")
	}
	return posts
}

// everything is rich for play.
func everything(t *testing.T) func(*wal.WAL) {
	return func(w *wal.WAL) { rich(t, newWriter(t, w, 1, 4)) }
}

// withSeries returns a writer with one target that has these.
func withSeries(t testing.TB, w *wal.WAL, ls ...labels.Labels) *writer {
	wr := newWriter(t, w, 1, 0)
	for _, l := range ls {
		wr.tables[0].Add(l, 0)
	}
	return wr
}

// give appends a scrape with these values.
func (w *writer) give(values ...float64) {
	w.t.Helper()
	w.now += 1000
	w.append(0, &record.Scrape{Time: w.now, Values: values})
}

// schema is what a protobuf message may hold, by number of the field.
type schema map[protowire.Number]field

type field struct {
	typ protowire.Type
	sub schema // of a message, nil for what is not looked into
}

// conform demands that b has no field but those of s.
func conform(t *testing.T, where string, b []byte, s schema) {
	t.Helper()
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("%s: %v", where, protowire.ParseError(n))
		}
		f, ok := s[number]
		if !ok || f.typ != typ {
			t.Errorf("%s: field %d of wire type %d is not in the schema", where, number, typ)
		}
		size := protowire.ConsumeFieldValue(number, typ, b[n:])
		if size < 0 {
			t.Fatalf("%s: %v", where, protowire.ParseError(size))
		}
		if f.sub != nil {
			sub, _ := protowire.ConsumeBytes(b[n:])
			conform(t, fmt.Sprintf("%s.%d", where, number), sub, f.sub)
		}
		b = b[n+size:]
	}
}

// framed reports whether b is of Snappy's framed format, which begins with this identifier.
func framed(b []byte) bool { return bytes.HasPrefix(b, []byte("\xff\x06\x00\x00sNaPpY")) }
