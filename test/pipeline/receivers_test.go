package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"promrelay/test/peers"
	fake "promrelay/test/receiver"
)

// specialValues are the values that formats and stores lose first.
var specialValues = []float64{
	0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 0.1 + 0.2, 5e-324, math.MaxFloat64, -1, 1 << 53, 1.7976931348623155e308, math.Pi,
}

// special renders special values, label values of all kinds, a classic histogram, and series that come and go.
func special(page int, _ time.Time) pageText {
	var lines []line
	for i, v := range specialValues {
		lines = append(lines, line{name: "special_value", labels: []string{"i", strconv.Itoa(i)}, value: v},
			line{name: "special_turn", labels: []string{"i", strconv.Itoa(i)}, value: specialValues[(i+page)%len(specialValues)]})
	}
	for _, l := range []string{"zwölf Boxkämpfer", "数据库", "🦊 and \"quotes\"", `back\slash`, "two\nlines", " spaces ", "{a=\"b\"}", strings.Repeat("long", 300)} {
		lines = append(lines, line{name: "special_label", labels: []string{"is", l}, value: float64(page)})
	}
	for i, le := range []string{"0.1", "2.5", "+Inf"} {
		lines = append(lines, line{name: "latency_seconds_bucket", labels: []string{"le", le}, value: float64((i + 1) * page)})
	}
	lines = append(lines, line{name: "latency_seconds_sum", value: 0.7 * float64(page)}, line{name: "latency_seconds_count", value: float64(3 * page)})
	if page%3 != 0 {
		lines = append(lines, line{name: "sometimes", value: float64(page)})
	}
	return pageText{lines: append(lines, plain("plain", 100)(page, time.Time{}).lines...)}
}

// cadvisor renders lines with timestamps of their own, some of which stay the same for two pages.
func cadvisor(page int, at time.Time) pageText {
	var lines []line
	for i := range 40 {
		ms := at.Add(-time.Duration(i) * 37 * time.Millisecond).UnixMilli()
		if i%4 == 0 {
			ms = at.Truncate(2 * time.Second).UnixMilli()
		}
		lines = append(lines, line{
			name:   "container_cpu_usage_seconds_total",
			labels: []string{"container", "app", "cpu", "total", "id", fmt.Sprintf("/kubepods/pod%d", i), "pod", fmt.Sprintf("p-%d", i)},
			value:  float64(ms) / 1000,
			ms:     ms,
		})
	}
	return pageText{lines: lines}
}

// native serves by protobuf a counter with exemplars and a native histogram of integers.
type native struct {
	registry  *prometheus.Registry
	page      prometheus.Gauge
	counter   prometheus.Counter
	histogram prometheus.Histogram
	served    []*dto.Histogram // by page, the first one at 0
}

func newNative() *native {
	n := &native{
		registry: prometheus.NewRegistry(),
		page:     prometheus.NewGauge(prometheus.GaugeOpts{Name: pageSeries, Help: "The page."}),
		counter:  prometheus.NewCounter(prometheus.CounterOpts{Name: "native_requests_total", Help: "Requests."}),
		histogram: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "native_latency_seconds", Help: "Latency.", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}),
	}
	n.registry.MustRegister(n.page, n.counter, n.histogram)
	return n
}

// render is called by one request at a time, since there is one target.
func (n *native) render(page int, _ time.Time) pageText {
	n.page.Set(float64(page))
	for i := range 20 {
		v := math.Pow(1.3, float64((page*7+i*3)%40)) / 100
		if i == 7 {
			v = -v
		}
		if i == 9 {
			v = 0
		}
		n.histogram.(prometheus.ExemplarObserver).ObserveWithExemplar(v, prometheus.Labels{"trace_id": fmt.Sprintf("h-%d-%d", page, i)})
	}
	n.counter.(prometheus.ExemplarAdder).AddWithExemplar(1.5, prometheus.Labels{"trace_id": fmt.Sprintf("c-%d", page)})
	families, err := n.registry.Gather()
	if err != nil {
		panic(err)
	}
	var buf bytes.Buffer
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	enc := expfmt.NewEncoder(&buf, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			panic(err)
		}
		if f.GetName() == "native_latency_seconds" {
			n.served = append(n.served, f.Metric[0].Histogram)
		}
	}
	return pageText{
		lines: []line{{name: "native_requests_total", value: 1.5 * float64(page)}}, samples: 3, body: buf.Bytes(), contentType: string(format),
		accept: func(header string) error {
			if !strings.HasPrefix(header, "application/vnd.google.protobuf") {
				return fmt.Errorf("asked for by Accept: %s", header)
			}
			return nil
		},
	}
}

// TestReceivers delivers to a real Prometheus, by both versions, and to a real VictoriaMetrics, and asks them for all of it.
func TestReceivers(t *testing.T) {
	long(t)
	begin := time.Now().Add(-10 * time.Second)
	prom2, err := peers.StartPrometheus(t.Context(), peers.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(prom2.Kill)
	prom1, err := peers.StartPrometheus(t.Context(), peers.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(prom1.Kill)
	vm, err := peers.StartVictoriaMetrics(t.Context(), peers.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Kill)

	values, cad, nat := newExporter(t, special), newExporter(t, cadvisor), newNative()
	hist := newExporter(t, nat.render)
	relay := startRelay(t, fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
%s%s- job_name: native
  scrape_native_histograms: true
  scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]
  static_configs: [{targets: ['%s']}]
remote_write:
- {name: prom2, url: '%s', queue_config: {batch_send_deadline: 1s}}
- {name: prom1, url: '%s', queue_config: {batch_send_deadline: 1s}, protobuf_message: prometheus.WriteRequest, send_native_histograms: true, send_exemplars: true}
- {name: vm, url: '%s', queue_config: {batch_send_deadline: 1s}}
`, staticJob("values", values), staticJob("cadvisor", cad), hist.address, prom2.WriteURL(), prom1.WriteURL(), vm.WriteURL()))
	for _, e := range []*exporter{values, cad, hist} {
		e.awaitPages(t, 20)
	}
	if n := metric(t, relay, "promrelay_relay_dropped_samples_total"); n != metric(t, relay, "promrelay_relay_dropped_samples_total", `"vm"`, `"native_histogram"`) {
		t.Errorf("promrelay_relay_dropped_samples_total is %v", n)
	}
	end := time.Now()
	stop(t, relay)

	targets := []target{values.in("values"), cad.in("cadvisor"), hist.in("native")}
	for name, c := range map[string]struct {
		receiver *peers.Receiver
		compare  func(t *testing.T, want, have expectation)
	}{
		"prometheus by 2.0": {prom2, asPrometheus},
		"prometheus by 1.0": {prom1, asPrometheus},
		"victoriametrics":   {vm, asVictoriaMetrics},
	} {
		t.Run(name, func(t *testing.T) {
			have := queried(t, c.receiver, begin, time.Now())
			total := 0
			for _, g := range targets {
				stamps := g.stamps(t, have)
				demand(t, g.labels["job"], stamps, g.whole(end))
				want := g.expected(stamps)
				c.compare(t, want, have)
				g.checkReports(t, have, stamps)
				for k := range want {
					total += len(have[k])
				}
			}
			onlyKnown(t, have, targets...)
			t.Logf("%d series with %d samples beside report series are what was served", len(have), total)
			if c.receiver != vm {
				checkHistograms(t, c.receiver, nat, hist, have, begin)
				checkExemplars(t, c.receiver, begin)
			}
		})
	}
	// The relay must say that it fell back.
	if tail := relay.Process().Tail(1000); !strings.Contains(tail, "remote write 1.0") || strings.Count(tail, "remote write 1.0 is used") != 1 {
		t.Errorf("the log does not tell once of one destination that was sent remote write 1.0:\n%s", tail)
	}
}

// queried returns everything that a receiver has of the jobs of the test. Histograms are left out.
func queried(t *testing.T, r *peers.Receiver, from, to time.Time) expectation {
	t.Helper()
	all, err := r.Select(t.Context(), `{job=~".+"}`, from, to)
	if err != nil {
		t.Fatal(err)
	}
	out := expectation{}
	for _, s := range all {
		var samples []fake.Sample
		for _, p := range s.Points {
			if p.Histogram != nil {
				continue
			}
			samples = append(samples, fake.Sample{Time: p.Time, Value: p.Value})
		}
		slices.SortStableFunc(samples, byTime)
		if len(samples) > 0 {
			out[key(s.Labels)] = samples
		}
	}
	return out
}

// asPrometheus compares with what Prometheus answers: all NaNs are written as one, and staleness markers are left out.
func asPrometheus(t *testing.T, want, have expectation) {
	t.Helper()
	for k, w := range want {
		want[k] = slices.DeleteFunc(slices.Clone(w), fake.Sample.Stale)
	}
	compare(t, want, have, func(w, h fake.Sample) bool {
		return w.Equal(h) || w.Time == h.Time && math.IsNaN(w.Value) && math.IsNaN(h.Value)
	})
}

// asVictoriaMetrics compares with what VictoriaMetrics makes of samples: it drops NaNs that are not staleness markers, knows no
// minus zero, and keeps values as decimals of 12 digits or more with one exponent for the samples of a block, so that small ones lose
// digits to large ones of the same series.
func asVictoriaMetrics(t *testing.T, want, have expectation) {
	t.Helper()
	for k, w := range want {
		w = slices.DeleteFunc(w, func(s fake.Sample) bool { return math.IsNaN(s.Value) && !s.Stale() })
		largest := 0.0
		for _, s := range w {
			if v := math.Abs(s.Value); v > largest && !math.IsInf(v, 0) {
				largest = v
			}
		}
		compare(t, expectation{k: w}, have, func(w, h fake.Sample) bool {
			v, got := w.Value, h.Value
			if w.Time != h.Time || math.IsNaN(v) || math.IsInf(v, 0) {
				return w.Time == h.Time && (math.IsNaN(v) && math.IsNaN(got) || v == got)
			}
			return math.Abs(v-got) <= max(1e-12*largest, 1e-300)
		})
	}
}

// apiHistogram is a native histogram in Prometheus's answers.
type apiHistogram struct {
	Count   float64 `json:"count,string"`
	Sum     float64 `json:"sum,string"`
	Buckets [][4]any
}

// checkHistograms compares native histograms with what was served, bucket by bucket.
func checkHistograms(t *testing.T, r *peers.Receiver, n *native, e *exporter, have expectation, from time.Time) {
	t.Helper()
	all, err := r.Select(t.Context(), `native_latency_seconds`, from, time.Now())
	if err != nil || len(all) != 1 {
		t.Fatalf("have %d series, %v", len(all), err)
	}
	got := map[int64]apiHistogram{}
	for _, p := range all[0].Points {
		var h apiHistogram
		if err := json.Unmarshal(p.Histogram, &h); err != nil {
			t.Fatal(err)
		}
		got[p.Time] = h
	}
	stamps := e.in("native").stamps(t, have)
	if len(got) != len(stamps) {
		t.Errorf("%d native histograms of %d pages", len(got), len(stamps))
	}
	buckets := 0
	for page, ms := range stamps {
		h, want := got[ms], n.served[page-1]
		if h.Count != float64(want.GetSampleCount()) || h.Sum != want.GetSampleSum() {
			t.Errorf("page %d: have count %v, sum %v, want %v, %v", page, h.Count, h.Sum, want.GetSampleCount(), want.GetSampleSum())
		}
		served := map[string]float64{}
		add := func(spans []*dto.BucketSpan, deltas []int64, sign float64) {
			index, count := int32(0), int64(0)
			for _, s := range spans {
				index += s.GetOffset()
				for range s.GetLength() {
					count += deltas[0]
					deltas = deltas[1:]
					if count != 0 {
						served[bound(sign*math.Exp2(math.Ldexp(float64(index), -int(want.GetSchema()))))] = float64(count)
					}
					index++
				}
			}
		}
		add(want.GetPositiveSpan(), want.GetPositiveDelta(), 1)
		add(want.GetNegativeSpan(), want.GetNegativeDelta(), -1)
		if want.GetZeroCount() > 0 {
			served["zero"] = float64(want.GetZeroCount())
		}
		stored := map[string]float64{}
		for _, b := range h.Buckets {
			lower, _ := strconv.ParseFloat(b[1].(string), 64)
			upper, _ := strconv.ParseFloat(b[2].(string), 64)
			count, _ := strconv.ParseFloat(b[3].(string), 64)
			switch {
			case lower < 0 && upper > 0:
				stored["zero"] = count
			case upper > 0:
				stored[bound(upper)] = count
			default:
				stored[bound(lower)] = count
			}
		}
		if !maps.Equal(served, stored) {
			t.Errorf("page %d: have buckets %v, want %v", page, stored, served)
		}
		buckets += len(stored)
	}
	t.Logf("%d native histograms with %d buckets are what was served", len(got), buckets)
}

// bound names a bucket; Prometheus's bounds and ours may differ in the last bits.
func bound(v float64) string { return strconv.FormatFloat(v, 'g', 9, 64) }

// checkExemplars demands an exemplar of the counter for nearly every page, with its value.
func checkExemplars(t *testing.T, r *peers.Receiver, from time.Time) {
	t.Helper()
	all, err := r.Exemplars(t.Context(), `native_requests_total`, from, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, e := range all {
		if ids[e.Labels["trace_id"]] || e.Value != 1.5 || !strings.HasPrefix(e.Labels["trace_id"], "c-") {
			t.Errorf("exemplar %v %v", e.Labels, e.Value)
		}
		ids[e.Labels["trace_id"]] = true
	}
	for page := 1; page <= 15; page++ {
		if !ids[fmt.Sprintf("c-%d", page)] {
			t.Errorf("the exemplar of page %d is missing", page)
		}
	}
	latency, err := r.Exemplars(t.Context(), `native_latency_seconds`, from, time.Now())
	if err != nil || len(latency) == 0 {
		t.Errorf("%d exemplars of the histogram, %v", len(latency), err)
	}
	perPage := map[string]int{}
	for _, e := range latency {
		perPage[strings.Join(strings.Split(e.Labels["trace_id"], "-")[:2], "-")]++
	}
	// By 1.0 Prometheus takes exemplars before it knows the series that only has histograms: it drops those of the first page.
	for page := 2; page <= 15; page++ {
		if n := perPage[fmt.Sprintf("h-%d", page)]; n < 8 {
			t.Errorf("%d exemplars of the histogram of page %d", n, page)
		}
	}
	t.Logf("%d exemplars of the counter, %d of the histogram", len(ids), len(latency))
}
