package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/model/value"
)

// Bits is a set of rows. A nil Bits holds every row.
type Bits []uint64

// Has reports whether row is in the set.
func (b Bits) Has(row int) bool { return b == nil || b[row>>6]&(1<<(row&63)) != 0 }

// Set puts row into the set, which must be large enough.
func (b Bits) Set(row int) { b[row>>6] |= 1 << (row & 63) }

// Clear removes row from the set.
func (b Bits) Clear(row int) { b[row>>6] &^= 1 << (row & 63) }

// Count returns how many of the first n rows are in the set.
func (b Bits) Count(n int) int {
	if b == nil {
		return n
	}
	c := 0
	for _, w := range b {
		c += bits.OnesCount64(w)
	}
	return c
}

// Grow returns a set that can hold n rows, with the memory of b where that is enough.
func (b Bits) Grow(n int) Bits {
	for len(b) < (n+63)/64 {
		b = append(b, 0)
	}
	return b
}

// Scrape is the result of one scrape of a target.
type Scrape struct {
	Time      int64     // of the scrape, in milliseconds since the epoch
	Present   Bits      // rows that have a value in Values; no bit at Len or above is set
	Values    []float64 // by row
	Times     []int64   // by row, milliseconds since the epoch; empty where every value bears Time
	Irregular []Irregular
}

// Kind is the kind of an Irregular.
type Kind byte

// The kinds. On disk: never change.
const (
	Sample    Kind = 1
	Histogram Kind = 2
	Exemplar  Kind = 3
)

// Irregular is one entry of a scrape that its columns cannot hold.
type Irregular struct {
	Kind      Kind
	Row       uint32
	Time      int64   // milliseconds since the epoch
	Start     int64   // start timestamp, milliseconds since the epoch, 0 for none; not for exemplars
	Value     float64 // of a sample or an exemplar
	Histogram []byte  // protobuf, see the package comment
	Labels    []string
}

// Samples counts the samples in s: those of the column, and irregular samples and histograms.
func (s *Scrape) Samples() int {
	n := s.Present.Count(len(s.Values))
	for i := range s.Irregular {
		if s.Irregular[i].Kind != Exemplar {
			n++
		}
	}
	return n
}

const (
	flagSparse    = 1
	flagTimes     = 2
	flagIrregular = 4
)

// Codes of a value, two bits each. On disk: never change.
const (
	codeBase    = 0
	codeInteger = 1
	codeXOR     = 2
	codeStale   = 3
)

const maxInteger = 1 << 53 // a float64 holds every integer below it exactly

func isStale(v float64) bool { return value.IsStaleNaN(v) }

// integer returns v as an integer, if v is one that converts back to the same bits.
func integer(v float64) (int64, bool) {
	i := int64(v)
	return i, float64(i) == v && i > -maxInteger && i < maxInteger && (i != 0 || !math.Signbit(v))
}

// AppendScrape appends the record of s to buf. The scrape covers all rows that t now has.
func AppendScrape(buf []byte, t *Table, s *Scrape) []byte {
	rows := t.Len()
	buf = binary.AppendUvarint(buf, t.id)
	buf = binary.AppendUvarint(buf, t.generation)
	buf = binary.AppendUvarint(buf, t.part)
	buf = binary.AppendUvarint(buf, uint64(rows))
	buf = binary.AppendVarint(buf, s.Time)
	present := s.Present.Count(rows)
	var flags byte
	if present < rows {
		flags |= flagSparse
	}
	if len(s.Times) > 0 {
		flags |= flagTimes
	}
	if len(s.Irregular) > 0 {
		flags |= flagIrregular
	}
	buf = append(buf, flags)
	if present < rows {
		for i := 0; i < rows; i += 8 {
			buf = append(buf, byte(s.Present[i>>6]>>(i&63)))
		}
	}
	buf = appendValues(buf, t.base, s, present)
	if len(s.Times) > 0 {
		last := s.Time
		for row := range rows {
			if s.Present.Has(row) {
				buf = binary.AppendVarint(buf, s.Times[row]-last)
				last = s.Times[row]
			}
		}
	}
	if len(s.Irregular) > 0 {
		buf = appendIrregular(buf, s)
	}
	return buf
}

func appendValues(buf []byte, base []float64, s *Scrape, present int) []byte {
	codes := len(buf)
	for range (present + 3) / 4 {
		buf = append(buf, 0)
	}
	n := 0
	for row, b := range base {
		if !s.Present.Has(row) {
			continue
		}
		v := s.Values[row]
		code := codeBase
		if x := math.Float64bits(v) ^ math.Float64bits(b); x != 0 {
			if isStale(v) {
				code = codeStale
			} else if i, ok := integer(v); ok {
				if j, ok := integer(b); ok {
					code = codeInteger
					buf = binary.AppendVarint(buf, i-j)
				}
			}
			if code == codeBase {
				code = codeXOR
				buf = appendXOR(buf, x)
			}
		}
		buf[codes+n/4] |= byte(code << (2 * (n % 4)))
		n++
	}
	return buf
}

func appendXOR(buf []byte, x uint64) []byte {
	lead, trail := bits.LeadingZeros64(x)/8, bits.TrailingZeros64(x)/8
	n := 8 - lead - trail
	buf = append(buf, byte(lead<<4|n))
	for i := range n {
		buf = append(buf, byte(x>>(8*(7-lead-i))))
	}
	return buf
}

func appendIrregular(buf []byte, s *Scrape) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(s.Irregular)))
	for i := range s.Irregular {
		e := &s.Irregular[i]
		buf = append(buf, byte(e.Kind))
		buf = binary.AppendUvarint(buf, uint64(e.Row))
		buf = binary.AppendVarint(buf, e.Time-s.Time)
		if e.Kind == Histogram {
			buf = binary.AppendVarint(buf, e.Start)
			buf = appendBytes(buf, e.Histogram)
			continue
		}
		buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(e.Value))
		if e.Kind == Sample {
			buf = binary.AppendVarint(buf, e.Start)
			continue
		}
		buf = binary.AppendUvarint(buf, uint64(len(e.Labels)))
		for _, l := range e.Labels {
			buf = appendBytes(buf, unsafeBytes(l))
		}
	}
	return buf
}

// Scrape decodes a scrape record into s, reusing its memory, and returns the record's table. Histograms alias payload. If a part of the
// table was lost, some rows are unknown: missing counts their samples, which are not in s. An error that wraps ErrUnknownTable means
// that all samples of the record are lost for that reason.
func (ts *Tables) Scrape(payload []byte, s *Scrape) (t *Table, missing int, err error) {
	d := decoder{b: payload}
	id, generation, part := d.uvarint(), d.uvarint(), d.uvarint()
	rows64, now, flags := d.uvarint(), d.varint(), d.byte()
	if d.err != nil {
		return nil, 0, d.err
	}
	t = ts.byID[id]
	if t == nil || t.generation != generation {
		return nil, 0, fmt.Errorf("scrape of table %d generation %d: %w", id, generation, ErrUnknownTable)
	}
	if t.part != part && !t.holed {
		lacking := *t
		lacking.holed = true
		t, ts.byID[id] = &lacking, &lacking
	}
	if rows64 > 8*uint64(len(d.b)) {
		d.fail("%d rows in %d bytes", rows64, len(d.b))
		return nil, 0, d.err
	}
	rows := int(rows64)
	if rows < t.Len() {
		d.fail("%d rows of a table of %d", rows, t.Len())
		return nil, 0, d.err
	}
	s.Time = now
	s.Present = s.Present[:0].Grow(rows)
	clear(s.Present)
	present := rows
	if flags&flagSparse == 0 {
		for i := range s.Present {
			s.Present[i] = math.MaxUint64
		}
		if rows%64 != 0 {
			s.Present[rows/64] = 1<<(rows%64) - 1
		}
	} else {
		for i, b := range d.take((rows + 7) / 8) {
			s.Present[i/8] |= uint64(b) << (8 * (i % 8))
		}
		if rows%64 != 0 && s.Present[rows/64]>>(rows%64) != 0 {
			d.fail("presence of rows above %d", rows)
		}
		present = s.Present.Count(rows)
	}
	s.decodeValues(&d, t.base, rows, present)
	s.decodeTimes(&d, rows, flags&flagTimes != 0)
	s.decodeIrregular(&d, rows, flags&flagIrregular != 0)
	if err := d.end(); err != nil {
		return nil, 0, fmt.Errorf("scrape of table %d: %w", id, err)
	}
	if rows > t.Len() || t.gaps.count > 0 {
		missing = s.cut(t)
	}
	return t, missing, nil
}

func (s *Scrape) decodeValues(d *decoder, base []float64, rows, present int) {
	codes := d.take((present + 3) / 4)
	if d.err != nil {
		return
	}
	s.Values = resized(s.Values, rows)
	n := 0
	for row := range rows {
		if !s.Present.Has(row) {
			continue
		}
		var b float64
		if row < len(base) {
			b = base[row]
		}
		switch codes[n/4] >> (2 * (n % 4)) & 3 {
		case codeBase:
			s.Values[row] = b
		case codeInteger:
			s.Values[row] = float64(int64(b) + d.varint())
		case codeXOR:
			s.Values[row] = math.Float64frombits(math.Float64bits(b) ^ d.xor())
		case codeStale:
			s.Values[row] = math.Float64frombits(value.StaleNaN)
		}
		n++
	}
}

func (d *decoder) xor() uint64 {
	h := d.byte()
	lead, n := int(h>>4), int(h&15)
	if lead+n > 8 || n == 0 {
		d.fail("%d zero bytes and %d others in a value", lead, n)
		return 0
	}
	var x uint64
	for _, b := range d.take(n) {
		x = x<<8 | uint64(b)
	}
	return x << (8 * (8 - lead - n))
}

func (s *Scrape) decodeTimes(d *decoder, rows int, given bool) {
	if !given || d.err != nil {
		s.Times = s.Times[:0]
		return
	}
	s.Times = resized(s.Times, rows)
	last := s.Time
	for row := range rows {
		if s.Present.Has(row) {
			last += d.varint()
			s.Times[row] = last
		}
	}
}

func (s *Scrape) decodeIrregular(d *decoder, rows int, given bool) {
	s.Irregular = s.Irregular[:0]
	if !given || d.err != nil {
		return
	}
	for range d.count(4) {
		e := Irregular{Kind: Kind(d.byte()), Row: d.below(rows), Time: s.Time + d.varint()}
		switch e.Kind {
		case Sample:
			e.Value = math.Float64frombits(d.fixed64())
			e.Start = d.varint()
		case Histogram:
			e.Start = d.varint()
			e.Histogram = d.bytes()
		case Exemplar:
			e.Value = math.Float64frombits(d.fixed64())
			for range d.count(1) {
				e.Labels = append(e.Labels, string(d.bytes()))
			}
			if len(e.Labels)%2 != 0 {
				d.fail("exemplar with %d strings for labels", len(e.Labels))
			}
		default:
			d.fail("irregular entry of kind %d", e.Kind)
		}
		if d.err != nil {
			return
		}
		s.Irregular = append(s.Irregular, e)
	}
}

// cut drops samples of rows that t does not have, and returns their number.
func (s *Scrape) cut(t *Table) int {
	before, n := s.Samples(), t.Len()
	for row := range s.Values {
		if row >= n || t.gaps.lost(row) {
			s.Present.Clear(row)
		}
	}
	s.Values = s.Values[:n]
	if len(s.Times) > 0 {
		s.Times = s.Times[:n]
	}
	s.Present = s.Present[:(n+63)/64]
	kept := s.Irregular[:0]
	for _, e := range s.Irregular {
		if int(e.Row) < n && !t.gaps.lost(int(e.Row)) {
			kept = append(kept, e)
		}
	}
	s.Irregular = kept
	return before - s.Samples()
}

// resized returns s with length n. Its memory is reused where it is large enough.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
