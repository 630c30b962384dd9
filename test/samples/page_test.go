package samples

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

type pageFamily struct {
	name, typ, help, unit string
	noType, noHelp, late  bool
	quoted                bool // the name needs quotes
	large                 bool // many series, each with a label of its own
	whole                 bool // the lines are whole histograms
	lines                 []*pageLine
}

type pageLine struct {
	suffix   string
	pairs    []pair // its labels
	comma    bool   // one stands behind the last label
	upper    bool   // protobuf has a label that sorts before the name
	quoted   bool   // the name is quoted and stands in the braces
	value    string
	other    string // value that the second target gives
	only     int    // of the target that has the line, plus one; 0 for all
	stamp    int64  // milliseconds, 0 for none
	style    string // of the timestamp in OpenMetrics: "", "decimals", "exponent", "negative"
	created  int64  // seconds after the epoch
	exemplar *pageExemplar
	spacing  string         // how the line is written: "", "tabs", "spaces", "lead", "brace"
	classic  *pageHistogram // the line stands for all lines of a histogram
	native   *dto.Histogram
}

// pair is a label as it is, without escapes.
type pair struct{ name, value string }

type pageHistogram struct {
	counts []uint64 // by bucket, not cumulative
	sum    float64
}

// bounds are the upper ones of a pageHistogram's buckets.
var bounds = []string{"1", "2.5", "10", "+Inf"}

type pageExemplar struct {
	pairs []pair
	value string
	ms    int64 // 0 for none
}

const (
	plain       = "text/plain; version=0.0.4; charset=utf-8"
	openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	protobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

	// A name and a value that are longer in bytes than in characters.
	nonASCIIName, nonASCIIValue = "utf8 läbel", "ünïcödë välue"
)

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

// pairs draws the labels of a line.
func (g *generator) pairs(f *pageFamily, suffix string) (ls []pair) {
	most := 4
	if f.large { // the more, the likelier the page fails
		most = pick(g, 1, 1, 2)
	}
	for i := range g.IntN(most) {
		name := pick(g, "a", "b", "c", "instance", "job", "zone", "exported_zone", "le", "quantile")
		if i > 0 && g.IntN(400) > 0 && slices.ContainsFunc(ls, func(l pair) bool { return l.name == name }) {
			continue
		}
		v := pick(g, "1", "2", "3", "x y", `q"uote`, `back\slash`, "line\nbreak", "{brace}", "com,ma", "ünïcode", nonASCIIValue, "", "0.10", "1e1")
		if strings.ContainsAny(v, "\"\\\n") {
			g.seen.add("escapes")
		}
		ls = append(ls, pair{name, v})
	}
	if g.chance(10) && !f.large {
		g.seen.add("zone, exported_zone and exported_exported_zone on one line")
		ls = slices.DeleteFunc(ls, func(l pair) bool { return strings.HasSuffix(l.name, "zone") })
		ls = append(ls, pair{"zone", "1"}, pair{"exported_zone", "2"}, pair{"exported_exported_zone", "3"})
	}
	if g.chance(3) {
		g.seen.add("UTF-8 label names")
		ls = append(ls, pair{nonASCIIName, "v"})
	}
	if f.large || g.format == protobuf && g.chance(70) {
		g.serial++
		i := g.serial
		if g.chance(5) {
			i = g.IntN(5)
		}
		ls = append(ls, pair{"i", strconv.Itoa(i)})
	}
	own := func(name, value string) { // only now and then twice
		if g.IntN(400) > 0 || f.whole {
			ls = slices.DeleteFunc(ls, func(l pair) bool { return l.name == name })
		}
		if !f.whole {
			ls = append(ls, pair{name, value})
		}
	}
	switch {
	case f.whole, f.typ == "histogram" && suffix == "_bucket":
		own("le", pick(g, "1", "1.0", "2.5", "+Inf", "10", "1e3"))
	case f.typ == "summary" && suffix == "":
		own("quantile", pick(g, "0.5", "0.9", "0.99", "1"))
	}
	return ls
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
	if g.format == protobuf && g.chance(1) || g.mixed && g.chance(3) { // as lines of text are
		f.name, f.quoted, f.unit = pick(g, "# a comment", "# HELP m Help.", "# TYPE m gauge"), true, ""
		g.seen.add("metric names like comments")
	}
	f.whole = f.typ == "histogram" && g.often(40, "whole histograms in text")
	n := 1 + g.IntN(8)
	if f.large = g.often(15, "families of 40 series or more"); f.large {
		n = 40 + g.IntN(161)
		if f.whole {
			n /= 3
		}
	}
	for range n {
		f.lines = append(f.lines, g.line(f))
	}
	return f
}

func (g *generator) line(f *pageFamily) *pageLine {
	l := &pageLine{value: g.lineValue(f), created: int64(g.IntN(3))}
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
	if f.whole {
		l.suffix = ""
		l.classic = &pageHistogram{sum: g.NormFloat64()}
		for range bounds {
			l.classic.counts = append(l.classic.counts, uint64(g.IntN(5)))
		}
	}
	l.pairs = g.pairs(f, l.suffix)
	l.comma = len(l.pairs) > 0 && g.chance(5)
	l.upper = g.chance(2) && !f.large
	l.quoted = f.quoted || g.chance(3)
	if g.chance(15) || g.stamped {
		l.stamp = g.now - int64(g.IntN(30000)) + 5000
	}
	if g.chance(20) {
		l.style = pick(g, "decimals", "decimals", "decimals", "exponent", "exponent", "negative")
	}
	if g.chance(15) {
		l.only = 1 + g.IntN(2)
	}
	if g.chance(10) {
		l.exemplar = g.exemplar()
	} else if g.chance(4) && g.format != openMetrics {
		l.spacing = pick(g, "tabs", "spaces", "lead", "brace")
	}
	return l
}

func (g *generator) lineValue(f *pageFamily) string {
	if f.large {
		return strconv.Itoa(g.IntN(100000))
	}
	return g.value()
}

func (g *generator) exemplar() *pageExemplar {
	e := &pageExemplar{pairs: []pair{{"trace_id", pick(g, "abc", "def", strconv.Itoa(g.IntN(1000)))}}, value: pick(g, "1", "0.5")}
	if g.chance(50) {
		e.ms = g.now - int64(g.IntN(2))*interval.Milliseconds() + int64(g.IntN(1000))
	}
	if g.often(3, "exemplars that are unusual") {
		switch g.IntN(5) {
		case 0: // 128 or 129 characters
			e.pairs = []pair{{"trace_id", strings.Repeat("ü", 120+g.IntN(2))}}
		case 1:
			e.pairs = append(e.pairs, pair{"trace_id", "abc"})
		case 2:
			e.pairs = append(e.pairs, pair{"empty", ""})
		case 3:
			e.pairs = append(e.pairs, pair{"escapes", "q\"uote back\\slash line\nbreak"})
		case 4:
			e.value = "NaN"
		}
	}
	return e
}

// skeleton is the page without values and timestamps: what a table knows of it.
func (g *generator) skeleton() (out []string) {
	for _, f := range g.page {
		out = append(out, fmt.Sprintf("%s %s %s %s %t %t %t", f.name, f.typ, f.help, f.unit, f.noType, f.noHelp, f.late))
		for _, l := range f.lines {
			if l.only != 2 || !g.differs {
				out = append(out, fmt.Sprint(f.name, l.suffix, l.pairs))
			}
		}
	}
	return out
}
