package samples

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// write writes the page in the format at hand, for the target at hand.
func (g *generator) write() string {
	if g.format == protobuf {
		return g.writeProtobuf()
	}
	var b strings.Builder
	for _, f := range g.page {
		if !f.late {
			g.writeMeta(&b, f)
		}
		for _, l := range f.lines {
			switch {
			case !g.has(l):
			case l.classic != nil:
				g.writeClassic(&b, f, l)
			default:
				g.writeLine(&b, f, l)
			}
		}
		if f.late {
			g.writeMeta(&b, f)
		}
		if strings.HasPrefix(f.name, "#") && g.format == plain {
			b.WriteString(f.name + "\n")
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

// has tells whether the line is on the page of the target at hand.
func (g *generator) has(l *pageLine) bool { return l.only == 0 || !g.differs || l.only == 1+g.who }

// valueOf is the line's for the target at hand.
func (g *generator) valueOf(l *pageLine) string {
	if g.who > 0 && l.other != "" {
		return l.other
	}
	return l.value
}

// manyLines is a page that has more new lines than a table holds of failed ones, and fails.
func (g *generator) manyLines() string {
	var b strings.Builder
	b.WriteString("m 1\n")
	for range 700 + g.IntN(400) {
		g.serial++
		fmt.Fprintf(&b, "many{i=\"%d\"} 1\n", g.serial)
	}
	return b.String() + "not a line\n"
}

// typeName is what the format at hand calls the family's type.
func (g *generator) typeName(f *pageFamily) string {
	if g.format == openMetrics {
		return strings.Replace(f.typ, "untyped", "unknown", 1)
	}
	switch f.typ {
	case "unknown":
		return "untyped"
	case "info", "stateset":
		return "gauge"
	case "gaugehistogram":
		return "histogram"
	}
	return f.typ
}

func (g *generator) writeMeta(b *strings.Builder, f *pageFamily) {
	name := f.name
	if f.quoted {
		name = `"` + name + `"`
	}
	if !f.noHelp {
		fmt.Fprintf(b, "# HELP %s %s\n", name, f.help)
	}
	if !f.noType {
		fmt.Fprintf(b, "# TYPE %s %s\n", name, g.typeName(f))
	} else {
		g.seen.add("families without TYPE")
	}
	if f.unit != "" {
		fmt.Fprintf(b, "# UNIT %s %s\n", name, f.unit)
	}
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func pairsText(pairs []pair) string {
	var out []string
	for _, p := range pairs {
		name := p.name
		if !model.LegacyValidation.IsValidLabelName(name) {
			name = `"` + name + `"`
		}
		out = append(out, fmt.Sprintf(`%s="%s"`, name, escaper.Replace(p.value)))
	}
	return strings.Join(out, ",")
}

// writeClassic writes all lines of a histogram.
func (g *generator) writeClassic(b *strings.Builder, f *pageFamily, l *pageLine) {
	line := func(suffix, value string, more ...pair) {
		part := *l
		part.suffix, part.value, part.other = suffix, value, ""
		part.pairs = append(part.pairs[:len(part.pairs):len(part.pairs)], more...)
		if suffix != "_bucket" {
			part.exemplar = nil
		}
		g.writeLine(b, f, &part)
	}
	n := uint64(g.who)
	for i, bound := range bounds {
		n += l.classic.counts[i]
		line("_bucket", strconv.FormatUint(n, 10), pair{"le", bound})
	}
	line("_sum", strconv.FormatFloat(l.classic.sum, 'g', -1, 64))
	line("_count", strconv.FormatUint(n, 10))
}

func (g *generator) writeLine(b *strings.Builder, f *pageFamily, l *pageLine) {
	series, labels := f.name+l.suffix, pairsText(l.pairs)
	if l.comma && labels != "" {
		labels += ","
	}
	switch {
	case (l.quoted || f.quoted) && labels == "":
		series = fmt.Sprintf(`{"%s"}`, series)
	case l.quoted || f.quoted:
		series = fmt.Sprintf(`{"%s",%s}`, series, labels)
	case labels != "":
		series += "{" + labels + "}"
	}
	sep, lead, end := " ", "", ""
	spacing := l.spacing
	if g.format == openMetrics {
		spacing = "" // else the page fails
	}
	switch spacing {
	case "tabs":
		sep = "\t"
	case "spaces":
		sep, end = "  ", " "
	case "lead":
		lead = " "
	case "brace":
		series = strings.Replace(series, "{", " {", 1)
	}
	b.WriteString(lead + series + sep + g.valueOf(l))
	if l.stamp != 0 {
		if g.format == openMetrics {
			b.WriteString(" " + g.seconds(l))
		} else {
			fmt.Fprintf(b, "%s%d", sep, l.stamp)
		}
	}
	if g.format == openMetrics && l.suffix == "_created" {
		g.seen.add("_created in OpenMetrics")
	}
	if l.exemplar != nil && g.format == openMetrics {
		g.writeExemplar(b, l.exemplar)
	}
	b.WriteString(end + "\n")
}

// seconds is the line's timestamp in OpenMetrics.
func (g *generator) seconds(l *pageLine) string {
	v := float64(l.stamp) / 1000
	if l.style != "" {
		g.seen.add("OpenMetrics timestamps: " + l.style)
	}
	switch l.style {
	case "decimals":
		return strconv.FormatFloat(v+float64(l.stamp%7)/1e4, 'f', 4+int(l.stamp%6), 64)
	case "exponent":
		return strconv.FormatFloat(v, 'e', -1, 64)
	case "negative":
		return strconv.FormatFloat(v-1e9, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func (g *generator) writeExemplar(b *strings.Builder, e *pageExemplar) {
	g.seen.add("exemplars in OpenMetrics")
	fmt.Fprintf(b, ` # {%s} %s`, pairsText(e.pairs), e.value)
	if e.ms != 0 {
		fmt.Fprintf(b, " %d.%03d", e.ms/1000, e.ms%1000)
	}
}
