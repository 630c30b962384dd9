package scrape

import (
	"promrelay/record"
	"promrelay/scrape/order"
)

// past is what a page found, for the case that it cannot be read to its end: Prometheus reads it before it looks at it, and then knows
// nothing of it.
type past struct {
	families    []family // of the table; those of a page that is there already are not kept
	metasBefore int
	rowsBefore  uint32
	bytesBefore int // of the table's record
	changes     []rowChange
	exemplars   []exemplarChange
}

// rowChange is what the table said of a row before it changed.
type rowChange struct {
	row, meta uint32
	start     int64
}

type exemplarChange struct {
	slot     uint32
	now, old order.Exemplar
	had      bool
}

// note takes note of what the table says before the page is read.
func (b *past) note(t *table) {
	b.families = append(b.families[:0], t.families...)
	b.metasBefore, b.rowsBefore, b.bytesBefore = len(t.metas), uint32(len(t.slots)), t.rows.FullBytes()
	b.changes, b.exemplars = b.changes[:0], b.exemplars[:0]
}

// undo makes the table know nothing of the page.
func (p *page) undo() {
	t := p.t
	t.families = append(t.families[:0], p.past.families...)
	t.metas = t.metas[:p.metasBefore]
	for i := len(p.changes) - 1; i >= 0; i-- {
		c := p.changes[i]
		t.rows.SetMeta(c.row, c.meta)
		t.rows.SetStart(c.row, c.start)
	}
	for i := len(p.past.exemplars) - 1; i >= 0; i-- {
		e := p.past.exemplars[i]
		t.guard.UndoExemplar(e.slot, e.now, e.old, e.had)
	}
	clear(t.current)
	t.swept = false
	rows := p.rowsBefore // those of the page are there yet
	p.rewind()
	p.rowsBefore = rows
	p.discard()
}

// forgetNew makes the table forget the page's lines and new series, where these take more than they may: neither memory nor the log are to
// hold them.
func (p *page) forgetNew() {
	t := p.t
	for row := p.rowsBefore; row < uint32(len(t.slots)); row++ {
		if slot := t.slots[row]; slot != 0 {
			t.guard.Release(slot)
			t.slots[row] = 0
			t.live--
		}
	}
	for i, row := range t.report {
		if row != noRow && row >= p.rowsBefore {
			t.report[i] = noRow
		}
	}
	t.setLines(nil, nil)
	t.families, t.metas = nil, nil
	t.rebuild()
	t.symbols, t.size = t.rows.Symbols().Len(), t.rows.FullBytes()
	p.rewind()
	p.discard()
}

func (p *page) changing(row uint32) {
	if row < p.rowsBefore {
		p.changes = append(p.changes, rowChange{row, p.t.rows.Meta(row), p.t.rows.Start(row)})
	}
}

func (p *page) setMeta(row, entry uint32) {
	if p.t.rows.Meta(row) != entry {
		p.changing(row)
		p.t.rows.SetMeta(row, entry)
	}
}

func (p *page) setStart(row uint32, ms int64) {
	if p.t.rows.Start(row) != ms {
		p.changing(row)
		p.t.rows.SetStart(row, ms)
	}
}

// newExemplar tells whether the exemplar is newer than those that the series had.
func (p *page) newExemplar(slot uint32, e order.Exemplar) bool {
	old, had, newer := p.t.guard.AddExemplar(slot, e)
	if newer {
		p.past.exemplars = append(p.past.exemplars, exemplarChange{slot, e, old, had})
	}
	return newer
}

// perSeries is roughly what a new series takes beside its row's record: lines, slots, the guard.
const perSeries = 100

// held is roughly how many bytes the page takes by now, and made the table take.
func (p *page) held() int64 {
	s := &p.out
	n := 8*(len(s.Values)+len(s.Times)) + 112*len(s.Irregular) + p.extraBytes
	n += 16*(len(p.lines)+len(p.fresh)) + 4*len(p.index) + perSeries*len(p.fresh)
	return int64(n + max(p.t.rows.FullBytes()-p.bytesBefore, 0))
}

// fits demands that the series of the target are not more than they may be, and no more, with the samples of the page, than one record
// can hold.
func (p *page) fits() error {
	rows := p.t.rows
	size := rows.FullBytes()
	if most := p.t.most; most > 0 && size > most {
		return fullError{sizeError{what: "what the series of the target consist of, with their HELP texts,", limit: int64(most), key: "scrape.memory_limit"}}
	}
	if size = max(size, record.ScrapeBytes(rows.Len(), len(p.out.Irregular))+p.extraBytes); size > maxRecord {
		return fullError{sizeError{what: "what the log must hold of the target", limit: maxRecord}}
	}
	return nil
}
