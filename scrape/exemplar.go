package scrape

import (
	"slices"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"promrelay/record"
	"promrelay/scrape/order"
)

// exemplarsOf returns the exemplars of the sample at which parser stands, oldest first.
func exemplarsOf(parser textparse.Parser, ofHistogram bool, ms int64) []exemplar.Exemplar {
	var out []exemplar.Exemplar
	var e exemplar.Exemplar
	for parser.Exemplar(&e) {
		if !e.HasTs {
			e.Ts = ms
		}
		if e.HasTs || !ofHistogram { // without a timestamp, an exemplar of a native histogram looks like the older ones
			out = append(out, e)
		}
		e = exemplar.Exemplar{}
	}
	slices.SortFunc(out, exemplar.Compare)
	return out
}

// putExemplars adds to the record the exemplars that are valid and newer than those that the series
// had.
func (p *page) putExemplars(row, slot uint32, exemplars []exemplar.Exemplar) {
	for _, e := range exemplars {
		ls := e.Labels.WithoutEmpty()
		size := 0
		var strs []string
		ls.Range(func(l labels.Label) {
			size += len([]rune(l.Name)) + len([]rune(l.Value))
			strs = append(strs, l.Name, l.Value)
		})
		if _, dup := ls.HasDuplicateLabelNames(); dup || size > exemplar.ExemplarMaxLabelSetLength {
			continue
		}
		if p.changes.addExemplar(p.t, slot, order.Exemplar{Time: e.Ts, Own: e.HasTs, Value: e.Value, Labels: ls.Hash()}) {
			p.extraBytes += size * utf8.UTFMax
			p.out.Irregular = append(p.out.Irregular, record.Irregular{Kind: record.Exemplar, Row: row, Time: e.Ts, Value: e.Value, Labels: strs})
		}
	}
}
