package record

import (
	"slices"
	"sync/atomic"
)

// maxGap bounds the rows, symbols, shapes and metadata entries that may be missing between two parts. Each missing row takes 13
// bytes of memory, and the size of the input does not bound their number.
const maxGap = 1 << 18

// gaps describes what a reader's table lacks because parts of it were damaged. Everything keeps its number.
type gaps struct {
	symbols, shapes, metas numbers
	rows                   Bits   // lost ones; empty where there are none
	count                  int    // of rows
	version                uint64 // changes each time that rows are lost
}

var gapVersions atomic.Uint64

// numbers is a set of numbers, as spans that do not touch, in order.
type numbers [][2]uint32

func (s numbers) has(n uint32) bool {
	for _, span := range s {
		if n >= span[0] && n < span[1] {
			return true
		}
	}
	return false
}

// add adds the numbers from first to below end, which are above all those in s.
func (s *numbers) add(first, end int) {
	if first == end {
		return
	}
	if k := len(*s); k > 0 && (*s)[k-1][1] == uint32(first) {
		(*s)[k-1][1] = uint32(end)
		return
	}
	*s = append(*s, [2]uint32{uint32(first), uint32(end)})
}

// any reports whether anything but metadata is missing.
func (g *gaps) any() bool { return len(g.symbols) > 0 || len(g.shapes) > 0 || g.count > 0 }

// clone returns a copy that a later part may add to.
func (g *gaps) clone() gaps {
	out := *g
	out.symbols, out.shapes, out.metas = slices.Clone(g.symbols), slices.Clone(g.shapes), slices.Clone(g.metas)
	out.rows = slices.Clone(g.rows)
	return out
}

// lost reports whether the row, below the table's Len, is lost.
func (g *gaps) lost(row int) bool { return row>>6 < len(g.rows) && g.rows.Has(row) }

// lose adds n rows whose labels are unknown.
func (t *Table) lose(n int) {
	if n == 0 {
		return
	}
	for range n {
		t.rows = append(t.rows, rowLost)
		t.base = append(t.base, 0)
		t.meta = append(t.meta, 0)
		if t.start != nil {
			t.start = append(t.start, 0)
		}
	}
	t.gaps.mark(len(t.base)-n, len(t.base))
	t.last = Row{Shape: lostShape}
}

// mark marks the rows from first to below end as lost.
func (g *gaps) mark(first, end int) {
	g.rows = g.rows.Grow(end)
	for row := first; row < end; row++ {
		g.rows.Set(row)
	}
	g.count += end - first
	g.version = gapVersions.Add(1)
}

// applyRows appends the rows in encoded and moves t.last to the last one. It checks their number, and that their symbols and shapes
// exist. So a Cursor needs no checks.
func (t *Table) applyRows(encoded []byte, rows int) error {
	d := decoder{b: encoded}
	first, damaged := len(t.base), t.gaps.any()
	for row := range rows {
		if damaged && !t.readable(d) {
			// The length of the row is unknown, so the start of the next one is unknown too.
			t.rows = append(t.rows, encoded[:len(encoded)-len(d.b)]...)
			for range rows - row {
				t.rows = append(t.rows, rowLost)
			}
			t.gaps.mark(first+row, first+rows)
			t.last = Row{Shape: lostShape}
			return nil
		}
		t.row(&d)
		if d.err != nil {
			return d.err
		}
		if damaged && !t.known(&t.last) {
			t.gaps.mark(first+row, first+row+1)
		}
	}
	t.rows = append(t.rows, encoded...)
	return d.end()
}

// readable reports whether the next row's number of labels is known.
func (t *Table) readable(d decoder) bool {
	switch d.byte() {
	case rowLike:
		return t.last.Shape != lostShape // else the row before is lost
	case rowWhole:
		return !t.gaps.shapes.has(d.below(len(t.shapes)))
	}
	return true
}

// known reports whether all labels of a row are known.
func (t *Table) known(r *Row) bool {
	return !slices.ContainsFunc(r.Values, t.gaps.symbols.has) && !slices.ContainsFunc(t.shapes[r.Shape], t.gaps.symbols.has)
}

// row reads a row into t.last.
func (t *Table) row(d *decoder) {
	switch d.byte() {
	case rowWhole:
		t.last.Shape = d.below(len(t.shapes))
		if d.err != nil {
			return
		}
		t.last.Values = t.last.Values[:0]
		for range t.shapes[t.last.Shape] {
			t.last.Values = append(t.last.Values, d.below(t.symbols.Len()))
		}
	case rowLike:
		n := len(t.last.Values)
		if n == 0 {
			d.fail("row like the one before, which has no labels")
		}
		mask := d.take((n + 7) / 8)
		for i := 0; i < 8*len(mask); i++ {
			if mask[i/8]&(1<<(i%8)) == 0 {
				continue
			}
			if v := d.below(t.symbols.Len()); i < n {
				t.last.Values[i] = v
			} else {
				d.fail("mask of a row names label %d of %d", i, n)
			}
		}
	default:
		d.fail("row of unknown kind")
	}
}
