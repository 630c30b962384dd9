package scrape

import (
	"github.com/prometheus/common/model"

	"promrelay/targets"
)

// Metadata is what a target says of a metric family.
type Metadata struct {
	Family     string
	Type       model.MetricType
	Help, Unit string
}

// Metadata returns what a target says of its metric families, in the order of its page, or of the one family if that is not empty. False: the
// target is being scraped at this moment. Without scrapes, or if the target is gone, there is none.
func (p *Pool) Metadata(of *targets.Target, family string) (found []Metadata, ok bool) {
	t := p.tableOf(of)
	if t == nil {
		return nil, true
	}
	if !t.inUse.TryLock() {
		return nil, false
	}
	defer t.inUse.Unlock()
	symbols := t.rows.Symbols()
	for i := range t.families {
		f := &t.families[i]
		if name := symbols.Bytes(f.name); family == "" || string(name) == family {
			found = append(found, Metadata{Family: string(name), Type: f.typ, Help: string(symbols.Bytes(f.help)), Unit: string(symbols.Bytes(f.unit))})
		}
	}
	return found, true
}

// tableOf returns the table of a target; nil if the target is gone.
func (p *Pool) tableOf(t *targets.Target) *table {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.jobs[t.Job.Name]; j != nil && j.loops[t.Hash] != nil {
		return j.loops[t.Hash].table
	}
	return nil
}
