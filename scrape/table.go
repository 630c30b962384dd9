package scrape

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/scrape/order"
)

// table is the series table of a target. It has the role of the scrape cache of prometheus/scrape,
// and behaves in the same way: the result of relabelling a line stays until a whole page without
// the line was read. One goroutine uses it at a time.
type table struct {
	inUse *sync.Mutex // held during a scrape; Pool.Metadata takes it only if it is free
	guard *order.Guard
	rows  *record.Table
	slots []uint32 // of the guard, by row; 0 for a dead row
	live  int      // rows that are not dead

	lines  []line // of the last whole page, in its order
	format format // of that page; a line means the same only in the same format
	extra  []line // cached from pages that failed since
	metas  []metaLine

	families []family
	orphans  map[uint32]uint32 // rows whose name is not of the family that stands before them: its entry
	iter     uint64            // pages read
	// cached counts the cached lines. successful is how many things were cached after the last
	// whole page: if more than twice as many plus 1000 are cached, a failed page makes the table
	// forget lines too.
	cached, successful int

	// Rows seen on the previous page and on this one; previous minus current become stale.
	previous, current record.Bits

	dropped []int // series that rules for samples have dropped, by the index of the rule

	report        [len(reportSeries)]uint32 // rows of the report series, noRow where there is none yet
	reportEntries [len(reportSeries)]uint32 // their metadata, 0 until it is needed

	symbols  int     // of rows, when they were built
	size     int     // of rows in bytes, when they were built
	maxBytes int     // of rows; 0 for as much as a record can hold
	written  written // which parts of rows the log's segment has
	swept    bool    // no row can have died since the last sweep
	filled   bool    // a page was read to its end: series that come after it are new
}

const noRow = math.MaxUint32

var tableIDs atomic.Uint64

func newTable(g *order.Guard) *table {
	t := &table{inUse: new(sync.Mutex), guard: g, rows: record.NewTable(tableIDs.Add(1)), swept: true}
	for i := range t.report {
		t.report[i] = noRow
	}
	return t
}

// noteDropped notes that a rule has dropped a series.
func (t *table) noteDropped(rule int) {
	for len(t.dropped) <= rule {
		t.dropped = append(t.dropped, 0)
	}
	t.dropped[rule]++
}

// droppedMost returns the index of the rule that has dropped the most series, -1 if none has dropped one.
func (t *table) droppedMost() int {
	most, at := 0, -1
	for i, n := range t.dropped {
		if n > most {
			most, at = n, i
		}
	}
	return at
}

// addRow adds a row for a series. Slot must have been acquired for it.
func (t *table) addRow(ls labels.Labels, slot uint32, base float64) uint32 {
	row := t.rows.Add(ls, base)
	t.slots = append(t.slots, slot)
	t.live++
	t.swept = false
	t.previous = t.previous.Grow(len(t.slots))
	t.current = t.current.Grow(len(t.slots))
	return row
}

// setMeta sets a family's metadata to that of a line.
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

// entryOf returns the metadata entry of family n, noEntry if it says nothing.
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

// forgetFamilies removes the families that had no line on the last familyLife pages, with the lines
// about them.
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

// sweep removes the rows that no line feeds and that need no staleness marker. It rebuilds the rows
// when more of them are dead than alive, or most of their texts are no longer used. The page must
// have been committed.
func (t *table) sweep() {
	if t.swept {
		return
	}
	t.swept = true
	t.removeUnfed()
	if t.symbols == 0 {
		t.symbols, t.size = t.rows.Symbols().Len(), t.rows.FullBytes()
	}
	if dead := len(t.slots) - t.live; dead > t.live && dead > 100 || t.manyTexts() {
		t.rebuild()
	}
}

// removeUnfed removes the rows that no line feeds. Those of the previous page wait for their
// staleness markers.
func (t *table) removeUnfed() {
	fed := record.Bits(nil).Grow(len(t.slots))
	for _, row := range t.report {
		if row != noRow {
			fed.Set(int(row))
		}
	}
	for _, ls := range [...][]line{t.lines, t.extra} {
		for _, l := range ls {
			if l.kind() == lineSeries {
				fed.Set(int(l.to))
			}
		}
	}
	for row, slot := range t.slots {
		switch {
		case slot == 0 || fed.Has(row):
		case t.previous.Has(row):
			t.swept = false
		default:
			t.release(uint32(row))
		}
	}
}

// manyTexts reports whether the rows use much more memory than when they were built: HELP lines
// that change leave their old texts there.
func (t *table) manyTexts() bool {
	n, size := t.rows.Symbols().Len(), t.rows.FullBytes()
	return n > 2*t.symbols+1000 || size > 2*t.size+1<<20 || t.maxBytes > 0 && size > t.maxBytes/2 && size > t.size+t.size/4
}

// release removes a row, which is dead from now on.
func (t *table) release(row uint32) {
	if slot := t.slots[row]; slot != 0 {
		t.guard.Release(slot)
		t.slots[row] = 0
		t.live--
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
	t.written = written{}
	t.symbols, t.size = t.rows.Symbols().Len(), t.rows.FullBytes()
}

// renew makes the table forget everything, after a panic that may have left it half changed.
func (t *table) renew() {
	_ = caught(func() error { t.close(); return nil })
	held := t.inUse
	*t = *newTable(t.guard)
	t.inUse = held
}

// close releases the table's series.
func (t *table) close() {
	for row := range t.slots {
		t.release(uint32(row))
	}
}

// forgetCurrent forgets the rows of the current page, except its report series, because their
// reports follow.
func (t *table) forgetCurrent() {
	var had []uint32
	for _, row := range t.report {
		if row != noRow && t.current.Has(int(row)) {
			had = append(had, row)
		}
	}
	clear(t.current)
	for _, row := range had {
		t.current.Set(int(row))
	}
}

// describeReport gives the row of report series i its metadata.
func (t *table) describeReport(row uint32, i int) {
	if t.reportEntries[i] == 0 {
		s := t.rows.Symbols()
		r := reportSeries[i]
		t.reportEntries[i] = t.rows.Metadata(model.MetricTypeGauge, s.Intern([]byte(r.name)), s.Intern([]byte(r.help)), s.Intern([]byte(r.unit)))
	}
	t.rows.SetMeta(row, t.reportEntries[i])
}
