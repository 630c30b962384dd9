package scrape

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"google.golang.org/protobuf/proto"

	"promrelay/record"
	"promrelay/wal"
)

// strictLog reads what it is given, and fails the test where that cannot be read. It knows the
// maxLine label and the number of labels of the series of the last table.
type strictLog struct {
	t       testing.TB
	tables  record.Tables
	maxLine int
	labels  int
}

func (*strictLog) Segment() uint64 { return 1 }

func (l *strictLog) Append(_ uint64, group ...wal.Frame) (wal.Position, error) {
	for _, f := range group {
		if len(f.Payload) > 1<<28 {
			l.t.Errorf("a frame of %d bytes", len(f.Payload))
		}
		if f.Type == record.FrameScrape {
			var s record.Scrape
			if _, _, err := l.tables.Scrape(f.Payload, &s); err != nil {
				l.t.Error(err)
			}
			continue
		}
		table, err := l.tables.Apply(f.Payload)
		if err != nil {
			l.t.Error(err)
			continue
		}
		var b labels.ScratchBuilder
		for cur := table.Cursor(); cur.Next(); {
			ls := cur.Labels(&b)
			l.labels = max(l.labels, ls.Len())
			ls.Range(func(x labels.Label) { l.maxLine = max(l.maxLine, len(x.Name), len(x.Value)) })
		}
	}
	return wal.Position{}, nil
}

// pagesOfSize are pages with one thing of n bytes, or n labels, in each format.
var pagesOfSize = map[string]func(n int) map[string]string{
	"metric name": func(n int) map[string]string {
		x := strings.Repeat("x", n)
		return map[string]string{typeText: x + " 1\n", typeOpenMetrics: x + " 1\n# EOF\n", typeProtobuf: familyOf(x, "", metric(1))}
	},
	"quoted metric name": func(n int) map[string]string {
		x := strings.Repeat("x", n-1) + "."
		return map[string]string{typeText: `{"` + x + "\"} 1\n", typeOpenMetrics: `{"` + x + "\"} 1\n# EOF\n"}
	},
	"label name": func(n int) map[string]string {
		x := strings.Repeat("x", n)
		return map[string]string{typeText: "m{" + x + "=\"v\"} 1\n", typeOpenMetrics: "m{" + x + "=\"v\"} 1\n# EOF\n", typeProtobuf: familyOf("m", "", metric(1, x, "v"))}
	},
	"label value": func(n int) map[string]string {
		x := strings.Repeat("x", n)
		return map[string]string{typeText: `m{l="` + x + "\"} 1\n", typeOpenMetrics: `m{l="` + x + "\"} 1\n# EOF\n", typeProtobuf: familyOf("m", "", metric(1, "l", x))}
	},
	"label value of many lines": func(n int) map[string]string {
		x := strings.Repeat("xxxxxxx\n", n/8)
		return map[string]string{typeText: "before 1\nm{l=\"" + x + "\"} 1\nafter 1\n", typeProtobuf: familyOf("m", "", metric(1, "l", x))}
	},
	"HELP": func(n int) map[string]string {
		x := strings.Repeat("x", n)
		return map[string]string{typeText: "# HELP m " + x + "\nm 1\n", typeOpenMetrics: "# HELP m " + x + "\nm 1\n# EOF\n", typeProtobuf: familyOf("m", x, metric(1))}
	},
	"comment": func(n int) map[string]string {
		return map[string]string{typeText: "# " + strings.Repeat("x", n) + "\nm 1\n"}
	},
	"exemplar": func(n int) map[string]string {
		x := strings.Repeat("x", n)
		m := metric(1)
		m.Counter = &dto.Counter{Value: proto.Float64(1), Exemplar: &dto.Exemplar{Value: proto.Float64(1), Label: []*dto.LabelPair{{Name: proto.String("id"), Value: &x}}}}
		m.Gauge = nil
		f := &dto.MetricFamily{Name: proto.String("m"), Type: dto.MetricType_COUNTER.Enum(), Metric: []*dto.Metric{m}}
		return map[string]string{typeOpenMetrics: "m_total 1 # {id=\"" + x + "\"} 1\n# EOF\n", typeProtobuf: delimited(f)}
	},
	"number of labels": func(n int) map[string]string {
		var b strings.Builder
		var pairs []string
		for i := range n {
			fmt.Fprintf(&b, `l%d="",`, i)
			pairs = append(pairs, fmt.Sprint("l", i), "v")
		}
		text := strings.ReplaceAll(b.String(), `""`, `"v"`)
		return map[string]string{typeText: "m{" + text + "} 1\n", typeOpenMetrics: "m{" + text + "} 1\n# EOF\n", typeProtobuf: familyOf("m", "", metric(1, pairs...))}
	},
	"number of buckets": func(n int) map[string]string {
		h := &dto.Histogram{Schema: proto.Int32(0), ZeroThreshold: proto.Float64(1e-9), SampleSum: proto.Float64(1)}
		for range n {
			h.PositiveDelta = append(h.PositiveDelta, 0)
		}
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(uint32(n))}}
		f := &dto.MetricFamily{Name: proto.String("m"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}
		return map[string]string{typeProtobuf: delimited(f)}
	},
}

func metric(v float64, pairs ...string) *dto.Metric {
	m := &dto.Metric{Gauge: &dto.Gauge{Value: &v}}
	for i := 0; i < len(pairs); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &pairs[i], Value: &pairs[i+1]})
	}
	return m
}

func familyOf(name, help string, metrics ...*dto.Metric) string {
	return delimited(&dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum(), Metric: metrics})
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

// TestSizes: whatever has 2^8, 2^16 or 2^24 bytes, or as many parts, in whatever format, affects at
// most its target, and the error names a limit. Accepted samples can be read from the log.
func TestSizes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	for what, pages := range pagesOfSize {
		for _, n := range []int{1 << 8, 1 << 16, 1<<24 - 1, 1 << 24, 1<<24 + 1} {
			if n > 1<<16 && (testing.Short() || strings.HasPrefix(what, "number")) {
				n >>= 5
			}
			for contentType, page := range pages(n) {
				for _, line := range []int64{DefaultLimits.LineBytes, 0} {
					if line > 0 && n > 1<<24 {
						continue
					}
					t.Run(fmt.Sprintf("%s/%d/%.20s/%d", what, n, contentType, line), func(t *testing.T) {
						c := promconfig.DefaultScrapeConfig
						native := true
						c.ScrapeNativeHistograms = &native
						log := &strictLog{t: t}
						l := testLoop(t, log, c, served(contentType, false, page))
						l.shared.setLimits(Limits{LineBytes: line})
						l.scrape(t.Context(), time.Now())
						sizes(t, l, log, what, n, line)
					})
				}
			}
		}
	}
}

// sizes checks what came of a page with something of size n.
func sizes(t *testing.T, l *loop, log *strictLog, what string, n int, line int64) {
	t.Helper()
	if p := testutil.ToFloat64(l.shared.metrics.panics); p > 0 {
		t.Errorf("%g panics: %s", p, l.state().Error)
	}
	s := l.state()
	small := n <= 1<<16
	if what == "number of labels" {
		small = n <= maxLabels && (line == 0 || n <= 1<<16)
	}
	switch {
	case small && s.Health != HealthUp:
		t.Errorf("down: %s", s.Error)
	case n >= 1<<24 && s.Health != HealthDown:
		t.Error("up")
	case s.Health == HealthDown && !strings.Contains(s.Error, "more than"):
		t.Errorf("the reason is %.300s", s.Error)
	case len(s.Error) > 1000:
		t.Errorf("the reason has %d bytes", len(s.Error))
	case s.Health == HealthUp && (strings.HasPrefix(what, "label") || what == "metric name") && log.maxLine != n && !strings.Contains(what, "lines"):
		t.Errorf("the log has labels of %d bytes at most", log.maxLine)
	case s.Health == HealthUp && what == "number of labels" && log.labels < n:
		t.Errorf("the log has series of %d labels at most", log.labels)
	}
}

// endless is a body of so many bytes.
type endless struct {
	start, repeat string
	left          int64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.start != "" {
		n := copy(b, e.start)
		e.start = e.start[n:]
		return n, nil
	}
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), e.left)], e.repeat)
	e.left -= int64(n)
	return n, nil
}

func (*endless) Close() error { return nil }

// TestEndlessPages: 4 GB of anything end at the limits, and use little memory.
func TestEndlessPages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	small := Limits{BodyBytes: 1 << 25}
	for name, c := range map[string]struct {
		contentType, start, repeat string
		limits                     Limits
		want                       string
	}{
		"line breaks":            {typeText, "", "\n", DefaultLimits, "scrape.body_size_limit 268435456"},
		"one line":               {typeText, `m{l="`, "x", DefaultLimits, "scrape.body_size_limit 268435456"},
		"comments":               {typeText, "", "# a comment\n", small, "scrape.body_size_limit 33554432"},
		"one line of protobuf":   {typeProtobuf, "\xff\xff\xff\xff\x0f", "x", Limits{BodyBytes: 1 << 28, MemoryBytes: 1 << 25}, "scrape.memory_limit"},
		"empty families":         {typeProtobuf, "", "\x00", small, "scrape.body_size_limit 33554432"},
		"new series":             {typeText, "", "", Limits{MemoryBytes: 1 << 23}, "scrape.memory_limit"},
		"one series, many times": {typeText, "", "m 1 1\n", Limits{MemoryBytes: 1 << 23}, "scrape.memory_limit"},
		"NUL":                    {typeText, "", "\x00", Limits{MemoryBytes: 1 << 23}, "scrape.memory_limit"},
		"OpenMetrics":            {typeOpenMetrics, "", "m 1\n", Limits{BodyBytes: 1 << 22}, "scrape.body_size_limit 4194304"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &endless{start: c.start, repeat: strings.Repeat(c.repeat, 32<<10/max(len(c.repeat), 1)), left: 1 << 32}
			if c.repeat == "" {
				r.start, r.left = benchPage(200_000, 0, "", ""), 0
			}
			l := testLoop(t, &strictLog{t: t}, promconfig.DefaultScrapeConfig, roundTrip(func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {c.contentType}}, Body: r, Request: req}, nil
			}))
			l.shared.setLimits(c.limits)
			l.scrape(t.Context(), time.Now())
			if s := l.state(); !strings.Contains(s.Error, c.want) {
				t.Errorf("the error is %q, want %q", s.Error, c.want)
			}
			if l.expected > 64<<20 {
				t.Errorf("the scrape held %d bytes", l.expected)
			}
			if p := testutil.ToFloat64(l.shared.metrics.panics); p > 0 {
				t.Errorf("%g panics", p)
			}
			limits := l.shared.limits.Load()
			if limits.memory.used != 0 || limits.memory.holders != 0 {
				t.Errorf("%d bytes are held, by %d scrapes", limits.memory.used, limits.memory.holders)
			}
		})
	}
}

// TestRulesThatGrow: labels that relabelling makes are bounded as those of pages are.
func TestRulesThatGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	rule := func(r relabel.Config) *relabel.Config {
		out := relabel.DefaultRelabelConfig
		out.NameValidationScheme = model.UTF8Validation
		if r.Action != "" {
			out.Action = r.Action
		}
		if r.Regex.Regexp != nil {
			out.Regex = r.Regex
		}
		if r.Replacement != "" {
			out.Replacement = r.Replacement
		}
		out.SourceLabels, out.TargetLabel, out.Modulus = r.SourceLabels, r.TargetLabel, r.Modulus
		return &out
	}
	twice := rule(relabel.Config{SourceLabels: model.LabelNames{"l"}, TargetLabel: "l", Replacement: "$1$1"})
	repeat := func(r *relabel.Config, n int) (out []*relabel.Config) {
		for range n {
			out = append(out, r)
		}
		return out
	}
	var another []*relabel.Config
	for i := range 40 {
		another = append(another, rule(relabel.Config{Action: relabel.LabelMap, Regex: relabel.MustNewRegexp("(.+)"), Replacement: fmt.Sprintf("r%d_$1", i)}))
	}
	for name, c := range map[string]struct {
		rules []*relabel.Config
		want  string // "" for up
		bytes int    // of the maxLine label then
	}{
		"2^16 by doubling":  {rules: repeat(twice, 12), bytes: 1 << 16},
		"2^24 by doubling":  {rules: repeat(twice, 20), want: "metric_relabel_configs["},
		"2^40 by doubling":  {rules: repeat(twice, 36), want: "metric_relabel_configs["},
		"2^32 in one rule":  {rules: append(repeat(twice, 12), rule(relabel.Config{SourceLabels: model.LabelNames{"l"}, TargetLabel: "l", Replacement: strings.Repeat("$1", 1<<16)})), want: "metric_relabel_configs[12] could"},
		"names by doubling": {rules: repeat(rule(relabel.Config{Action: relabel.LabelMap, Regex: relabel.MustNewRegexp("(l+)"), Replacement: "$1$1"}), 40), want: "more than"},
		"many labels":       {rules: another, want: "more than"},
		"sources":           {rules: []*relabel.Config{rule(relabel.Config{SourceLabels: make(model.LabelNames, 1<<10), TargetLabel: "l", Replacement: strings.Repeat("$1", 1<<16)})}, want: "metric_relabel_configs[0] could"},
		"many rules":        {rules: append(repeat(rule(relabel.Config{SourceLabels: model.LabelNames{"l"}, TargetLabel: "n"}), 100), rule(relabel.Config{Action: relabel.Uppercase, SourceLabels: model.LabelNames{"n"}, TargetLabel: "n"}))},
		"hash":              {rules: repeat(rule(relabel.Config{Action: relabel.HashMod, SourceLabels: model.LabelNames{"l"}, TargetLabel: "n", Modulus: 7}), 50)},
		"from many to few":  {rules: append(repeat(twice, 12), rule(relabel.Config{SourceLabels: model.LabelNames{"n"}, TargetLabel: "l", Replacement: "short"}))},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := promconfig.DefaultScrapeConfig
			cfg.MetricRelabelConfigs = c.rules
			log := &strictLog{t: t}
			l := testLoop(t, log, cfg, served(typeText, false, "m{l=\"0123456789abcdef\"} 1\n"))
			l.scrape(t.Context(), time.Now())
			s := l.state()
			if !strings.Contains(s.Error, c.want) || c.want == "" && s.Error != "" {
				t.Errorf("the error is %.300q, want %q", s.Error, c.want)
			}
			if p := testutil.ToFloat64(l.shared.metrics.panics); p > 0 {
				t.Errorf("%g panics", p)
			}
			if c.want == "" && log.maxLine < c.bytes {
				t.Errorf("the maxLine label has %d bytes, want %d", log.maxLine, c.bytes)
			}
		})
	}
}
