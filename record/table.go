package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// metadata is what a target says about a metric family; family, help and unit are symbols.
type metadata struct {
	typ                byte
	family, help, unit uint32
}

// types numbers the metric types. On disk: never change, append only.
var types = [...]model.MetricType{
	model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
	model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
}

func typeNumber(t model.MetricType) byte {
	for i, v := range types {
		if v == t {
			return byte(i)
		}
	}
	return 0
}

// Table holds the series of one target: rows of labels, numbered from 0 in the order in which they were added. Rows are never
// removed; Rebuild makes a table without them. The writer and the reader of records each have a table; AppendFull and AppendDelta
// on one side and Tables.Apply on the other keep them equal. A Table is not safe for concurrent use.
type Table struct {
	id, generation uint64
	part           uint64 // the last one written or read
	holed          bool   // reader only: a part is missing, so start timestamps may be wrong
	gaps           gaps   // reader only: the content of the missing parts

	symbols    Symbols
	shapes     [][]uint32        // label names of a row, as symbols
	byShape    map[string]uint32 // writer only; keyed by the references' bytes
	shapeBytes int               // writer only; of shapes in a record, at most
	metas      []metadata
	byMeta     map[metadata]uint32 // writer only

	rows []byte // as in a table record
	last Row    // the last row of rows

	base  []float64 // of each row
	meta  []uint32  // of each row: 0 or the number of an entry of metas plus one
	start []int64   // of each row: its start timestamp or 0; nil while no row has one

	// Writer only: how much of the table the segment has, and the older rows that have changed since.
	done         done
	changedMeta  []uint32
	changedStart []uint32
}

type done struct{ symbols, shapes, metas, rows, bytes int }

// NewTable returns an empty table. The identifier must be unique in this process.
func NewTable(id uint64) *Table { return &Table{id: id, generation: 1} }

// ID returns the table's identifier.
func (t *Table) ID() uint64 { return t.id }

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.base) }

// Generation identifies the rows of a table: two tables of one identifier and one generation have the same rows under the same
// numbers. It changes when rows are renumbered, base values are renewed, or rows are lost.
func (t *Table) Generation() uint64 {
	if t.gaps.count > 0 {
		return 1<<63 | t.gaps.version
	}
	return t.generation
}

// Size returns roughly the bytes of memory that the table holds.
func (t *Table) Size() int {
	n := t.symbols.size() + cap(t.rows) + 8*cap(t.base) + 4*cap(t.meta) + 8*cap(t.start)
	for _, s := range t.shapes {
		n += 24 + 4*len(s)
	}
	return n
}

// Add appends a row. The base value should be close to the values that will follow.
func (t *Table) Add(ls labels.Labels, base float64) (row uint32) {
	var names, values [48]uint32
	n, v := names[:0], values[:0]
	ls.Range(func(l labels.Label) {
		n = append(n, t.symbols.Intern(unsafeBytes(l.Name)))
		v = append(v, t.symbols.Intern(unsafeBytes(l.Value)))
	})
	return t.add(t.shape(n), v, base)
}

func (t *Table) add(shape uint32, values []uint32, base float64) (row uint32) {
	last := &t.last
	if len(t.base) == t.done.rows {
		last = &Row{} // the first row of a part is written in full, so it can be read even if the part before is lost
	}
	t.rows = appendRow(t.rows, last, shape, values)
	t.last.Shape = shape
	t.last.Values = append(t.last.Values[:0], values...)
	t.base = append(t.base, base)
	t.meta = append(t.meta, 0)
	if t.start != nil {
		t.start = append(t.start, 0)
	}
	return uint32(len(t.base) - 1)
}

func (t *Table) shape(names []uint32) uint32 {
	key := make([]byte, 0, 4*48)
	for _, n := range names {
		key = binary.LittleEndian.AppendUint32(key, n)
	}
	if s, ok := t.byShape[string(key)]; ok {
		return s
	}
	if t.byShape == nil {
		t.byShape = map[string]uint32{}
	}
	t.shapes = append(t.shapes, append([]uint32(nil), names...))
	t.byShape[string(key)] = uint32(len(t.shapes) - 1)
	t.shapeBytes += binary.MaxVarintLen32 * (1 + len(names))
	return uint32(len(t.shapes) - 1)
}

func appendRow(buf []byte, last *Row, shape uint32, values []uint32) []byte {
	if len(last.Values) != len(values) || last.Shape != shape || len(values) == 0 {
		buf = append(buf, rowWhole)
		buf = binary.AppendUvarint(buf, uint64(shape))
		for _, v := range values {
			buf = binary.AppendUvarint(buf, uint64(v))
		}
		return buf
	}
	buf = append(buf, rowLike)
	at := len(buf)
	for range (len(values) + 7) / 8 {
		buf = append(buf, 0)
	}
	for i, v := range values {
		if v != last.Values[i] {
			buf[at+i/8] |= 1 << (i % 8)
			buf = binary.AppendUvarint(buf, uint64(v))
		}
	}
	return buf
}

// Metadata returns the number of an entry for SetMeta, which is never 0. Family, help and unit are symbols.
func (t *Table) Metadata(typ model.MetricType, family, help, unit uint32) uint32 {
	e := metadata{typeNumber(typ), family, help, unit}
	if n, ok := t.byMeta[e]; ok {
		return n
	}
	if t.byMeta == nil {
		t.byMeta = map[metadata]uint32{}
	}
	t.metas = append(t.metas, e)
	t.byMeta[e] = uint32(len(t.metas))
	return uint32(len(t.metas))
}

// Meta returns the row's metadata entry, 0 for none.
func (t *Table) Meta(row uint32) uint32 { return t.meta[row] }

// SetMeta gives the row the metadata entry n.
func (t *Table) SetMeta(row, n uint32) {
	if t.meta[row] == n {
		return
	}
	t.meta[row] = n
	if int(row) < t.done.rows {
		t.changedMeta = append(t.changedMeta, row)
	}
}

// Start returns the row's start timestamp, 0 for none.
func (t *Table) Start(row uint32) int64 {
	if t.start == nil || t.holed {
		return 0
	}
	return t.start[row]
}

// SetStart sets the start timestamp of the row's samples from now on.
func (t *Table) SetStart(row uint32, ms int64) {
	if t.Start(row) == ms {
		return
	}
	if t.start == nil {
		t.start = make([]int64, len(t.base), cap(t.base))
	}
	t.start[row] = ms
	if int(row) < t.done.rows {
		t.changedStart = append(t.changedStart, row)
	}
}

// Entry returns the symbols of metadata entry n, which must not be 0.
func (t *Table) Entry(n uint32) (typ model.MetricType, family, help, unit uint32) {
	e := t.metas[n-1]
	return types[e.typ], e.family, e.help, e.unit
}

// Symbols returns the table's symbols. Only its writer may add to them.
func (t *Table) Symbols() *Symbols { return &t.symbols }

// Shape returns the label names of a shape, as symbols, in the labels' order.
func (t *Table) Shape(n uint32) []uint32 { return t.shapes[n] }

// Shapes returns the number of shapes.
func (t *Table) Shapes() int { return len(t.shapes) }

// Row is the labels of a row: the names are those of the shape, Values are symbols.
type Row struct {
	Shape  uint32
	Values []uint32
}

// Kinds of rows in a table record. On disk: never change. The last one occurs only in a reader's memory.
const (
	rowLike  = 0
	rowWhole = 1
	rowLost  = 2
)

// lostShape is the shape of a row that cannot be read.
const lostShape = math.MaxUint32

// Cursor walks over the rows of a table in order; the table must not change meanwhile.
type Cursor struct {
	t    *Table
	rest []byte
	Row
}

// Cursor returns a cursor that stands before row 0.
func (t *Table) Cursor() Cursor { return Cursor{t: t, rest: t.rows} }

// Reset puts the cursor before row 0 of t, and keeps its memory.
func (c *Cursor) Reset(t *Table) { c.t, c.rest, c.Shape, c.Values = t, t.rows, 0, c.Values[:0] }

// Next goes to the next row, and returns false behind the last one.
func (c *Cursor) Next() bool {
	b := c.rest
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case rowLost:
		c.Shape, c.Values, c.rest = lostShape, c.Values[:0], b[1:]
		return true
	case rowWhole:
		shape, n := binary.Uvarint(b[1:])
		b = b[1+n:]
		c.Shape = uint32(shape)
		c.Values = c.Values[:0]
		for range c.t.shapes[shape] {
			v, n := binary.Uvarint(b)
			b = b[n:]
			c.Values = append(c.Values, uint32(v))
		}
		c.rest = b
		return true
	}
	mask := b[1 : 1+(len(c.Values)+7)/8]
	b = b[1+len(mask):]
	for m, bits := range mask {
		for i := 8 * m; bits != 0; i, bits = i+1, bits>>1 {
			if bits&1 != 0 {
				v, n := binary.Uvarint(b)
				b = b[n:]
				c.Values[i] = uint32(v)
			}
		}
	}
	c.rest = b
	return true
}

// Labels builds the labels of the cursor's current row. The labels of a lost row mean nothing.
func (c *Cursor) Labels(b *labels.ScratchBuilder) labels.Labels {
	b.Reset()
	if c.Shape == lostShape {
		return labels.EmptyLabels()
	}
	for i, name := range c.t.shapes[c.Shape] {
		b.Add(string(c.t.symbols.Bytes(name)), string(c.t.symbols.Bytes(c.Values[i])))
	}
	return b.Labels()
}

// Rebuild returns a table with the rows that keep returns true for, in order, with their metadata, start timestamps and base values. It
// is the next generation of t, and none of it has been written. Rebuild keeps the symbols at refs too, and renumbers them in place.
func (t *Table) Rebuild(keep func(row uint32) bool, refs ...*uint32) *Table {
	out := &Table{id: t.id, generation: t.generation + 1}
	symbol := make([]uint32, t.symbols.Len()) // symbols of out by symbol of t, 0 until used
	move := func(ref uint32) uint32 {
		if ref != 0 && symbol[ref] == 0 {
			symbol[ref] = out.symbols.Intern(t.symbols.Bytes(ref))
		}
		return symbol[ref]
	}
	meta := make([]uint32, len(t.metas)+1)
	var names, values []uint32
	c := t.Cursor()
	for row := uint32(0); c.Next(); row++ {
		if !keep(row) || t.gaps.lost(int(row)) {
			continue
		}
		names, values = names[:0], values[:0]
		for i, n := range t.shapes[c.Shape] {
			names = append(names, move(n))
			values = append(values, move(c.Values[i]))
		}
		to := out.add(out.shape(names), values, t.base[row])
		if m := t.meta[row]; m != 0 {
			if meta[m] == 0 {
				e := t.metas[m-1]
				e.family, e.help, e.unit = move(e.family), move(e.help), move(e.unit)
				out.metas = append(out.metas, e)
				meta[m] = uint32(len(out.metas))
			}
			out.meta[to] = meta[m]
		}
		if s := t.Start(row); s != 0 {
			out.SetStart(to, s)
		}
	}
	for _, ref := range refs {
		*ref = move(*ref)
	}
	if len(out.metas) > 0 {
		out.byMeta = make(map[metadata]uint32, len(out.metas))
		for i, e := range out.metas {
			out.byMeta[e] = uint32(i + 1)
		}
	}
	return out
}

// Dirty reports whether there is anything to write by AppendDelta.
func (t *Table) Dirty() bool {
	return len(t.base) > t.done.rows || len(t.changedMeta) > 0 || len(t.changedStart) > 0
}

// AppendFull appends a record of the whole table to buf, for a segment that has none yet. Rows that present holds get new base
// values, those in values (by row); both may be nil. If a record with other base values was written, this is the next generation:
// no scrape is read with the base values of another one.
func (t *Table) AppendFull(buf []byte, values []float64, present Bits) []byte {
	if len(values) > 0 && t.done.rows > 0 {
		t.generation++
	}
	for row, v := range values {
		if present.Has(row) && !isStale(v) {
			t.base[row] = v
		}
	}
	t.done = done{}
	t.changedMeta, t.changedStart = t.changedMeta[:0], t.changedStart[:0]
	t.part = 0
	return t.append(buf)
}

// AppendDelta appends a record of the changes since the last AppendFull or AppendDelta to buf. If the caller does not write that
// record, only a record of AppendFull makes the reader's table complete again.
func (t *Table) AppendDelta(buf []byte) []byte {
	t.part++
	return t.append(buf)
}

// AppendRepeat appends a record of the whole table to buf, for a segment that already holds all of it. The table must not be Dirty.
// Scrapes before and after the record are read the same with it and without it; it helps a reader that missed a part.
func (t *Table) AppendRepeat(buf []byte) []byte {
	t.done = done{}
	return t.append(buf)
}

func (t *Table) append(buf []byte) []byte {
	d := t.done
	buf = binary.AppendUvarint(buf, t.id)
	buf = binary.AppendUvarint(buf, t.generation)
	buf = binary.AppendUvarint(buf, t.part)
	buf = appendSection(buf, d.symbols, len(t.symbols.ends))
	for ref := d.symbols + 1; ref <= len(t.symbols.ends); ref++ {
		buf = appendBytes(buf, t.symbols.Bytes(uint32(ref)))
	}
	buf = appendSection(buf, d.shapes, len(t.shapes))
	for _, s := range t.shapes[d.shapes:] {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		for _, name := range s {
			buf = binary.AppendUvarint(buf, uint64(name))
		}
	}
	buf = appendSection(buf, d.metas, len(t.metas))
	for _, m := range t.metas[d.metas:] {
		buf = append(buf, m.typ)
		for _, ref := range [...]uint32{m.family, m.help, m.unit} {
			buf = binary.AppendUvarint(buf, uint64(ref))
		}
	}
	buf = appendSection(buf, d.rows, len(t.base))
	buf = appendBytes(buf, t.rows[d.bytes:])
	for _, v := range t.base[d.rows:] {
		buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(v))
	}
	for row := d.rows; row < len(t.meta); {
		end := row + 1
		for end < len(t.meta) && t.meta[end] == t.meta[row] {
			end++
		}
		buf = binary.AppendUvarint(buf, uint64(end-row))
		buf = binary.AppendUvarint(buf, uint64(t.meta[row]))
		row = end
	}
	buf = binary.AppendUvarint(buf, uint64(len(t.changedMeta)))
	for _, row := range t.changedMeta {
		buf = binary.AppendUvarint(buf, uint64(row))
		buf = binary.AppendUvarint(buf, uint64(t.meta[row]))
	}
	buf = t.appendStarts(buf)
	t.done = done{len(t.symbols.ends), len(t.shapes), len(t.metas), len(t.base), len(t.rows)}
	t.changedMeta, t.changedStart = t.changedMeta[:0], t.changedStart[:0]
	return buf
}

func (t *Table) appendStarts(buf []byte) []byte {
	var rows []uint32
	rows = append(rows, t.changedStart...)
	if t.start != nil {
		for row := t.done.rows; row < len(t.start); row++ {
			if t.start[row] != 0 {
				rows = append(rows, uint32(row))
			}
		}
	}
	buf = binary.AppendUvarint(buf, uint64(len(rows)))
	for _, row := range rows {
		buf = binary.AppendUvarint(buf, uint64(row))
		buf = binary.AppendVarint(buf, t.start[row])
	}
	return buf
}

func appendSection(buf []byte, first, end int) []byte {
	buf = binary.AppendUvarint(buf, uint64(first))
	return binary.AppendUvarint(buf, uint64(end-first))
}

func appendBytes(buf, b []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(b)))
	return append(buf, b...)
}

// String names the table in errors.
func (t *Table) String() string { return fmt.Sprintf("table %d generation %d", t.id, t.generation) }
