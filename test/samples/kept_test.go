package samples

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"
)

const stale = "7ff0000000000002"

// pages is a sequence in which one target serves these pages.
func pages(config, contentType string, bodies ...string) []step {
	steps := make([]step, len(bodies))
	for i, body := range bodies {
		steps[i].answers = map[string]answer{addressA: {status: 200, contentType: contentType, body: body}}
	}
	steps[0].configs = map[string]string{"job": config}
	steps[0].targets = map[string][]model.LabelSet{"job": {{"__address__": addressA, "zone": "z1"}}}
	return steps
}

func delimited(families ...*dto.MetricFamily) string {
	var out []byte
	for _, f := range families {
		b, err := proto.Marshal(f)
		if err != nil {
			panic(err)
		}
		out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
	}
	return string(out)
}

// mixedPage gives one series as a float and as native histograms, in turn.
func mixedPage() string {
	const start = 946684800000 + 10_000
	h := func(ms int64) *dto.MetricFamily {
		return &dto.MetricFamily{Name: proto.String("m"), Help: proto.String("Help."), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{
			TimestampMs: proto.Int64(start + ms),
			Histogram: &dto.Histogram{
				SampleCount: proto.Uint64(3), SampleSum: proto.Float64(1), Schema: proto.Int32(1), ZeroThreshold: proto.Float64(0.1), ZeroCount: proto.Uint64(3),
			},
		}}}
	}
	v := func(ms int64) *dto.MetricFamily {
		return &dto.MetricFamily{Name: proto.String("m"), Help: proto.String("Help."), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{
			TimestampMs: proto.Int64(start + ms), Histogram: &dto.Histogram{SampleCount: proto.Uint64(1), SampleSum: proto.Float64(1)},
		}}}
	}
	g := func(ms int64) *dto.MetricFamily {
		return &dto.MetricFamily{Name: proto.String("m"), Help: proto.String("Help."), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{
			TimestampMs: proto.Int64(start + ms), Gauge: &dto.Gauge{Value: proto.Float64(float64(ms))},
		}}}
	}
	return delimited(h(1), g(2), g(3), h(4), h(5), g(6), v(7))
}

// answers is a step with one answer, and a configuration if it is the first.
func answers(body, contentType, config string) step {
	s := step{answers: map[string]answer{addressA: {status: 200, contentType: contentType, body: body}}}
	if config != "" {
		s.configs = map[string]string{"job": config}
		s.targets = map[string][]model.LabelSet{"job": {{"__address__": addressA, "zone": "z1"}}}
	}
	return s
}

func named(name string, v float64) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &v}}}}
}

// TestKeptMatchesPrometheus plays what random sequences and the fuzzer found.
func TestKeptMatchesPrometheus(t *testing.T) {
	upper := &dto.MetricFamily{Name: proto.String("m"), Help: proto.String("Help."), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{
		{Gauge: &dto.Gauge{Value: proto.Float64(1)}},
		{Label: []*dto.LabelPair{{Name: proto.String("Upper"), Value: proto.String("x")}}, Gauge: &dto.Gauge{Value: proto.Float64(2)}},
		{Label: []*dto.LabelPair{{Name: proto.String(""), Value: proto.String("x")}, {Name: proto.String("n"), Value: proto.String("x")}}, Gauge: &dto.Gauge{Value: proto.Float64(2)}},
		{Label: []*dto.LabelPair{{Name: proto.String("i"), Value: proto.String("x")}}, Gauge: &dto.Gauge{Value: proto.Float64(3)}},
	}}
	for name, steps := range map[string][]step{
		"a page with a report series": pages("honor_labels: true\n", plain,
			"# HELP scrape_series_added Other help.\n# TYPE scrape_series_added counter\nscrape_series_added 7 946684811000\nup 3\n",
			"# HELP scrape_series_added Other help.\n# TYPE scrape_series_added counter\nscrape_series_added 8 946684826000\nup 0\n", "m 1\n"),
		"floats and histograms of one series": pages("scrape_native_histograms: true\n", protobuf, mixedPage()),
		"an old timestamp that comes again":   pages("honor_labels: false\n", plain, "n 1\n", "m 0 0\n", "n 1\n", "n 2\n", "n 3\n", "n 4\n", "n 5\n", "n 6\n", "n 7\n", "m 0 0\n"),
		"a timestamp before 1970":             pages("honor_labels: false\n", plain, "m 1 -643\n", "m 2 -1\n", "m 3 0\n"),
		"series that are called as other lines read": {
			0: answers("# HELP a b\n# HELP c d\n# HELP z z\na 1\n# x9\nb 2\n", plain, "honor_labels: false\n"),
			1: answers(delimited(named("# x9", 5), named("# HELP z z", 6), named("b", 7)), protobuf, ""),
			2: answers("# HELP a b\na 1\n# x9\nb 2\n", plain, ""),
		},
		"a label before the name": pages("honor_labels: false\n", protobuf, delimited(upper), delimited(upper), ""),
	} {
		t.Run(name, func(t *testing.T) { replay(t, steps) })
	}
}

// replay plays steps both ways: what comes out must be the same.
func replay(t *testing.T, steps []step) {
	t.Helper()
	f, err := newDelivery(rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	d := compare(t, f, sequence{steps, make([][]string, len(steps))}, newFeatures(), 0)
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if d != "" {
		t.Errorf("- is Prometheus, + is promrelay\n%s\n%s", d, show(steps))
	}
}

// TestMetadataBeforeTheName is where the relay knows the metadata that Prometheus loses (see recorderAppender.Append).
func TestMetadataBeforeTheName(t *testing.T) {
	body := delimited(&dto.MetricFamily{Name: proto.String("m"), Help: proto.String("Help."), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{
		{Label: []*dto.LabelPair{{Name: proto.String("Upper"), Value: proto.String("x")}}, Gauge: &dto.Gauge{Value: proto.Float64(2)}},
	}})
	have := alone(t, pages("honor_labels: false\n", protobuf, body))
	series := have.samples[`{Upper="x", __name__="m", instance="a:80", job="job", zone="z1"}`]
	if len(series) == 0 || series[0].meta != `gauge "Help." ` {
		t.Errorf("got %v", series)
	}
}

// TestJobGoesMatchesPrometheus is a deviation that docs/fidelity.md lists: where a whole job goes, the relay ends its series.
func TestJobGoesMatchesPrometheus(t *testing.T) {
	steps := pages("honor_labels: false\n", plain, "m 1\n", "m 2\n", "m 3\n")
	steps[2].remove = []string{"job"}
	steps[2].configs = map[string]string{"other": "honor_labels: false\n"}
	steps[2].targets = map[string][]model.LabelSet{"other": {}}
	var want got
	synctest.Test(t, func(t *testing.T) { want, _ = runPrometheus(t, steps, newFeatures()) })
	have := alone(t, steps)
	for name, samples := range have.samples {
		if last := samples[len(samples)-1]; last.value != stale || strings.Contains(last.String(), "any") {
			t.Errorf("%s ends with %v", name, last)
		}
		have.samples[name] = samples[:len(samples)-1]
	}
	if d := diff(want, have); d != "" {
		t.Errorf("before that:\n%s", d)
	}
}

// alone returns what the relay makes of a sequence.
func alone(t *testing.T, steps []step) got {
	t.Helper()
	f, err := newDelivery(rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	have := runRelay(t, f, steps, 0)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	return have
}

// TestIntervalChanges is a deviation that docs/fidelity.md lists: a target that is scraped less often from now on keeps its series.
func TestIntervalChanges(t *testing.T) {
	const of = `{__name__="%s", instance="a:80", job="job", zone="z1"}`
	for _, interval := range []string{"45s", "1m", "90s", "2m"} { // some of which have the next scrape when the series would have ended
		var bodies []string
		for i := range 40 {
			bodies = append(bodies, fmt.Sprintf("m %d\n", i))
		}
		steps := pages("honor_labels: false\n", plain, bodies...)
		steps[3].configs = map[string]string{"job": "scrape_interval: " + interval + "\n"}
		have := alone(t, steps)
		if series := have.samples[fmt.Sprintf(of, "m")]; len(series) < 5 {
			t.Errorf("%s: got %v", interval, series)
		}
		for name, samples := range have.samples {
			for _, s := range samples {
				if s.value == stale {
					t.Errorf("%s: %s ends: %v", interval, name, s)
				}
			}
		}
		for i, s := range have.samples[fmt.Sprintf(of, "scrape_series_added")] {
			if i > 0 && s.value != "0" {
				t.Errorf("%s: scrape %d added %s series", interval, i, s.value)
			}
		}
	}
}
