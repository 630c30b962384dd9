package scrape

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// generator makes random sequences: a page that changes a little from step to step, in every way
// that pages and configurations are known to.
type generator struct {
	*rand.Rand
	format string
	now    int64 // milliseconds, of the step at hand
	page   []*pageFamily
}

type pageFamily struct {
	name, typ, help, unit string
	noType, noHelp, late  bool
	lines                 []*pageLine
}

type pageLine struct {
	suffix, labels string // as on the page, labels without braces
	quoted         bool   // the name is quoted and stands in the braces
	value          string
	stamp          int64 // milliseconds, 0 for none
	exemplar       bool
	odd            string // how the line is written: "", "tabs", "spaces", "crlf"
	native         *dto.Histogram
}

const (
	plain       = "text/plain; version=0.0.4; charset=utf-8"
	openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	protobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) value() string {
	switch g.IntN(8) {
	case 0:
		return pick(g, "0", "-0", "+Inf", "-Inf", "NaN", "nan", "Inf", "1e+06", "1.5e-7", "123456789012345678", "0.1", "1e308", "4.9e-324", "1e-400",
			"+5", ".5", "5.", "00012", "9007199254740993", "123456.789e3", "1E5", "infinity", "1e22", "1e23", "0.30000000000000004")
	case 1:
		return strconv.FormatFloat(g.NormFloat64(), 'g', -1, 64)
	default:
		return strconv.Itoa(g.IntN(100000))
	}
}

func (g *generator) labels(typ, suffix string) string {
	var ls []string
	for i := range g.IntN(4) {
		name := pick(g, "a", "b", "c", "instance", "job", "zone", "exported_zone", "le", "quantile")
		if i > 0 && !g.chance(4) && slices.ContainsFunc(ls, func(l string) bool { return strings.HasPrefix(l, name+"=") }) {
			continue
		}
		v := pick(g, "1", "2", "3", "x y", `q\"uote`, `back\\slash`, `line\nbreak`, "{brace}", "com,ma", "ünïcode", "", "0.10", "1e1")
		ls = append(ls, fmt.Sprintf(`%s="%s"`, name, v))
	}
	if g.chance(3) {
		ls = append(ls, `"utf8 läbel"="v"`)
	}
	switch {
	case typ == "histogram" && suffix == "_bucket":
		ls = append(ls, fmt.Sprintf(`le="%s"`, pick(g, "1", "1.0", "2.5", "+Inf", "10", "1e3")))
	case typ == "summary" && suffix == "":
		ls = append(ls, fmt.Sprintf(`quantile="%s"`, pick(g, "0.5", "0.9", "0.99", "1")))
	}
	out := strings.Join(ls, ",")
	if out != "" && g.chance(5) {
		out += ","
	}
	return out
}

func (g *generator) family() *pageFamily {
	types := []string{"counter", "gauge", "histogram", "summary", "untyped"}
	if g.format == openMetrics {
		types = []string{"counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "gaugehistogram"}
	}
	f := &pageFamily{
		name: pick(g, "m", "http_requests", "mem", "m_total", "m_sum", "temp_celsius", "x:y:z", "up", "scrape_series_added") + pick(g, "", "", "_"+strconv.Itoa(g.IntN(30))),
		typ:  pick(g, types...), help: pick(g, "Help.", "Other help.", `Slash \\ and \n break.`, ""),
		noType: g.chance(10), noHelp: g.chance(20), late: g.chance(4),
	}
	if g.format == openMetrics && g.chance(30) {
		f.unit = "seconds"
		f.name += "_seconds"
	}
	for range 1 + g.IntN(8) {
		f.lines = append(f.lines, g.line(f))
	}
	return f
}

func (g *generator) line(f *pageFamily) *pageLine {
	l := &pageLine{value: g.value()}
	switch f.typ {
	case "counter":
		l.suffix = pick(g, "_total", "_total", "", "_created")
	case "histogram":
		l.suffix = pick(g, "_bucket", "_bucket", "_bucket", "_sum", "_count", "_created", "")
	case "gaugehistogram":
		l.suffix = pick(g, "_bucket", "_gsum", "_gcount")
	case "summary":
		l.suffix = pick(g, "", "", "_sum", "_count")
	case "info":
		l.suffix = "_info"
	}
	l.labels = g.labels(f.typ, l.suffix)
	l.quoted = g.chance(3)
	if g.chance(15) {
		l.stamp = g.now - int64(g.IntN(30000)) + 5000
	}
	if g.format == openMetrics {
		l.exemplar = g.chance(10)
	} else if g.chance(4) {
		l.odd = pick(g, "tabs", "spaces", "lead", "brace")
	}
	return l
}

// change is what happens to the page from one step to the next.
func (g *generator) change() {
	for _, f := range g.page {
		for _, l := range f.lines {
			if g.chance(60) {
				l.value = g.value()
			}
			if l.stamp != 0 && g.chance(70) {
				l.stamp = g.now - int64(g.IntN(12000)) + int64(g.IntN(100))*100
				if g.chance(2) {
					l.stamp = g.now + 11*60*1000
				}
			}
			if g.chance(1) {
				l.stamp = pick(g, 0, g.now)
			}
		}
		switch g.IntN(25) {
		case 0:
			f.lines = slices.Insert(f.lines, g.IntN(len(f.lines)+1), g.line(f))
		case 1:
			if len(f.lines) > 0 {
				i := g.IntN(len(f.lines))
				f.lines = slices.Delete(f.lines, i, i+1)
			}
		case 2:
			g.Shuffle(len(f.lines), func(i, j int) { f.lines[i], f.lines[j] = f.lines[j], f.lines[i] })
		case 3:
			if len(f.lines) > 0 {
				l := *f.lines[g.IntN(len(f.lines))]
				l.value = g.value()
				f.lines = append(f.lines, &l)
			}
		case 4:
			f.help = pick(g, "Help.", "New help.")
		case 5:
			f.typ = pick(g, "counter", "gauge", "histogram", "summary")
		case 6:
			f.noType, f.noHelp = g.chance(50), g.chance(50)
		}
	}
	switch g.IntN(8) {
	case 0:
		g.page = slices.Insert(g.page, g.IntN(len(g.page)+1), g.family())
	case 1:
		i := g.IntN(len(g.page))
		g.page = slices.Delete(g.page, i, i+1)
	case 2:
		g.Shuffle(len(g.page), func(i, j int) { g.page[i], g.page[j] = g.page[j], g.page[i] })
	}
	if len(g.page) == 0 {
		g.page = append(g.page, g.family())
	}
}

func (g *generator) write() string {
	if g.format == protobuf {
		return g.writeProtobuf()
	}
	var b strings.Builder
	meta := func(f *pageFamily) {
		if !f.noHelp {
			fmt.Fprintf(&b, "# HELP %s %s\n", f.name, f.help)
		}
		if !f.noType {
			fmt.Fprintf(&b, "# TYPE %s %s\n", f.name, f.typ)
		}
		if f.unit != "" {
			fmt.Fprintf(&b, "# UNIT %s %s\n", f.name, f.unit)
		}
	}
	for _, f := range g.page {
		if !f.late {
			meta(f)
		}
		for _, l := range f.lines {
			g.writeLine(&b, f, l)
		}
		if f.late {
			meta(f)
		}
		if g.format != openMetrics && g.chance(5) {
			b.WriteString(pick(g, "\n", "# a comment\n", "#nospace\n", "  \n", "# EOF\n", "\n\n", "# HELPless comment\n"))
		}
	}
	if g.format == openMetrics {
		b.WriteString(pick(g, "# EOF\n", "# EOF\n", "# EOF\n", "# EOF"))
	}
	return b.String()
}

func (g *generator) writeLine(b *strings.Builder, f *pageFamily, l *pageLine) {
	series := f.name + l.suffix
	switch {
	case l.quoted && l.labels == "":
		series = fmt.Sprintf(`{"%s"}`, series)
	case l.quoted:
		series = fmt.Sprintf(`{"%s",%s}`, series, l.labels)
	case l.labels != "":
		series += "{" + l.labels + "}"
	}
	sep, lead, end := " ", "", ""
	switch l.odd {
	case "tabs":
		sep = "\t"
	case "spaces":
		sep, end = "  ", " "
	case "lead":
		lead = " "
	case "brace":
		series = strings.Replace(series, "{", " {", 1)
	}
	b.WriteString(lead + series + sep + l.value)
	if l.stamp != 0 {
		if g.format == openMetrics {
			fmt.Fprintf(b, " %s", strconv.FormatFloat(float64(l.stamp)/1000, 'f', -1, 64))
		} else {
			fmt.Fprintf(b, "%s%d", sep, l.stamp)
		}
	}
	if l.exemplar {
		fmt.Fprintf(b, ` # {trace_id="%s"} %s`, pick(g, "abc", "def", strconv.Itoa(g.IntN(1000))), pick(g, "1", "0.5"))
		if g.chance(50) {
			fmt.Fprintf(b, " %d.%03d", g.now/1000, g.IntN(1000))
		}
	}
	b.WriteString(end + "\n")
}

// writeProtobuf makes families of the page, as client_golang would: without what only text can have.
func (g *generator) writeProtobuf() string {
	var out bytes.Buffer
	for _, f := range g.page {
		m := &dto.MetricFamily{Name: proto.String(f.name), Help: proto.String(f.help)}
		if f.unit != "" {
			m.Unit = proto.String(f.unit)
		}
		typ := dto.MetricType_UNTYPED
		switch f.typ {
		case "counter":
			typ = dto.MetricType_COUNTER
		case "gauge":
			typ = dto.MetricType_GAUGE
		case "histogram":
			typ = dto.MetricType_HISTOGRAM
		case "summary":
			typ = dto.MetricType_SUMMARY
		}
		m.Type = &typ
		for i, l := range f.lines {
			v, _ := strconv.ParseFloat(l.value, 64)
			metric := &dto.Metric{Label: []*dto.LabelPair{{Name: proto.String("i"), Value: proto.String(strconv.Itoa(i))}, {Name: proto.String("zone"), Value: proto.String("own")}}}
			if g.chance(2) {
				metric.Label = metric.Label[:1]
			}
			if l.stamp != 0 {
				metric.TimestampMs = proto.Int64(l.stamp)
			}
			created := timestamppb.New(time.UnixMilli(946684800000 + int64(i%3)*1000))
			var ex *dto.Exemplar
			if g.chance(20) {
				ex = &dto.Exemplar{Label: []*dto.LabelPair{{Name: proto.String("trace_id"), Value: proto.String(strconv.Itoa(g.IntN(5)))}}, Value: proto.Float64(1)}
				if g.chance(70) {
					ex.Timestamp = timestamppb.New(time.UnixMilli(g.now))
				}
			}
			switch typ {
			case dto.MetricType_COUNTER:
				metric.Counter = &dto.Counter{Value: &v, Exemplar: ex, CreatedTimestamp: created}
			case dto.MetricType_GAUGE:
				metric.Gauge = &dto.Gauge{Value: &v}
			case dto.MetricType_SUMMARY:
				metric.Summary = &dto.Summary{SampleCount: proto.Uint64(7), SampleSum: &v, CreatedTimestamp: created, Quantile: []*dto.Quantile{{Quantile: proto.Float64(0.5), Value: &v}, {Quantile: proto.Float64(1), Value: &v}}}
			case dto.MetricType_HISTOGRAM:
				metric.Histogram = g.histogram(l, ex)
				metric.Histogram.CreatedTimestamp = created
			default:
				metric.Untyped = &dto.Untyped{Value: &v}
			}
			m.Metric = append(m.Metric, metric)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		out.Write(binary.AppendUvarint(nil, uint64(len(b))))
		out.Write(b)
	}
	return out.String()
}

func (g *generator) histogram(l *pageLine, ex *dto.Exemplar) *dto.Histogram {
	if l.native != nil && g.chance(50) {
		return proto.CloneOf(l.native)
	}
	h := &dto.Histogram{SampleSum: proto.Float64(g.NormFloat64())}
	n := uint64(0)
	if g.chance(60) {
		for i := range 3 {
			n += uint64(g.IntN(5))
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: proto.Uint64(n), UpperBound: proto.Float64(float64(i + 1)), Exemplar: ex})
			ex = nil
		}
	}
	if g.chance(70) {
		h.Schema = proto.Int32(int32(g.IntN(10) - 1))
		h.ZeroThreshold = proto.Float64(1e-10)
		zero := uint64(g.IntN(3))
		h.ZeroCount = &zero
		n = zero
		count := int64(0)
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(int32(g.IntN(5) - 2)), Length: proto.Uint32(3)}, {Offset: proto.Int32(2), Length: proto.Uint32(uint32(1 + g.IntN(8)))}}
		for range 3 + h.PositiveSpan[1].GetLength() {
			next := int64(g.IntN(9))
			h.PositiveDelta = append(h.PositiveDelta, next-count)
			count = next
			n += uint64(next)
		}
		if ex != nil {
			h.Exemplars = append(h.Exemplars, ex)
		}
		if g.chance(3) {
			n++ // does not add up
		}
	}
	h.SampleCount = proto.Uint64(n)
	l.native = h
	return h
}

func (g *generator) config() string {
	var c strings.Builder
	opt := func(percent int, format string, args ...any) {
		if g.chance(percent) {
			fmt.Fprintf(&c, format+"\n", args...)
		}
	}
	opt(20, "honor_labels: true")
	opt(20, "honor_timestamps: false")
	opt(20, "track_timestamps_staleness: true")
	opt(12, "sample_limit: %d", 5+g.IntN(40))
	opt(6, "label_limit: %d", 4+g.IntN(5))
	opt(5, "label_name_length_limit: %d", 8+g.IntN(10))
	opt(5, "label_value_length_limit: %d", 8+g.IntN(10))
	opt(5, "body_size_limit: %dB", 200+g.IntN(2000))
	opt(15, "fallback_scrape_protocol: %s", pick(g, "PrometheusText0.0.4", "OpenMetricsText1.0.0", "PrometheusProto"))
	opt(15, "extra_scrape_metrics: true")
	opt(10, "metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: underscores")
	if g.format == protobuf {
		opt(70, "scrape_native_histograms: true")
		opt(30, "always_scrape_classic_histograms: true")
		opt(20, "native_histogram_bucket_limit: %d", 3+g.IntN(9))
		opt(20, "native_histogram_min_bucket_factor: %g", 1+g.Float64())
	}
	opt(15, "convert_classic_histograms_to_nhcb: true")
	if g.chance(40) {
		c.WriteString("metric_relabel_configs:\n")
		for range 1 + g.IntN(2) {
			c.WriteString(pick(g,
				"- {source_labels: [a], regex: '1', action: drop}\n",
				"- {source_labels: [__name__], regex: 'm.*', action: keep}\n",
				"- {regex: b, action: labeldrop}\n",
				"- {source_labels: [c], target_label: d}\n",
				"- {source_labels: [__name__], regex: '(.*)_total', target_label: __name__, replacement: '${1}'}\n",
				"- {regex: 'a|b|c', action: labeldrop}\n",
				"- {source_labels: [a], target_label: __name__, regex: '3', replacement: ''}\n",
			))
		}
	}
	if c.Len() == 0 {
		return "honor_labels: false\n"
	}
	return c.String()
}

// sequence makes the steps of a test from a seed.
func sequence(seed uint64) []step {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	g.format = pick(g, plain, plain, plain, openMetrics, openMetrics, protobuf)
	g.now = time.Date(2000, 1, 1, 0, 0, 20, 0, time.UTC).UnixMilli()
	for range 1 + g.IntN(5) {
		g.page = append(g.page, g.family())
	}
	all := []model.LabelSet{{"__address__": "a:80", "zone": "z1"}}
	if g.chance(25) { // the same series from another target
		all = append(all, model.LabelSet{"__address__": "b:80", "zone": "z1", "instance": "a:80"})
	}
	steps := make([]step, 2+g.IntN(8))
	for i := range steps {
		s := &steps[i]
		s.answers = map[string]answer{}
		if i == 0 {
			s.config, s.targets = g.config(), all
		} else {
			if g.chance(4) {
				s.config = g.config()
			} else if g.chance(6) { // not both: Prometheus then forgets the staleness markers
				s.targets = all[:g.IntN(len(all)+1)]
			}
		}
		if i > 0 && (s.config != "" || s.targets != nil) {
			for addr, a := range steps[i-1].answers { // Prometheus would wait for what is under way
				a.delay = 0
				steps[i-1].answers[addr] = a
			}
		}
		for _, target := range all {
			s.answers[string(target["__address__"])] = g.answer()
		}
		if g.chance(3) {
			delete(s.answers, "a:80")
		}
		g.now += interval.Milliseconds()
		g.change()
	}
	return steps
}

func (g *generator) answer() answer {
	a := answer{status: 200, contentType: g.format, body: g.write()}
	switch g.IntN(30) {
	case 0:
		a.status = 503
	case 1:
		a.body = a.body[:g.IntN(len(a.body)+1)]
	case 2:
		a.contentType = pick(g, "", "text/html", "application/json", "text/plain", "nonsense/", "application/openmetrics-text; version=2.0.0")
	case 3:
		a.body = ""
	case 4:
		a.delay = 6 * time.Second // beyond the timeout
	case 5:
		a.delay = 1500 * time.Millisecond
	case 6:
		a.body = strings.ReplaceAll(a.body, "\n", "\r\n")
	case 7:
		if i := g.IntN(len(a.body) + 1); i < len(a.body) {
			a.body = a.body[:i] + pick(g, "\x00", "\xff", "\"", "{", "\n", " ", "}", "#") + a.body[i+1:]
		}
	}
	return a
}

// show writes a sequence for a person.
func show(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&b, "--- step %d\n", i)
		if s.config != "" {
			fmt.Fprintf(&b, "config:\n%s", s.config)
		}
		if s.targets != nil {
			fmt.Fprintf(&b, "targets: %v\n", s.targets)
		}
		for addr, a := range s.answers {
			fmt.Fprintf(&b, "%s: %d %q after %s\n%s\n", addr, a.status, a.contentType, a.delay, a.body)
		}
	}
	return b.String()
}

// TestScrapeMatchesPrometheus runs random sequences through prometheus/scrape and through this
// package: what comes out must be the same. SEQUENCES says how many, SEED where to start.
func TestScrapeMatchesPrometheus(t *testing.T) {
	n, seed := 300, uint64(0)
	if v, err := strconv.Atoi(os.Getenv("SEQUENCES")); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = v
	}
	failed := 0
	for i := range uint64(n) {
		t.Run(strconv.FormatUint(seed+i, 10), func(t *testing.T) {
			if d := compare(t, sequence(seed+i)); d != "" {
				failed++
				t.Errorf("%s\n%s", d, show(sequence(seed+i)))
			}
		})
		if failed >= 3 {
			t.Fatal("three sequences differ: stop")
		}
	}
}
