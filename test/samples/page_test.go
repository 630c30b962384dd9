package samples

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// generator makes random sequences: a page that changes a little from step to step, in every way
// that pages and configurations are known to.
type generator struct {
	*rand.Rand
	format   string
	now      int64 // milliseconds, of the step at hand
	epoch    int64 // milliseconds, when the target started
	page     []*pageFamily
	targets  int
	typeless bool // answers have no Content-Type
	steady   bool // few troubles, and changes in the middle of the page
	seen     *features
}

type pageFamily struct {
	name, typ, help, unit string
	noType, noHelp, late  bool
	quoted                bool // the name needs quotes
	lines                 []*pageLine
}

type pageLine struct {
	suffix, labels string // as on the page, labels without braces
	quoted         bool   // the name is quoted and stands in the braces
	value          string
	stamp          int64 // milliseconds, 0 for none
	exemplar       bool
	odd            string // how the line is written: "", "tabs", "spaces", "lead", "brace"
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
	if g.IntN(700) == 0 {
		return pick(g, "0x1p-2", "1_000", "1e", "--1", "1e999", "") // none that a page may have
	}
	switch g.IntN(8) {
	case 0:
		g.seen.add("exotic floats")
		return pick(g, "0", "-0", "+Inf", "-Inf", "NaN", "nan", "Inf", "1e+06", "1.5e-7", "123456789012345678", "0.1", "1e308", "4.9e-324", "1e-400",
			"+5", ".5", "5.", "00012", "9007199254740993", "123456.789e3", "1E5", "infinity", "1e22", "1e23", "0.30000000000000004", "-1e-5",
			"2.2250738585072011e-308", "179769313486231570000", "8.41e21", "9e-23", "123456789012345e22", "-.0")
	case 1:
		return strconv.FormatFloat(g.NormFloat64(), 'g', -1, 64)
	case 2:
		return strconv.FormatInt(int64(g.Uint64()>>uint(g.IntN(64)))-5, 10)
	default:
		return strconv.Itoa(g.IntN(100000))
	}
}

func (g *generator) labels(typ, suffix string) string {
	var ls []string
	for i := range g.IntN(4) {
		name := pick(g, "a", "b", "c", "instance", "job", "zone", "exported_zone", "le", "quantile")
		if i > 0 && g.IntN(400) > 0 && slices.ContainsFunc(ls, func(l string) bool { return strings.HasPrefix(l, name+"=") }) {
			continue
		}
		v := pick(g, "1", "2", "3", "x y", `q\"uote`, `back\\slash`, `line\nbreak`, "{brace}", "com,ma", "ünïcode", "", "0.10", "1e1")
		if strings.Contains(v, `\`) {
			g.seen.add("escapes")
		}
		ls = append(ls, fmt.Sprintf(`%s="%s"`, name, v))
	}
	if g.chance(3) {
		g.seen.add("UTF-8 label names")
		ls = append(ls, `"utf8 läbel"="v"`)
	}
	own := func(name string) { // only now and then twice
		if g.IntN(400) > 0 {
			ls = slices.DeleteFunc(ls, func(l string) bool { return strings.HasPrefix(l, name+"=") })
		}
	}
	switch {
	case typ == "histogram" && suffix == "_bucket":
		own("le")
		ls = append(ls, fmt.Sprintf(`le="%s"`, pick(g, "1", "1.0", "2.5", "+Inf", "10", "1e3")))
	case typ == "summary" && suffix == "":
		own("quantile")
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
	if g.chance(3) {
		f.name, f.quoted = pick(g, "ünï.code", "with space", "dots.and-dashes"), true
		g.seen.add("UTF-8 metric names")
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
	l.quoted = f.quoted || g.chance(3)
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
	if g.chance(3) {
		g.epoch = g.now
		g.seen.add("target restart")
		for _, f := range g.page {
			for _, l := range f.lines {
				l.value = "0"
			}
		}
	}
	for _, f := range g.page {
		for _, l := range f.lines {
			g.changeLine(l)
		}
		g.changeFamily(f)
	}
	what := g.IntN(8)
	if g.steady {
		g.changeMiddle()
		what = g.IntN(24)
	}
	switch what {
	case 0:
		g.page = slices.Insert(g.page, g.IntN(len(g.page)+1), g.family())
	case 1:
		i := g.IntN(len(g.page))
		g.page = slices.Delete(g.page, i, i+1)
	case 2:
		g.Shuffle(len(g.page), func(i, j int) { g.page[i], g.page[j] = g.page[j], g.page[i] })
	case 3: // the same family once more
		if len(g.page) > 0 {
			f := *g.page[g.IntN(len(g.page))]
			f.lines = nil
			f.typ = pick(g, "counter", "gauge", "histogram", "summary")
			for range 1 + g.IntN(3) {
				f.lines = append(f.lines, g.line(&f))
			}
			g.page = append(g.page, &f)
		}
	}
	if len(g.page) == 0 {
		g.page = append(g.page, g.family())
	}
}

// changeMiddle adds or takes away a line that is neither the first nor the last one.
func (g *generator) changeMiddle() {
	f := g.page[g.IntN(len(g.page))]
	for _, other := range g.page {
		if len(f.lines) < 3 {
			f = other
		}
	}
	for len(f.lines) < 3 {
		f.lines = append(f.lines, g.line(f))
	}
	i := 1 + g.IntN(len(f.lines)-2)
	if g.chance(50) || len(f.lines) > 10 {
		f.lines = slices.Delete(f.lines, i, i+1)
	} else {
		f.lines = slices.Insert(f.lines, i, g.line(f))
	}
}

func (g *generator) changeLine(l *pageLine) {
	if g.chance(60) {
		l.value = g.value()
	}
	if l.stamp != 0 && g.chance(70) {
		before := l.stamp
		l.stamp = g.now - int64(g.IntN(12000)) + int64(g.IntN(100))*100
		if g.chance(2) {
			l.stamp = g.now + 11*60*1000
			g.seen.add("timestamps too far ahead")
		}
		if l.stamp < before {
			g.seen.add("timestamps going back")
		} else {
			g.seen.add("timestamps going forth")
		}
	}
	if g.chance(1) {
		l.stamp = pick(g, 0, g.now)
	}
}

func (g *generator) changeFamily(f *pageFamily) {
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
			if g.chance(60) {
				l.value = g.value()
				g.seen.add("line repeated with another value")
			} else {
				g.seen.add("line repeated with an equal value")
			}
			if l.stamp != 0 && g.chance(50) {
				l.stamp += int64(g.IntN(3)-1) * 1000
			}
			f.lines = slices.Insert(f.lines, g.IntN(len(f.lines)+1), &l)
		}
	case 4:
		f.help = pick(g, "Help.", "New help.")
	case 5:
		f.typ = pick(g, "counter", "gauge", "histogram", "summary")
	case 6:
		f.noType, f.noHelp = g.chance(50), g.chance(50)
	}
}

// skeleton is the page without values and timestamps: what a table knows of it.
func (g *generator) skeleton() (out []string) {
	for _, f := range g.page {
		out = append(out, fmt.Sprintf("%s %s %s %s %t %t %t", f.name, f.typ, f.help, f.unit, f.noType, f.noHelp, f.late))
		for _, l := range f.lines {
			out = append(out, f.name+l.suffix+"{"+l.labels+"}")
		}
	}
	return out
}

func (g *generator) write() string {
	if g.format == protobuf {
		return g.writeProtobuf()
	}
	var b strings.Builder
	meta := func(f *pageFamily) {
		name := f.name
		if f.quoted {
			name = `"` + name + `"`
		}
		if !f.noHelp {
			fmt.Fprintf(&b, "# HELP %s %s\n", name, f.help)
		}
		if !f.noType {
			fmt.Fprintf(&b, "# TYPE %s %s\n", name, f.typ)
		} else {
			g.seen.add("families without TYPE")
		}
		if f.unit != "" {
			fmt.Fprintf(&b, "# UNIT %s %s\n", name, f.unit)
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
	case (l.quoted || f.quoted) && l.labels == "":
		series = fmt.Sprintf(`{"%s"}`, series)
	case l.quoted || f.quoted:
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
	if g.format == openMetrics && l.suffix == "_created" {
		g.seen.add("_created in OpenMetrics")
	}
	if l.exemplar {
		g.seen.add("exemplars in OpenMetrics")
		fmt.Fprintf(b, ` # {trace_id="%s"} %s`, pick(g, "abc", "def", strconv.Itoa(g.IntN(1000))), pick(g, "1", "0.5"))
		if g.chance(50) {
			fmt.Fprintf(b, " %d.%03d", g.now/1000, g.IntN(1000))
		}
	}
	b.WriteString(end + "\n")
}
