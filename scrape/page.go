package scrape

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
)

// page is the reading of one page beside the table of its target: which of the table's lines it has,
// and the samples that it leads to. Pages are used again for their memory.
type page struct {
	t      *table
	set    *settings
	format format

	// Where the page stands in the table's lines. Line numbers run over t.lines, t.extra and fresh.
	next     int    // the line of t.lines that is expected
	diverged bool   // the page's lines are not just the first ones of t.lines; then the following are in use
	lines    []line // of the page so far
	fresh    []line // those that the table did not know
	seen     record.Bits
	index    []uint32 // line numbers plus one by hash, open addressing

	// What stands before the line in the page.
	family  int    // index into t.families, -1 if there is none to speak of
	entry   uint32 // its metadata, 0 until it is needed
	typ     model.MetricType
	byName  map[string]uint32 // families, made when a metadata line is new
	bySlot  map[uint32]uint32 // rows, made when a new series may have one
	names   record.Cursor     // reads the metric names of rows, in their order
	named   uint32            // how many rows it has passed on this page
	lset    labels.Labels
	builder *labels.Builder
	buf     []byte

	out     record.Scrape
	odd     record.Bits // rows with an irregular sample
	maxTime int64       // milliseconds since the epoch; a sample that claims to be newer is refused
	behind  bool        // the clock went back, and is not yet where it was
	counts
	past
}

// counts is what becomes of a page's samples.
type counts struct {
	total       int // samples on the page
	added       int // of them, those that relabelling left
	seriesAdded int
	attempts    int // samples that the sample limit looked at
	walked      int // samples whose line was the expected one

	limitErr, bucketErr                           error
	outOfOrder, repeated, duplicates, outOfBounds int
	clocked                                       int    // not newer than what was there before the clock went back
	buckets                                       int    // of the histogram that has too many
	comments                                      int    // that the table did not know
	helps                                         int    // entries of HELP that were not walked; a family of protobuf has one
	lastText                                      []byte // of the last series that was not walked, while it stands in memory
	extraBytes                                    int    // of histograms and of exemplars' labels
}

// reset makes p ready to read a page scraped at now.
func (p *page) reset(t *table, set *settings, now int64) {
	p.t, p.set = t, set
	p.rewind()
	p.out.Time, p.behind = now, false
	p.discard()
}

// rewind puts p before the first line, and keeps its samples.
func (p *page) rewind() {
	p.format, p.next, p.diverged = formatOther, 0, false
	p.lines, p.fresh, p.index = p.lines[:0], p.fresh[:0], p.index[:0]
	p.family, p.entry, p.typ = -1, 0, model.MetricTypeUnknown
	p.byName, p.bySlot, p.named = nil, nil, 0
	p.counts = counts{}
	p.note(p.t)
}

// discard drops the samples.
func (p *page) discard() {
	n := p.t.rows.Len()
	p.out.Present = p.out.Present[:0].Grow(n)
	clear(p.out.Present)
	p.out.Values = grow(p.out.Values[:0], n)
	p.out.Times = p.out.Times[:0]
	p.out.Irregular = p.out.Irregular[:0]
	p.odd = p.odd[:0]
}

func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

// order returns the lines that the page was found to have so far.
func (p *page) order() []line {
	if p.diverged {
		return p.lines
	}
	return p.t.lines[:p.next]
}

// advance takes note that the expected line is there.
func (p *page) advance() {
	if p.diverged {
		p.lines = append(p.lines, p.t.lines[p.next])
		p.seen.Set(p.next)
	}
	p.next++
}

// diverge is called when a line is not the expected one.
func (p *page) diverge() {
	if p.diverged {
		return
	}
	p.diverged = true
	p.lines = append(p.lines, p.t.lines[:p.next]...)
	n := len(p.t.lines) + len(p.t.extra)
	p.seen = p.seen[:0].Grow(n)
	clear(p.seen)
	for i := range p.next {
		p.seen.Set(i)
	}
	p.reindex(2 * n)
}

func (p *page) line(n int) line {
	if n < len(p.t.lines) {
		return p.t.lines[n]
	}
	if n -= len(p.t.lines); n < len(p.t.extra) {
		return p.t.extra[n]
	}
	return p.fresh[n-len(p.t.extra)]
}

func (p *page) known() int { return len(p.t.lines) + len(p.t.extra) + len(p.fresh) }

func (p *page) reindex(size int) {
	slots := 64
	for slots < size {
		slots *= 2
	}
	p.index = grow(p.index[:0], slots)
	clear(p.index)
	for n := range p.known() {
		if l := p.line(n); l.cached() { // a series of protobuf may be called as another line reads
			p.index[p.place(l)] = uint32(n + 1)
		}
	}
}

// place returns the slot of the index where l is, or where it belongs.
func (p *page) place(l line) uint64 {
	mask := uint64(len(p.index) - 1)
	for i := l.hash & mask; ; i = (i + 1) & mask {
		n := p.index[i]
		if n == 0 {
			return i
		}
		if have := p.line(int(n - 1)); have.hash == l.hash && have.len() == l.len() {
			return i
		}
	}
}

// find looks for the line of a series. Already tells that the page had it before.
func (p *page) find(text []byte) (l line, known, already bool) {
	l = newLine(lineSeries, text, 0)
	if p.next < len(p.t.lines) && !(p.diverged && p.seen.Has(p.next)) {
		if want := p.t.lines[p.next]; want.hash == l.hash && want.len() == l.len() && want.cached() {
			p.advance()
			return want, true, false
		}
	}
	p.diverge()
	n := int(p.index[p.place(l)]) - 1
	if n < 0 {
		return l, false, false
	}
	l = p.line(n)
	already = p.seen.Has(n)
	if !already {
		p.seen.Set(n)
		p.lines = append(p.lines, l)
	}
	if n < len(p.t.lines) {
		p.next = n + 1
	}
	return l, true, already
}

// remember adds a line that find did not know.
func (p *page) remember(l line) {
	p.diverge()
	if 4*p.known() >= 3*len(p.index) {
		p.reindex(4 * p.known())
	}
	at := p.place(l)
	p.fresh = append(p.fresh, l)
	n := p.known()
	p.index[at] = uint32(n)
	p.seen = p.seen.Grow(n)
	p.seen.Set(n - 1)
	p.lines = append(p.lines, l)
}

// describe returns the metadata entry that the row should get with its next sample, 0 if it has the right one.
// A row whose name is not of the family that stands before it ends what that family's metadata is good for.
func (p *page) describe(row uint32) uint32 {
	if p.family < 0 {
		return 0
	}
	if p.entry == 0 {
		p.entry = p.t.entryOf(p.family)
	}
	if p.entry == noEntry || p.t.rows.Meta(row) == p.entry {
		return 0
	}
	if p.t.orphans[row] == p.entry {
		p.family = -1
		return 0
	}
	if !p.belongs(p.nameOf(row)) {
		if p.t.orphans == nil {
			p.t.orphans = map[uint32]uint32{}
		}
		p.t.orphans[row] = p.entry
		p.family = -1
		return 0
	}
	return p.entry
}

// belongs tells whether a series of this name is of the family that stands before it.
func (p *page) belongs(name string) bool {
	f := &p.t.families[p.family]
	return partOfFamily(name, string(p.t.rows.Symbols().Bytes(f.name)), f.typ)
}

// nameOf reads the metric name of a row. It walks over the rows, all in one walk if they are asked for in their order.
func (p *page) nameOf(row uint32) string {
	rows := p.t.rows
	if p.named == 0 || row+1 < p.named {
		p.names.Reset(rows)
		p.named = 0
	}
	for p.named <= row {
		if !p.names.Next() { // the row was added since the walk began
			p.names.Reset(rows)
			p.named = 0
			continue
		}
		p.named++
	}
	for i, name := range rows.Shape(p.names.Shape) {
		if string(rows.Symbols().Bytes(name)) == model.MetricNameLabel {
			return string(rows.Symbols().Bytes(p.names.Values[i]))
		}
	}
	return ""
}

// meta takes in a metadata line that the table does not know, or a metadata entry of a page without lines.
// The names and texts are as the parser gives them.
func (p *page) meta(kind metaKind, name []byte, typ model.MetricType, text []byte) metaLine {
	t := p.t
	if p.byName == nil {
		p.byName = make(map[string]uint32, len(t.families))
		for i, f := range t.families {
			p.byName[string(t.rows.Symbols().Bytes(f.name))] = uint32(i)
		}
	}
	n, ok := p.byName[string(name)]
	if !ok {
		n = uint32(len(t.families))
		t.families = append(t.families, family{name: t.rows.Symbols().Intern(name), typ: model.MetricTypeUnknown})
		p.byName[string(name)] = n
	}
	m := metaLine{family: n, kind: kind, typ: typ, text: t.rows.Symbols().Intern(text)}
	p.enter(m)
	return m
}

// enter makes m what stands before the following lines.
func (p *page) enter(m metaLine) {
	p.t.setMeta(m)
	p.family, p.entry = int(m.family), 0
	if m.kind == metaType {
		p.typ = m.typ
	}
}

// partOfFamily tells whether a series of this name belongs to the family (isSeriesPartOfFamily of
// prometheus/scrape).
func partOfFamily(name, family string, typ model.MetricType) bool {
	if !strings.HasPrefix(name, family) {
		return false
	}
	var suffixes []string
	switch typ {
	case model.MetricTypeCounter:
		family = strings.TrimSuffix(family, "_total")
		suffixes = []string{"_total"}
	case model.MetricTypeHistogram:
		suffixes = []string{"_bucket", "_sum", "_count"}
	case model.MetricTypeGaugeHistogram:
		suffixes = []string{"_bucket", "_gsum", "_gcount"}
	case model.MetricTypeSummary:
		suffixes = []string{"_sum", "_count"}
	case model.MetricTypeInfo:
		family = strings.TrimSuffix(family, "_info")
		suffixes = []string{"_info"}
	}
	for _, s := range suffixes {
		if cut, ok := strings.CutSuffix(name, s); ok {
			return cut == family
		}
	}
	return name == family
}
