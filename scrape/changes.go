package scrape

import (
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
