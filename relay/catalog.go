package relay

import (
	"hash/maphash"
	"math/bits"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/record"
)

var seed = maphash.MakeSeed()

// series holds the labels of one series as symbols of a catalog: names and values in turn, sorted by name. It is empty if a rule
// dropped the series.
type series []uint32

// catalog holds the series of one segment as a destination sends them: with external labels, and after write_relabel_configs. All
// tables of the segment share its symbols.
type catalog struct {
	external []labels.Label // sorted by name
	rules    []*relabel.Config

	symbols record.Symbols
	hashes  []uint64 // of symbols, 0 where not needed yet
	views   map[uint64]*view

	described func(description) // called for each metadata entry that a row has; may be nil

	builder labels.ScratchBuilder
	full    *labels.Builder
	row     series
}

// view is one table as the destination sees it.
type view struct {
	generation uint64
	symbols    []uint32      // of the catalog plus one, by symbol of the table; 0 until it is needed
	shapes     [][]labelPart // by shape of the table, nil where not needed yet
	derived    *record.Table // the rows after the rules; nil without rules
	hashes     []uint32      // of the labels, by row, as far as needed
	metas      []description // by metadata entry less one, as far as needed
}

// description is the metadata of a row: the number of its type in remote write, and symbols of the catalog.
type description struct {
	known              bool
	typ                byte
	family, help, unit uint32
}

// labelPart is one label of a shape: its name, and the place of its value.
type labelPart struct {
	name  uint32 // symbol of the catalog
	value int    // index into the row's values, or -1
	fixed uint32 // symbol of the catalog, where value is -1
}

func newCatalog(external labels.Labels, rules []*relabel.Config) *catalog {
	c := &catalog{rules: rules, views: map[uint64]*view{}, full: labels.NewBuilder(labels.EmptyLabels())}
	external.Range(func(l labels.Label) {
		if l.Value != "" { // an empty label is no label; it may come from an environment variable that is not set
			c.external = append(c.external, l)
		}
	})
	return c
}

// reset forgets the tables and symbols of a segment.
func (c *catalog) reset() {
	c.symbols, c.hashes = record.Symbols{}, nil
	clear(c.views)
}

// of returns the view of t, with all of t's rows.
func (c *catalog) of(t *record.Table) *view {
	v := c.views[t.ID()]
	if v == nil || v.generation != t.Generation() {
		v = &view{generation: t.Generation()}
		if len(c.rules) > 0 {
			v.derived = record.NewTable(t.ID())
		}
		c.views[t.ID()] = v
	}
	if v.derived != nil {
		c.derive(v, t)
	}
	return v
}

// rows returns the table that holds the labels of t's rows: the derived one if there are rules, else t.
func (v *view) rows(t *record.Table) *record.Table {
	if v.derived != nil {
		return v.derived
	}
	return t
}

// derive applies the rules to the rows of t that are new.
func (c *catalog) derive(v *view, t *record.Table) {
	if v.derived.Len() >= t.Len() {
		return
	}
	cur := t.Cursor()
	for row := 0; cur.Next(); row++ {
		if row < v.derived.Len() {
			continue
		}
		c.full.Reset(cur.Labels(&c.builder))
		for _, l := range c.external {
			if c.full.Get(l.Name) == "" {
				c.full.Set(l.Name, l.Value)
			}
		}
		if !relabel.ProcessBuilder(c.full, c.rules...) {
			c.full.Reset(labels.EmptyLabels())
		}
		v.derived.Add(c.full.Labels(), 0)
	}
}

// drops returns the rule that drops a series, and its index; nil if the series is sent. It may be called from any goroutine.
func (c *catalog) drops(ls labels.Labels) (*relabel.Config, int) {
	b := labels.NewBuilder(ls)
	for _, l := range c.external {
		if ls.Get(l.Name) == "" {
			b.Set(l.Name, l.Value)
		}
	}
	for i, r := range c.rules {
		if !relabel.ProcessBuilder(b, r) {
			return r, i
		}
	}
	return nil, 0
}

// series returns the labels of the row at cur, a cursor of v.rows(t). They are valid until the next call.
func (c *catalog) series(v *view, t *record.Table, cur *record.Cursor) series {
	for len(v.shapes) <= int(cur.Shape) {
		v.shapes = append(v.shapes, nil)
	}
	parts := v.shapes[cur.Shape]
	if parts == nil {
		parts = c.parts(v, t, t.Shape(cur.Shape))
		v.shapes[cur.Shape] = parts
	}
	c.row = c.row[:0]
	for _, p := range parts {
		value := p.fixed
		if p.value >= 0 {
			value = c.symbol(v, t, cur.Values[p.value])
		}
		c.row = append(c.row, p.name, value)
	}
	return c.row
}

// parts merges the names of a shape with the external labels that it lacks.
func (c *catalog) parts(v *view, t *record.Table, names []uint32) []labelPart {
	out := make([]labelPart, 0, len(names)+len(c.external))
	external := c.external
	if v.derived != nil {
		external = nil
	}
	add := func(l labels.Label) {
		out = append(out, labelPart{name: c.symbols.Intern([]byte(l.Name)), value: -1, fixed: c.symbols.Intern([]byte(l.Value))})
	}
	for i, n := range names {
		name := string(t.Symbols().Bytes(n))
		for len(external) > 0 && strings.Compare(external[0].Name, name) < 0 {
			add(external[0])
			external = external[1:]
		}
		if len(external) > 0 && external[0].Name == name {
			external = external[1:]
		}
		out = append(out, labelPart{name: c.symbol(v, t, n), value: i})
	}
	for _, l := range external {
		add(l)
	}
	return out
}

// symbol returns the catalog's symbol for the symbol ref of t.
func (c *catalog) symbol(v *view, t *record.Table, ref uint32) uint32 {
	if int(ref) >= len(v.symbols) {
		v.symbols = append(v.symbols, make([]uint32, t.Symbols().Len()-len(v.symbols))...)
	}
	s := v.symbols[ref]
	if s == 0 {
		s = c.symbols.Intern(t.Symbols().Bytes(ref)) + 1
		v.symbols[ref] = s
	}
	return s - 1
}

// describe returns the metadata of a row of t.
func (c *catalog) describe(v *view, t *record.Table, row int) description {
	n := int(t.Meta(uint32(row)))
	if n == 0 {
		return description{}
	}
	for len(v.metas) < n {
		v.metas = append(v.metas, description{})
	}
	d := v.metas[n-1]
	if !d.known {
		typ, family, help, unit := t.Entry(uint32(n))
		s := t.Symbols()
		d = description{
			known: true, typ: typeNumber(typ), family: c.symbols.Intern(s.Bytes(family)),
			help: c.symbols.Intern(s.Bytes(help)), unit: c.symbols.Intern(s.Bytes(unit)),
		}
		v.metas[n-1] = d
		if c.described != nil {
			c.described(d)
		}
	}
	return d
}

// typeNumber is the number of a metric type in remote write, the same in 1.0 and 2.0.
func typeNumber(t model.MetricType) byte {
	switch t {
	case model.MetricTypeCounter:
		return 1
	case model.MetricTypeGauge:
		return 2
	case model.MetricTypeHistogram:
		return 3
	case model.MetricTypeGaugeHistogram:
		return 4
	case model.MetricTypeSummary:
		return 5
	case model.MetricTypeInfo:
		return 6
	case model.MetricTypeStateset:
		return 7
	}
	return 0
}

// hash returns a hash of the labels' content. It does not depend on their table. It is never 0, and differs from process to process.
func (c *catalog) hash(ls series) uint32 {
	var h contentHash
	for _, ref := range ls {
		for len(c.hashes) < c.symbols.Len() {
			c.hashes = append(c.hashes, 0)
		}
		if c.hashes[ref] == 0 {
			c.hashes[ref] = maphash.Bytes(seed, c.symbols.Bytes(ref)) | 1
		}
		h.add(c.hashes[ref])
	}
	return h.sum()
}

// contentHash combines the hashes of the strings of a series.
type contentHash uint64

func (h *contentHash) add(s uint64) {
	hi, lo := bits.Mul64(uint64(*h)^s, 0x9e3779b97f4a7c15)
	*h = contentHash(hi ^ lo)
}

func (h contentHash) sum() uint32 { return uint32(h>>32) | 1 }

// rowHash is hash for a row, and remembers the result.
func (c *catalog) rowHash(v *view, row int, ls series) uint32 {
	if row >= len(v.hashes) {
		v.hashes = append(v.hashes, make([]uint32, row+1-len(v.hashes))...)
	}
	if v.hashes[row] == 0 {
		v.hashes[row] = c.hash(ls)
	}
	return v.hashes[row]
}

// seriesID is the function seriesID for labels as symbols.
func (c *catalog) seriesID(ls series) uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, symbol := range ls {
		addLabel(&h, c.symbols.Bytes(symbol))
	}
	return h.Sum64()
}
