package scrape

import (
	"hash/maphash"
	"math"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/scrape/order"
)

// seed differs with each process. No hash made with it is written to disk.
var seed = maphash.MakeSeed()

// Kinds of lines.
const (
	lineSeries  = iota // feeds a row
	lineDropped        // relabelling dropped it
	lineMeta           // # TYPE, # HELP or # UNIT
	lineComment
)

// line is what a table knows of one line of the page: of a series line the part before the value,
// of the others all.
type line struct {
	hash uint64
	size uint32 // bytes << 2 | kind
	to   uint32 // row of a series, index into metas of a metadata line
}

func newLine(kind int, text []byte, to uint32) line {
	return line{maphash.Bytes(seed, text), uint32(len(text))<<2 | uint32(kind), to}
}

func (l line) kind() int { return int(l.size & 3) }
func (l line) len() int  { return int(l.size >> 2) }

// cached tells whether prometheus/scrape would hold the line in its cache.
func (l line) cached() bool { return l.kind() == lineSeries || l.kind() == lineDropped }

// isAt tells whether the bytes of b at i are those of l, and something follows them.
func (l line) isAt(b []byte, i int) bool {
	end := i + l.len()
	return end < len(b) && maphash.Bytes(seed, b[i:end]) == l.hash
}

// format is what a page is written in.
type format byte

const (
	formatOther format = iota
	formatPrometheus
	formatOpenMetrics
	formatProtobuf
)

// family is the metadata of a metric family as the page's lines have made it so far. The texts are
// symbols of the table.
type family struct {
	name, help, unit uint32
	typ              model.MetricType
	entry            uint32 // of the table's metadata, 0 until it is needed
	iter             uint64 // when it was last seen
}

// metaLine is what a metadata line says.
type metaLine struct {
	family uint32
	kind   metaKind
	typ    model.MetricType
	text   uint32 // symbol
}

type metaKind byte

const (
	metaType metaKind = iota
	metaHelp
	metaUnit
)

// familyLife is how many whole pages a family's metadata outlives its last line.
const familyLife = 10

// table is what a target's pages have led to: the series table of the design. It plays the part of
// the scrape cache of prometheus/scrape, and the two behave alike: what a line became after
// relabelling holds until a whole page without it was read. One goroutine uses it at a time.
type table struct {
	guard *order.Guard
	rows  *record.Table
	slots []uint32 // of the guard, by row; 0 for a dead row
	live  int      // rows that are not dead

	lines  []line // of the last whole page, in its order
	format format // of that page; a line means the same only in the same one
	extra  []line // cached from pages that failed since
	metas  []metaLine

	families []family
	iter     uint64
	// successful is how many things were cached after the last whole page; beyond twice as many and
	// a thousand, a failed page makes the table forget too.
	cached, successful int

	// Rows that the page before, and this one, hold staleness over: what is in previous and not in
	// current has gone.
	previous, current record.Bits

	report        [len(reportSeries)]uint32 // rows of the report series, noRow where there is none yet
	reportEntries [len(reportSeries)]uint32 // their metadata, 0 until it is needed

	orphans map[uint32]uint32 // rows whose name is not of the family that stands before them: its entry

	symbols int  // of rows, when they were built
	size    int  // of rows in bytes, when they were built
	most    int  // bytes that rows may take; 0 for what a record can hold
	told    told // what of rows stands in the log's segment
	swept   bool // no row can have died since the last sweep
}

const noRow = math.MaxUint32

var tableIDs atomic.Uint64

func newTable(g *order.Guard) *table {
	t := &table{guard: g, rows: record.NewTable(tableIDs.Add(1)), swept: true}
	for i := range t.report {
		t.report[i] = noRow
	}
	return t
}

// addRow adds a row for a series, the slot of which was acquired for it.
func (t *table) addRow(ls labels.Labels, slot uint32, base float64) uint32 {
	row := t.rows.Add(ls, base)
	t.slots = append(t.slots, slot)
	t.live++
	t.swept = false
	t.previous = t.previous.Grow(len(t.slots))
	t.current = t.current.Grow(len(t.slots))
	return row
}

// setMeta takes in what a metadata line says.
func (t *table) setMeta(m metaLine) {
	f := &t.families[m.family]
	f.iter = t.iter
	switch {
	case m.kind == metaType && f.typ != m.typ:
		f.typ, f.entry = m.typ, 0
	case m.kind == metaHelp && f.help != m.text:
		f.help, f.entry = m.text, 0
	case m.kind == metaUnit && f.unit != m.text:
		f.unit, f.entry = m.text, 0
	}
}

// noEntry stands for metadata that says nothing, which is not worth an entry.
const noEntry = math.MaxUint32

// entryOf returns the number of the metadata of family n.
func (t *table) entryOf(n int) uint32 {
	f := &t.families[n]
	if f.typ == model.MetricTypeUnknown && f.help == 0 && f.unit == 0 {
		return noEntry
	}
	if f.entry == 0 {
		f.entry = t.rows.Metadata(f.typ, f.name, f.help, f.unit)
	}
	return f.entry
}

// pageDone ends the reading of p (iterDone of prometheus/scrape). With whole, it was read to its end, and
// what it lacked is forgotten. A scrape that failed before there was a page has an empty p.
func (t *table) pageDone(p *page, whole bool) {
	n := t.cached + len(p.fresh) + len(t.families) // the size of that cache
	for _, row := range t.report {
		if row != noRow {
			n++
		}
	}
	switch {
	case whole && p.diverged:
		t.setLines(append(t.lines[:0:0], p.lines...), nil)
	case whole && p.next < len(t.lines) || whole && len(t.extra) > 0:
		t.setLines(t.lines[:p.next], nil)
	case !whole && len(p.fresh) > 0:
		t.setLines(t.lines, append(t.extra, p.fresh...))
	}
	if !whole {
		t.swept = false // texts came, maybe, that nothing keeps
	}
	if whole {
		t.format = p.format
		t.successful = n
		t.forgetFamilies()
	} else if n > 2*t.successful+1000 {
		t.setLines(t.lines[:0:0], append([]line(nil), p.order()...))
		t.forgetFamilies()
	} else {
		t.metas = t.metas[:p.metasBefore] // no line refers to them
	}
	t.previous, t.current = t.current, t.previous
	clear(t.current)
	t.iter++
}

func (t *table) setLines(lines, extra []line) {
	t.lines, t.extra = lines, extra
	t.swept = false
	t.cached = 0
	for _, ls := range [...][]line{lines, extra} {
		for _, l := range ls {
			if l.cached() {
				t.cached++
			}
		}
	}
}

// forgetFamilies drops the families that no page had a line of for long, with the lines about them.
func (t *table) forgetFamilies() {
	old := 0
	for i := range t.families {
		if t.iter-t.families[i].iter > familyLife {
			old++
		}
	}
	if old == 0 && len(t.metas) < 4*len(t.families)+16 {
		return
	}
	number := make([]uint32, len(t.families)) // plus one, 0 for one that goes
	kept := t.families[:0]
	for i, f := range t.families {
		if t.iter-f.iter <= familyLife {
			kept = append(kept, f)
			number[i] = uint32(len(kept))
		}
	}
	t.families = kept
	var metas []metaLine
	forget := func(ls []line) []line {
		out := ls[:0]
		for _, l := range ls {
			if l.kind() == lineMeta {
				m := t.metas[l.to]
				if number[m.family] == 0 {
					continue
				}
				m.family = number[m.family] - 1
				l.to = uint32(len(metas))
				metas = append(metas, m)
			}
			out = append(out, l)
		}
		return out
	}
	t.lines, t.extra = forget(t.lines), forget(t.extra)
	t.metas = metas
}

// sweep lets the rows die that no line feeds any more and no staleness hangs on, and builds the rows anew
// when more of them are dead than alive, or most of their symbols are of the past. What was read must have been committed.
func (t *table) sweep() {
	if t.swept {
		return
	}
	t.swept = true
	alive := record.Bits(nil).Grow(len(t.slots))
	for _, row := range t.report {
		if row != noRow {
			alive.Set(int(row))
		}
	}
	for _, ls := range [...][]line{t.lines, t.extra} {
		for _, l := range ls {
			if l.kind() == lineSeries {
				alive.Set(int(l.to))
			}
		}
	}
	for row, slot := range t.slots {
		if slot == 0 || alive.Has(row) {
			continue
		}
		if t.previous.Has(row) {
			t.swept = false
			continue
		}
		t.guard.Release(slot)
		t.slots[row] = 0
		t.live--
	}
	n, size := t.rows.Symbols().Len(), t.rows.FullBytes()
	if t.symbols == 0 {
		t.symbols, t.size = n, size
	}
	dead := len(t.slots) - t.live
	texts := n > 2*t.symbols+1000 || size > 2*t.size+1<<20 || t.most > 0 && size > t.most/2 && size > t.size+t.size/4 // of HELP lines that change, say
	if dead > t.live && dead > 100 || texts {
		t.rebuild()
		t.symbols, t.size = t.rows.Symbols().Len(), t.rows.FullBytes()
	}
}

// rebuild renumbers the living rows.
func (t *table) rebuild() {
	number := make([]uint32, len(t.slots))
	slots := make([]uint32, 0, t.live)
	var previous record.Bits
	for row, slot := range t.slots {
		if slot == 0 {
			continue
		}
		number[row] = uint32(len(slots))
		slots = append(slots, slot)
		previous = previous.Grow(len(slots))
		if t.previous.Has(row) {
			previous.Set(len(slots) - 1)
		}
	}
	var refs []*uint32
	for i := range t.families {
		f := &t.families[i]
		f.entry = 0
		refs = append(refs, &f.name, &f.help, &f.unit)
	}
	for i := range t.metas {
		refs = append(refs, &t.metas[i].text)
	}
	t.rows = t.rows.Rebuild(func(row uint32) bool { return t.slots[row] != 0 }, refs...)
	t.slots, t.previous, t.current = slots, previous, record.Bits(nil).Grow(len(slots))
	for _, ls := range [...][]line{t.lines, t.extra} {
		for i := range ls {
			if ls[i].kind() == lineSeries {
				ls[i].to = number[ls[i].to]
			}
		}
	}
	for i, row := range t.report {
		if row != noRow {
			t.report[i] = number[row]
		}
	}
	t.orphans = nil
	t.reportEntries = [len(reportSeries)]uint32{}
	t.told = told{}
}

// renew makes the table forget all, after a panic that may have left it between two states.
func (t *table) renew() {
	_ = caught(func() error { t.close(); return nil })
	*t = *newTable(t.guard)
}

// close gives up the table's series.
func (t *table) close() {
	for row, slot := range t.slots {
		if slot != 0 {
			t.guard.Release(slot)
			t.slots[row] = 0
		}
	}
}
