package record

import (
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// TestSizesBoundRecords: no record is larger than what was said before.
func TestSizesBoundRecords(t *testing.T) {
	for name, c := range map[string]struct {
		rows, labels, text int
		starts, metas      bool
	}{
		"empty":          {},
		"small":          {rows: 3, labels: 2, text: 3},
		"many rows":      {rows: 5000, labels: 3, text: 1},
		"long labels":    {rows: 20, labels: 5, text: 5000},
		"many labels":    {rows: 5, labels: 3000, text: 2},
		"starts, metas":  {rows: 300, labels: 3, text: 5, starts: true, metas: true},
		"one large text": {rows: 1, labels: 1, text: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			tab := NewTable(math.MaxUint64)
			s := &Scrape{Time: math.MaxInt64}
			for row := range c.rows {
				b := labels.NewScratchBuilder(c.labels)
				for l := range c.labels {
					b.Add(fmt.Sprintf("l%0*d_%d", 4, l, row%7), fmt.Sprintf("%0*d", c.text, row))
				}
				tab.Add(b.Labels(), math.Pi*float64(row))
				if c.starts {
					tab.SetStart(uint32(row), math.MinInt64)
				}
				if c.metas {
					help := tab.Symbols().Intern(fmt.Appendf(nil, "help %d", row))
					tab.SetMeta(uint32(row), tab.Metadata("gauge", help, help, 0))
				}
				s.Values = append(s.Values, -1/(1+float64(row)))
				s.Times = append(s.Times, math.MinInt64*int64(row%2))
				s.Irregular = append(s.Irregular, Irregular{Kind: Sample, Row: uint32(row), Time: math.MinInt64, Start: math.MinInt64, Value: 1})
			}
			s.Present = Bits(nil).Grow(c.rows)
			for row := range c.rows {
				s.Present.Set(row)
			}
			said := tab.FullBytes()
			if n := len(tab.AppendFull(nil, nil, nil)); n > said {
				t.Errorf("the table has %d bytes, said were %d", n, said)
			}
			for row := range c.rows {
				tab.SetStart(uint32(row), int64(row)+5)
				tab.SetMeta(uint32(row), 0)
			}
			said = tab.FullBytes()
			if n := len(tab.AppendRepeat(nil)); n > said {
				t.Errorf("the table repeated has %d bytes, said were %d", n, said)
			}
			said = ScrapeBytes(c.rows, len(s.Irregular))
			if n := len(AppendScrape(nil, tab, s)); n > said {
				t.Errorf("the scrape has %d bytes, said were %d", n, said)
			}
		})
	}
}
