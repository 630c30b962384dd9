package scrape

import (
	"promrelay/scrape/order"
)

// changes records what a page changes in its table while it is read, so that it can be undone.
// Prometheus reads a page in full before it looks at it, so it learns nothing from a page that it
// cannot read.
type changes struct {
	families  []family // of the table, as they were before the page
	metas     int      // metadata lines of the table before the page
	rows      uint32   // rows of the table before the page
	bytes     int      // of the table's record before the page
	edits     []rowEdit
	exemplars []exemplarEdit
}

// rowEdit is what the table had of a row before it changed.
type rowEdit struct {
	row, meta uint32
	start     int64
}

type exemplarEdit struct {
	slot     uint32
	now, old order.Exemplar
	had      bool // there was an old one
}

// begin notes what the table has before a page is read.
func (c *changes) begin(t *table) {
	c.families = append(c.families[:0], t.families...)
	c.metas, c.rows, c.bytes = len(t.metas), uint32(len(t.slots)), t.rows.FullBytes()
	c.edits, c.exemplars = c.edits[:0], c.exemplars[:0]
}

// undo gives the table back what it had, except for new rows, which stay until they are swept.
func (c *changes) undo(t *table) {
	t.families = append(t.families[:0], c.families...)
	t.metas = t.metas[:c.metas]
	for i := len(c.edits) - 1; i >= 0; i-- {
		e := c.edits[i]
		t.rows.SetMeta(e.row, e.meta)
		t.rows.SetStart(e.row, e.start)
	}
	for i := len(c.exemplars) - 1; i >= 0; i-- {
		e := c.exemplars[i]
		t.guard.UndoExemplar(e.slot, e.now, e.old, e.had)
	}
	clear(t.current)
	t.swept = false
}

func (c *changes) edit(t *table, row uint32) {
	if row < c.rows {
		c.edits = append(c.edits, rowEdit{row, t.rows.Meta(row), t.rows.Start(row)})
	}
}

// setMeta sets the metadata entry of a row.
func (c *changes) setMeta(t *table, row, entry uint32) {
	if t.rows.Meta(row) != entry {
		c.edit(t, row)
		t.rows.SetMeta(row, entry)
	}
}

// setStart sets the start timestamp of a row.
func (c *changes) setStart(t *table, row uint32, ms int64) {
	if t.rows.Start(row) != ms {
		c.edit(t, row)
		t.rows.SetStart(row, ms)
	}
}

// addExemplar adds an exemplar to the guard, and reports whether it is newer than those that the
// series had.
func (c *changes) addExemplar(t *table, slot uint32, e order.Exemplar) (newer bool) {
	old, had, newer := t.guard.AddExemplar(slot, e)
	if newer {
		c.exemplars = append(c.exemplars, exemplarEdit{slot, e, old, had})
	}
	return newer
}
