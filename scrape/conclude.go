package scrape

import (
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/value"
)

// conclude ends the reading of the page: series that are gone get their staleness markers. Whole
// means that the page was read to its end. Otherwise its samples are dropped, and all series of the
// previous page are gone. (Prometheus writes no markers for the series before the place where the
// page failed. It writes later ones for those of them that never had a sample.)
func (p *page) conclude(whole, failed bool) {
	if failed {
		p.discard()
		p.t.forgetCurrent()
	}
	p.markGone()
	p.learn(whole)
}

// markGone writes staleness markers for the series of the previous page that this one does not
// have.
func (p *page) markGone() {
	stale := math.Float64frombits(value.StaleNaN)
	for w, was := range p.t.previous {
		gone := was &^ p.t.current[w]
		for row := uint32(w * 64); gone != 0; row, gone = row+1, gone>>1 {
			switch {
			case gone&1 == 0:
			case p.out.Time > p.t.guard.Last(p.t.slots[row]):
				p.put(row, p.out.Time, 0, stale)
			case p.behind:
				p.t.current.Set(int(row)) // a later page writes its marker
			}
		}
	}
}

// report adds the first n report series to the record, or their staleness markers if stale is set.
func (p *page) report(n int, stale bool, values ...float64) {
	p.bySlot = nil
	for i := range n {
		row, err := p.reportRow(i)
		if err != nil {
			if errors.Is(err, errClock) {
				p.clocked++
			}
			continue // another target gives this series
		}
		p.t.describeReport(row, i)
		if p.out.Time <= p.t.guard.Last(p.t.slots[row]) {
			if p.behind && !stale {
				p.clocked++
			}
			continue
		}
		v := math.Float64frombits(value.StaleNaN)
		if !stale {
			v = values[i]
		}
		p.put(row, p.out.Time, 0, v)
	}
}

// reportRow returns the row of report series i, a new one if there is none.
func (p *page) reportRow(i int) (uint32, error) {
	if row := p.t.report[i]; row != noRow {
		return row, nil
	}
	p.bySlot = nil
	p.lset = p.set.reportLabels(i)
	row, err := p.rowFor(p.out.Time, 0)
	if err == nil {
		p.t.report[i] = row
	}
	return row, err
}
