package scrape

import (
	"fmt"
	"slices"

	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/record"
)

// put adds a value to the row of the columns, or as an irregular sample if the row has one already.
func (p *page) put(row uint32, ms, start int64, v float64) {
	s := &p.out
	r := int(row)
	if r >= len(s.Values) {
		p.widen()
	}
	if s.Present.Has(r) || r>>6 < len(p.irregular) && p.irregular.Has(r) {
		p.putIrregular(record.Irregular{Kind: record.Sample, Row: row, Time: ms, Start: start, Value: v})
		return
	}
	if ms != s.Time && len(s.Times) == 0 {
		s.Times = grow(s.Times, len(s.Values))
		for i := range s.Times {
			s.Times[i] = s.Time
		}
	}
	if len(s.Times) > 0 {
		s.Times[r] = ms
	}
	p.changes.setStart(p.t, row, start)
	s.Present.Set(r)
	s.Values[r] = v
}

// widen makes the columns as long as there are rows.
func (p *page) widen() {
	n := len(p.t.slots)
	p.out.Values = slices.Grow(p.out.Values, n-len(p.out.Values))[:n]
	p.out.Present = p.out.Present.Grow(n)
	if len(p.out.Times) > 0 {
		p.out.Times = slices.Grow(p.out.Times, n-len(p.out.Times))[:n]
	}
}

// putIrregular adds a sample outside the columns.
func (p *page) putIrregular(e record.Irregular) {
	p.irregular = p.irregular.Grow(len(p.t.slots))
	p.irregular.Set(int(e.Row))
	p.out.Irregular = append(p.out.Irregular, e)
}

// keepAlive notes that the page has the row, so that it gets no staleness marker.
func (p *page) keepAlive(row uint32, explicit bool) {
	if !explicit || p.set.trackTimestampsStaleness {
		p.t.current.Set(int(row))
	}
}

// putHistogram adds a histogram outside the columns.
func (p *page) putHistogram(row uint32, ms, start int64, v sampleValue) error {
	var m writev2.Histogram
	if v.int != nil {
		m = writev2.FromIntHistogram(0, 0, v.int)
	} else {
		m = writev2.FromFloatHistogram(0, 0, v.float)
	}
	b, err := m.Marshal()
	if err != nil {
		return fmt.Errorf("encode histogram: %w", err)
	}
	p.widen()
	p.putIrregular(record.Irregular{Kind: record.Histogram, Row: row, Time: ms, Start: start, Histogram: b})
	p.extraBytes += len(b)
	return p.fits()
}
