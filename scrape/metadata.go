package scrape

import (
	"github.com/prometheus/common/model"
)

// describe returns the metadata entry that the row gets with its next sample, 0 if it has the right
// one already. After a row of another family, the metadata no longer applies to any row.
func (p *page) describe(row uint32) uint32 {
	if p.family < 0 {
		return 0
	}
	if p.entry == 0 {
		p.entry = p.t.entryOf(p.family)
	}
	if p.entry == noEntry || p.t.rows.Meta(row) == p.entry {
		return 0
	}
	if p.t.orphans[row] == p.entry {
		p.family = -1
		return 0
	}
	if !p.belongs(p.nameOf(row)) {
		if p.t.orphans == nil {
			p.t.orphans = map[uint32]uint32{}
		}
		p.t.orphans[row] = p.entry
		p.family = -1
		return 0
	}
	return p.entry
}

// belongs reports whether a series of this name is of the family at hand.
func (p *page) belongs(name string) bool {
	f := &p.t.families[p.family]
	return partOfFamily(name, string(p.t.rows.Symbols().Bytes(f.name)), f.typ)
}

// nameOf returns the metric name of a row. It reads on from the previous row, or from the start if
// the previous row comes later.
func (p *page) nameOf(row uint32) string {
	rows := p.t.rows
	if p.named == 0 || row+1 < p.named {
		p.names.Reset(rows)
		p.named = 0
	}
	for p.named <= row {
		if !p.names.Next() { // the row was added since names was reset
			p.names.Reset(rows)
			p.named = 0
			continue
		}
		p.named++
	}
	for i, name := range rows.Shape(p.names.Shape) {
		if string(rows.Symbols().Bytes(name)) == model.MetricNameLabel {
			return string(rows.Symbols().Bytes(p.names.Values[i]))
		}
	}
	return ""
}

// meta reads a metadata line that the table does not know, or a metadata entry of protobuf. Name
// and text are the parser's.
func (p *page) meta(kind metaKind, name []byte, typ model.MetricType, text []byte) metaLine {
	t := p.t
	if p.byName == nil {
		p.byName = make(map[string]uint32, len(t.families))
		for i, f := range t.families {
			p.byName[string(t.rows.Symbols().Bytes(f.name))] = uint32(i)
		}
	}
	n, ok := p.byName[string(name)]
	if !ok {
		n = uint32(len(t.families))
		t.families = append(t.families, family{name: t.rows.Symbols().Intern(name), typ: model.MetricTypeUnknown})
		p.byName[string(name)] = n
	}
	m := metaLine{family: n, kind: kind, typ: typ, text: t.rows.Symbols().Intern(text)}
	p.enter(m)
	return m
}

// enter makes m the metadata of the lines that follow.
func (p *page) enter(m metaLine) {
	p.t.setMeta(m)
	p.family, p.entry = int(m.family), 0
	if m.kind == metaType {
		p.typ = m.typ
	}
}
