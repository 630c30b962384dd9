package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ts is a series of a request made by hand: the name is that of the metric.
type ts struct {
	name      string
	labels    []string // more names and values
	samples   []Sample
	exemplars []int64
}

// start is when the clock of a bubble begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// one is a series with samples at some seconds from the start, whose values are these seconds.
func one(name string, seconds ...int) ts {
	s := ts{name: name}
	for _, sec := range seconds {
		s.samples = append(s.samples, Sample{Time: start.Add(time.Duration(sec) * time.Second).UnixMilli(), Value: float64(sec)})
	}
	return s
}

func (s ts) with(labels ...string) ts { s.labels = labels; return s }

func (s ts) pairs() []string { return append([]string{"__name__", s.name}, s.labels...) }

func message1(series ...ts) []byte {
	var m prompb.WriteRequest
	for _, s := range series {
		var t prompb.TimeSeries
		for i := 0; i < len(s.pairs()); i += 2 {
			t.Labels = append(t.Labels, prompb.Label{Name: s.pairs()[i], Value: s.pairs()[i+1]})
		}
		for _, x := range s.samples {
			if x.Histogram != "" {
				t.Histograms = append(t.Histograms, prompb.Histogram{Timestamp: x.Time, Sum: x.Value})
			} else {
				t.Samples = append(t.Samples, prompb.Sample{Timestamp: x.Time, Value: x.Value})
			}
		}
		for _, ms := range s.exemplars {
			t.Exemplars = append(t.Exemplars, prompb.Exemplar{Timestamp: ms, Value: 1})
		}
		m.Timeseries = append(m.Timeseries, t)
	}
	b, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

func metadata(families ...string) []byte {
	var m prompb.WriteRequest
	for _, f := range families {
		m.Metadata = append(m.Metadata, prompb.MetricMetadata{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: f, Help: "help", Unit: "unit"})
	}
	b, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

func message2(series ...ts) []byte {
	symbols := writev2.NewSymbolTable()
	var m writev2.Request
	for _, s := range series {
		var t writev2.TimeSeries
		for _, text := range s.pairs() {
			t.LabelsRefs = append(t.LabelsRefs, symbols.Symbolize(text))
		}
		for _, x := range s.samples {
			if x.Histogram != "" {
				t.Histograms = append(t.Histograms, writev2.Histogram{Timestamp: x.Time, Sum: x.Value})
			} else {
				t.Samples = append(t.Samples, writev2.Sample{Timestamp: x.Time, Value: x.Value})
			}
		}
		for _, ms := range s.exemplars {
			t.Exemplars = append(t.Exemplars, writev2.Exemplar{Timestamp: ms, Value: 1})
		}
		m.Timeseries = append(m.Timeseries, t)
	}
	m.Symbols = symbols.Symbols()
	b, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// post makes a request of a message. More headers are names and values in turn.
func post(version int, raw []byte, header ...string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "http://receiver/api/v1/write", bytes.NewReader(snappy.Encode(nil, raw)))
	h := req.Header
	h.Set("Content-Encoding", "snappy")
	h.Set("User-Agent", "test")
	h.Set("Content-Type", "application/x-protobuf")
	h.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	if version == 2 {
		h.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		h.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return req
}

func write(version int, series ...ts) *http.Request {
	if version == 2 {
		return post(2, message2(series...))
	}
	return post(1, message1(series...))
}

// reply is an answer as a test compares it.
type reply struct {
	status  int
	written string // the three numbers, "" without headers
	text    string
	header  http.Header
}

func send(t *testing.T, r *Receiver, req *http.Request) reply {
	t.Helper()
	resp, err := r.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, name := range []string{"Samples", "Histograms", "Exemplars"} {
		if v, ok := resp.Header["X-Prometheus-Remote-Write-"+name+"-Written"]; ok {
			numbers = append(numbers, v[0])
		}
	}
	return reply{resp.StatusCode, strings.Join(numbers, "/"), strings.TrimSuffix(string(body), "\n"), resp.Header}
}

// sound fails if there are problems.
func sound(t *testing.T, r *Receiver) {
	t.Helper()
	for _, p := range append(r.Problems(), r.Parallel()...) {
		t.Error(p)
	}
}

// values is what is stored, as values by series.
func values(r *Receiver) string {
	var out []string
	for name, samples := range r.Stored() {
		text := name
		for _, s := range samples {
			text += " " + strconv.FormatFloat(s.Value, 'g', -1, 64)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// TestRecords sends a few requests and reads what is recorded.
func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Prometheus20())
		a := one("a", -3, -2)
		a.exemplars = []int64{1, 2}
		if got := send(t, r, write(2, a, one("b", -3))); got.status != 204 || got.written != "3/0/2" {
			t.Errorf("%+v", got)
		}
		if got := send(t, r, write(2, a, one("b", -2))); got.status != 400 || got.written != "2/0/1" {
			t.Errorf("repeated: %+v", got)
		}
		if got := send(t, r, write(1, one("b", -2, -1))); got.status != 204 || got.written != "" {
			t.Errorf("by 1.0: %+v", got)
		}
		sound(t, r)
		if got, want := values(r), `{__name__="a"} -3 -2; {__name__="b"} -3 -2 -1`; got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
		if got := r.Refused(); got[OutOfOrder] != 2 || len(got) != 1 {
			t.Errorf("refused %v", got)
		}
		x := r.Requests()[1]
		if x.Status != 400 || x.Version != 2 || x.Sent != (Counts{3, 0, 2}) || x.Stored != (Counts{1, 0, 0}) || x.Repeated != (Counts{1, 0, 1}) || x.Refused != 2 || x.Series != 2 {
			t.Errorf("%+v", x)
		}
		e := r.Entries()[`{__name__="a"}`]
		if len(e) != 2 || e[0].Sent != 2 || e[0].Taken != 1 || len(e[0].Refused) != 1 || e[1].Taken != 2 || e[0].Excused() {
			t.Errorf("%+v", e)
		}
	})
}

// TestServer has the receiver behind a server.
func TestServer(t *testing.T) {
	r := New(Plain())
	s := httptest.NewServer(r)
	defer s.Close()
	do := func() (*http.Response, error) {
		req := write(2, one("a", -1))
		out, err := http.NewRequest(http.MethodPost, s.URL+"/write", req.Body)
		if err != nil {
			t.Fatal(err)
		}
		out.Header = req.Header
		return s.Client().Do(out)
	}
	resp, err := do()
	if err != nil || resp.StatusCode != http.StatusNoContent || resp.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != "1" {
		t.Errorf("%v, %v", resp, err)
	}
	resp.Body.Close()
	r.Set(Plain().With(Back(LoseAnswer())))
	if resp, err := do(); err == nil {
		t.Errorf("the lost answer came: %v", resp)
	}
	if x := r.Requests(); len(x) < 2 || !x[1].Lost || x[1].Status != 0 || x[0].Stored.Samples() != 1 {
		t.Errorf("%+v", x)
	}
	sound(t, r)
}

// TestFaults goes through what happens to connections and answers.
func TestFaults(t *testing.T) {
	tests := map[string]struct {
		part   Part
		err    error // nil: an answer
		status int
		after  time.Duration
		stored bool
	}{
		"no connection": {part: OnWire(NoConnection()), err: syscall.ECONNREFUSED},
		"reset unread":  {part: OnWire(Reset()), err: syscall.ECONNRESET},
		"reset":         {part: Fault(Reset()), err: syscall.ECONNRESET},
		"lost answer":   {part: Back(LoseAnswer()), err: syscall.ECONNRESET, stored: true},
		"latency":       {part: Back(Latency(time.Second)), status: 204, after: time.Second, stored: true},
		"too late":      {part: Back(Latency(time.Minute)), err: context.DeadlineExceeded, after: 5 * time.Second, stored: true},
		"slow":          {part: Slowly(time.Second), status: 204, after: time.Second, stored: true},
		"too slow":      {part: Slowly(time.Minute), err: context.DeadlineExceeded, after: 5 * time.Second},
		"hang":          {part: Fault(Hang()), err: context.DeadlineExceeded, after: 5 * time.Second},
		"503":           {part: Fault(Status(503, "later")), status: 503},
		"page":          {part: Fault(Page(502, "502 Bad Gateway")), status: 502},
		"redirect":      {part: Fault(Redirect(302, "http://other/login", "/login")), status: 302},
		"499":           {part: Fault(QueueFull()), status: 499},
		"only 2.0":      {part: Fault(Status(500, "").When(By(2))), status: 204, stored: true},
		"only once":     {part: Fault(Status(500, "").When(First(1))), status: 500},
		"for a time":    {part: Fault(Status(500, "").When(For(time.Second))), status: 500},
		"not the first": {part: Fault(Status(500, "").When(Every(2))), status: 204, stored: true},
		"metadata only": {part: Fault(Status(500, "").When(MetadataOnly())), status: 204, stored: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(Plain().With(tt.part))
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				resp, err := r.RoundTrip(write(1, one("a", -1)).WithContext(ctx))
				if !errors.Is(err, tt.err) || err == nil && resp.StatusCode != tt.status {
					t.Errorf("%+v, %v", resp, err)
				}
				if d := time.Since(began); d != tt.after {
					t.Errorf("after %s, not %s", d, tt.after)
				}
				if got := len(r.Stored()) > 0; got != tt.stored {
					t.Errorf("stored: %t", got)
				}
				x := r.Requests()
				if len(x) != 1 || x[0].Lost != (err != nil) || x[0].Status != tt.status || !x[0].Done.Equal(time.Now()) {
					t.Errorf("%+v", x)
				}
				sound(t, r)
			})
		})
	}
}

// TestSet lets go of what hangs.
func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Plain().With(Fault(Hang())))
		done := make(chan error)
		go func() {
			_, err := r.RoundTrip(write(1, one("a", -1)))
			done <- err
		}()
		synctest.Wait()
		r.Set(Plain())
		if err := <-done; !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		send(t, r, write(1, one("a", -1)))
		if got := values(r); got != `{__name__="a"} -1` {
			t.Error(got)
		}
		sound(t, r)
	})
}

// TestProblems shows requests to the receiver that no sender may send.
func TestProblems(t *testing.T) {
	now := time.Now().UnixMilli()
	symbols := func(m writev2.Request) []byte {
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sample := []writev2.Sample{{Timestamp: now, Value: 1}}
	good2 := writev2.TimeSeries{LabelsRefs: []uint32{1, 2}, Samples: sample}
	get := httptest.NewRequest(http.MethodGet, "http://receiver/login", nil)
	twice := one("a", -1)
	other := one("a", -1)
	other.samples[0].Value = math.NaN()
	mixed := ts{name: "a", samples: []Sample{{Time: now, Value: 1}, {Time: now + 1, Value: 1, Histogram: "h"}}}
	for name, tt := range map[string]struct {
		reqs []*http.Request
		want string
	}{
		"GET":           {[]*http.Request{get}, "GET /login: a request must be a POST"},
		"no encoding":   {[]*http.Request{post(1, message1(one("a", -1)), "Content-Encoding", "")}, `Content-Encoding is ""`},
		"no agent":      {[]*http.Request{post(1, message1(one("a", -1)), "User-Agent", "")}, "no User-Agent"},
		"wrong version": {[]*http.Request{post(2, message2(one("a", -1)), "X-Prometheus-Remote-Write-Version", "0.1.0")}, `is "0.1.0", not "2.0.0"`},
		"wrong type":    {[]*http.Request{post(1, message1(one("a", -1)), "Content-Type", "text/plain")}, `Content-Type is "text/plain"`},
		"not snappy": {[]*http.Request{func() *http.Request {
			r := post(1, nil)
			r.Body = io.NopCloser(strings.NewReader("x\xff\xff"))
			return r
		}()}, "snappy's block format"},
		"no message":      {[]*http.Request{post(1, []byte("\xff"))}, "the message cannot be read"},
		"nothing":         {[]*http.Request{post(1, nil)}, "nothing in it"},
		"unsorted":        {[]*http.Request{write(1, one("a", -1).with("z", "1", "b", "1"))}, "not sorted"},
		"repeated label":  {[]*http.Request{write(1, one("a", -1).with("z", "1", "z", "2"))}, "stands twice"},
		"empty value":     {[]*http.Request{write(2, one("a", -1).with("z", ""))}, "empty label"},
		"empty name":      {[]*http.Request{write(1, ts{name: "", samples: one("", -1).samples})}, "empty label"},
		"not UTF-8":       {[]*http.Request{write(1, one("a", -1).with("z", "\xff"))}, "not UTF-8"},
		"no metric name":  {[]*http.Request{post(2, symbols(writev2.Request{Symbols: []string{"", "a", "b"}, Timeseries: []writev2.TimeSeries{good2}}))}, "no metric name"},
		"first symbol":    {[]*http.Request{post(2, symbols(writev2.Request{Symbols: []string{"x", "__name__", "b"}, Timeseries: []writev2.TimeSeries{good2}}))}, `the first symbol is "x"`},
		"unused symbol":   {[]*http.Request{post(2, symbols(writev2.Request{Symbols: []string{"", "__name__", "b", "c"}, Timeseries: []writev2.TimeSeries{good2}}))}, `symbol 3, "c", is not used`},
		"repeated symbol": {[]*http.Request{post(2, symbols(writev2.Request{Symbols: []string{"", "__name__", "b", "b"}, Timeseries: []writev2.TimeSeries{good2}}))}, `symbol 3, "b", stands twice`},
		"symbol beyond":   {[]*http.Request{post(2, symbols(writev2.Request{Symbols: []string{"", "__name__"}, Timeseries: []writev2.TimeSeries{good2}}))}, "symbol 2 of 2"},
		"odd references":  {[]*http.Request{post(2, symbols(writev2.Request{Symbols: []string{"", "__name__", "b"}, Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 1}, Samples: sample}}}))}, "odd number"},
		"no samples":      {[]*http.Request{write(2, ts{name: "a", exemplars: []int64{1}})}, "neither sample nor histogram"},
		"mixed":           {[]*http.Request{write(2, mixed)}, "samples and histograms in one TimeSeries"},
		"order within":    {[]*http.Request{write(1, one("a", -1, -2))}, "in one request"},
		"series twice":    {[]*http.Request{write(1, one("a", -1), one("a", -2))}, "in one request"},
		"order":           {[]*http.Request{write(1, one("a", -1)), write(2, one("a", -2))}, "sent for the first time after a newer one"},
		"other value":     {[]*http.Request{write(1, twice), write(1, other)}, "repeated, but not the same"},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(Plain())
			for _, req := range tt.reqs {
				send(t, r, req)
			}
			if got := r.Problems(); len(got) == 0 || !strings.Contains(fmt.Sprint(got), tt.want) {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

// TestParallel has one series in two requests at once.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Plain().With(Back(Latency(time.Second))))
		go r.RoundTrip(write(1, one("a", -2)))
		synctest.Wait()
		send(t, r, write(1, one("a", -1), one("b", -1)))
		if got := r.Parallel(); len(got) != 1 || !strings.Contains(got[0], `"a"`) {
			t.Errorf("%q", got)
		}
		time.Sleep(time.Second)
	})
}
