package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrUnknownTable is wrapped by errors about a scrape or an appended part. The table of that record was not read, because the
// table's record was damaged.
var ErrUnknownTable = errors.New("unknown table")

// errMalformed is wrapped by the errors of the decoders.
var errMalformed = errors.New("malformed record")

// Tables is the reader's side: the tables of one segment, by identifier. The zero value is ready.
type Tables struct {
	byID map[uint64]*Table
}

// Get returns the table id, or nil.
func (ts *Tables) Get(id uint64) *Table { return ts.byID[id] }

// Apply reads a table record and returns its table. A returned table does not change: a later part makes another Table, which shares
// its memory. So tables may be read while Apply runs. If an earlier part is missing, its rows are lost, and also the rows of later
// parts that refer to it; a record of the whole table restores them. An error that wraps ErrUnknownTable means that too much is
// missing to use the part; the rows read before stay valid. After any other error the table is forgotten.
func (ts *Tables) Apply(payload []byte) (*Table, error) {
	d := decoder{b: payload}
	id, generation, part := d.uvarint(), d.uvarint(), d.uvarint()
	first := d // to look at the first symbol
	if whole := part == 0 || first.uvarint() == 0; d.err != nil || first.err != nil {
		return nil, errors.Join(d.err, first.err)
	} else if whole {
		return ts.whole(&d, &Table{id: id, generation: generation, part: part})
	}
	old := ts.byID[id]
	if old == nil || old.generation != generation {
		return nil, fmt.Errorf("part %d of table %d generation %d: %w", part, id, generation, ErrUnknownTable)
	}
	t := *old
	t.gaps = old.gaps.clone()
	t.last.Values = slices.Clone(old.last.Values)
	t.holed = old.holed || part > old.part+1
	t.part = part
	if err := t.apply(&d); err != nil {
		if errors.Is(err, ErrUnknownTable) {
			lacking := *old
			lacking.holed = true
			ts.byID[id] = &lacking
		} else {
			delete(ts.byID, id)
		}
		return nil, fmt.Errorf("part %d of table %d: %w", part, id, err)
	}
	ts.byID[id] = &t
	return &t, nil
}

// whole reads a record of a whole table into t, which replaces the table known before.
func (ts *Tables) whole(d *decoder, t *Table) (*Table, error) {
	if err := t.apply(d); err != nil {
		delete(ts.byID, t.id)
		return nil, fmt.Errorf("part %d of table %d: %w", t.part, t.id, err)
	}
	if ts.byID == nil {
		ts.byID = map[uint64]*Table{}
	}
	ts.byID[t.id] = t
	return t, nil
}

func (t *Table) apply(d *decoder) error {
	t.symbols.slots = nil // the hash table lacks the new symbols
	gap, n := d.section(t.symbols.Len()-1, 1)
	t.gaps.symbols.add(t.symbols.Len(), t.symbols.Len()+gap)
	for range gap {
		t.symbols.add(nil)
	}
	for range n {
		t.symbols.add(d.bytes())
	}
	t.applyShapes(d)
	t.applyMetas(d)
	gap, rows := d.section(len(t.base), 8)
	t.lose(gap)
	encoded := d.bytes()
	if d.err != nil {
		return d.err
	}
	if err := t.applyRows(encoded, rows); err != nil {
		return err
	}
	for range rows {
		t.base = append(t.base, math.Float64frombits(d.fixed64()))
	}
	t.applyMeta(d, rows)
	changed := d.count(2)
	if changed > 0 {
		t.meta = slices.Clone(t.meta)
	}
	for range changed {
		row, entry := d.below(len(t.meta)), t.entry(d)
		if d.err == nil {
			t.meta[row] = entry
		}
	}
	if t.start != nil {
		t.start = append(t.start, make([]int64, rows)...)
	}
	if changed = d.count(2); changed > 0 {
		t.start = append(make([]int64, 0, len(t.base)), t.start...)[:len(t.base)]
	}
	for range changed {
		row, ms := d.below(len(t.base)), d.varint()
		if d.err == nil {
			t.start[row] = ms
		}
	}
	return d.end()
}

func (t *Table) applyShapes(d *decoder) {
	gap, n := d.section(len(t.shapes), 1)
	t.gaps.shapes.add(len(t.shapes), len(t.shapes)+gap)
	t.shapes = append(t.shapes, make([][]uint32, gap)...)
	for range n {
		shape := make([]uint32, d.count(1))
		for i := range shape {
			shape[i] = d.below(t.symbols.Len())
		}
		t.shapes = append(t.shapes, shape)
	}
}

func (t *Table) applyMetas(d *decoder) {
	gap, n := d.section(len(t.metas), 4)
	t.gaps.metas.add(len(t.metas), len(t.metas)+gap)
	t.metas = append(t.metas, make([]metadata, gap)...)
	for range n {
		typ := d.byte()
		if int(typ) >= len(types) {
			d.fail("metric type %d", typ)
			return
		}
		n := t.symbols.Len()
		m := metadata{typ, d.below(n), d.below(n), d.below(n)}
		if t.gaps.symbols.has(m.family) || t.gaps.symbols.has(m.help) || t.gaps.symbols.has(m.unit) {
			t.gaps.metas.add(len(t.metas), len(t.metas)+1)
		}
		t.metas = append(t.metas, m)
	}
}

// entry reads the number of a metadata entry plus one, or 0 for none. It returns 0 for a lost entry.
func (t *Table) entry(d *decoder) uint32 {
	n := d.below(len(t.metas) + 1)
	if n > 0 && t.gaps.metas.has(n-1) {
		return 0
	}
	return n
}

func (t *Table) applyMeta(d *decoder, rows int) {
	for rows > 0 && d.err == nil {
		n, entry := d.uvarint(), t.entry(d)
		if n == 0 || n > uint64(rows) {
			d.fail("metadata of %d rows where %d are left", n, rows)
			return
		}
		for range n {
			t.meta = append(t.meta, entry)
		}
		rows -= int(n)
	}
}

// decoder reads a record; after the first error everything is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
	}
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("cut short")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("cut short")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail("cut short")
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) fixed64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail("string of %d bytes where %d are left", n, len(d.b))
		return nil
	}
	return d.take(int(n))
}

// count reads a number of items of at least size bytes each, so the length of the input bounds it.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail("%d items where %d bytes are left", n, len(d.b))
		return 0
	}
	return int(n)
}

// section reads the number of the first new item and the number of new items, n. Gap is how many items are missing between the known
// ones, which are have in number, and the first new one.
func (d *decoder) section(have, size int) (gap, n int) {
	first := d.uvarint()
	if d.err == nil && (first < uint64(have) || first > uint64(have)+maxGap) {
		d.err = fmt.Errorf("goes on at %d where there are %d: %w", first, have, ErrUnknownTable)
		d.b = nil
	}
	if n = d.count(size); d.err != nil {
		return 0, 0
	}
	return int(first) - have, n
}

func (d *decoder) below(n int) uint32 {
	v := d.uvarint()
	if v >= uint64(n) {
		d.fail("reference to %d of %d", v, n)
		return 0
	}
	return uint32(v)
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}
