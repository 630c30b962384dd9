package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrUnknownTable is wrapped by errors about a scrape or an appended part whose table was not read:
// its record was damaged.
var ErrUnknownTable = errors.New("unknown table")

// errMalformed is wrapped by the errors of the decoders.
var errMalformed = errors.New("malformed record")

// Tables is the reader's side: the tables of one segment, by identifier. The zero value is ready.
type Tables struct {
	byID map[uint64]*Table
}

// Get returns the table id, or nil.
func (ts *Tables) Get(id uint64) *Table { return ts.byID[id] }

// Apply takes in a table record and returns its table. A table that Apply returned does not change any
// more, but to be appended to makes another one of it, which shares its memory: so tables may be read
// while Apply goes on. An error that wraps ErrUnknownTable tells that an earlier part is missing; the rows
// that are there stay good. After any other error the table is forgotten.
func (ts *Tables) Apply(payload []byte) (*Table, error) {
	d := decoder{b: payload}
	id, generation, part := d.uvarint(), d.uvarint(), d.uvarint()
	if d.err != nil {
		return nil, d.err
	}
	t := &Table{id: id, generation: generation}
	if part > 0 {
		old := ts.byID[id]
		if old == nil || old.generation != generation {
			return nil, fmt.Errorf("part %d of table %d generation %d: %w", part, id, generation, ErrUnknownTable)
		}
		*t = *old
		t.last.Values = slices.Clone(old.last.Values)
		t.holed = old.holed || part > old.part+1
	}
	t.part = part
	if err := t.apply(&d); err != nil {
		if !errors.Is(err, ErrUnknownTable) {
			delete(ts.byID, id)
		} else if old := ts.byID[id]; old != nil {
			lacking := *old
			lacking.holed = true
			ts.byID[id] = &lacking
		}
		return nil, fmt.Errorf("part %d of table %d: %w", part, id, err)
	}
	if ts.byID == nil {
		ts.byID = map[uint64]*Table{}
	}
	ts.byID[id] = t
	return t, nil
}

func (t *Table) apply(d *decoder) error {
	t.symbols.slots = nil // would not know the new symbols
	for range d.section(len(t.symbols.ends), 1) {
		t.symbols.add(d.bytes())
	}
	for range d.section(len(t.shapes), 1) {
		shape := make([]uint32, d.count(1))
		for i := range shape {
			shape[i] = d.below(t.symbols.Len())
		}
		t.shapes = append(t.shapes, shape)
	}
	for range d.section(len(t.metas), 4) {
		typ := d.byte()
		if int(typ) >= len(types) {
			d.fail("metric type %d", typ)
			break
		}
		n := t.symbols.Len()
		t.metas = append(t.metas, metadata{typ, d.below(n), d.below(n), d.below(n)})
	}
	rows := d.section(len(t.base), 8)
	encoded := d.bytes()
	if d.err != nil {
		return d.err
	}
	if err := t.checkRows(encoded, rows); err != nil {
		return err
	}
	t.rows = append(t.rows, encoded...)
	for range rows {
		t.base = append(t.base, math.Float64frombits(d.fixed64()))
	}
	t.applyMeta(d, rows)
	changed := d.count(2)
	if changed > 0 {
		t.meta = slices.Clone(t.meta)
	}
	for range changed {
		row, entry := d.below(len(t.meta)), d.below(len(t.metas)+1)
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

func (t *Table) applyMeta(d *decoder, rows int) {
	for rows > 0 && d.err == nil {
		n, entry := d.uvarint(), d.below(len(t.metas)+1)
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

// checkRows makes sure that encoded holds as many rows as told, all references of which exist, so
// that a Cursor needs no checks; and moves t.last to the last of them.
func (t *Table) checkRows(encoded []byte, rows int) error {
	d := decoder{b: encoded}
	for range rows {
		switch d.byte() {
		case 1:
			t.last.Shape = d.below(len(t.shapes))
			if d.err != nil {
				return d.err
			}
			t.last.Values = t.last.Values[:0]
			for range t.shapes[t.last.Shape] {
				t.last.Values = append(t.last.Values, d.below(t.symbols.Len()))
			}
		case 0:
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
		if d.err != nil {
			return d.err
		}
	}
	return d.end()
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

// count reads a number of things of at least size bytes each, so that it is bound by the input.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail("%d things where %d bytes are left", n, len(d.b))
		return 0
	}
	return int(n)
}

// section reads where a part of a table goes on, which must be at have, and its number of new things.
func (d *decoder) section(have, size int) int {
	if first := d.uvarint(); first != uint64(have) && d.err == nil {
		d.err = fmt.Errorf("goes on at %d where there are %d: %w", first, have, ErrUnknownTable)
		d.b = nil
	}
	return d.count(size)
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
