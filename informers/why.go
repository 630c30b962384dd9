package informers

import (
	"slices"
	"sync"
	"time"

	"promrelay/targets"
)

// reasonCache keeps the reasons why jobs have no targets, if it takes long to find them, because pages ask again and
// again.
type reasonCache struct {
	mu      sync.Mutex
	batch   uint64 // the reasons are as of this batch of changes
	until   time.Time
	reasons map[*targets.Job]targets.Step
}

// whyShare bounds the time for finding reasons while objects change: one part in so many.
const whyShare = 20

// explain adds the reasons why jobs have no targets. It does not delay the worker.
func (d *Discovery) explain(all []targets.MonitorStatus) {
	d.reasons.mu.Lock()
	defer d.reasons.mu.Unlock()
	batch, begin := d.state.batches.Load(), time.Now()
	if d.reasons.batch != batch && begin.After(d.reasons.until) {
		d.reasons.reasons = nil
	}
	known := d.reasons.reasons
	if known == nil {
		known = map[*targets.Job]targets.Step{}
	}
	for i := range all {
		m := &all[i]
		if m.Owner.Kind == targets.AnnotationsBlock {
			d.explainAnnotations(m)
		}
		if m.State != targets.Accepted {
			continue
		}
		for n := range m.Jobs {
			j := &m.Jobs[n]
			if j.Count > 0 {
				continue
			}
			why, ok := known[j.Job]
			if !ok || len(j.Dropped) > 0 || len(j.Problems) > 0 {
				why = targets.Nothing(view{d.parts}, j, d.asked(j.Job))
				known[j.Job] = why
			}
			j.Nothing, j.Why = why, why.Text
		}
		m.SetWhy()
	}
	if d.reasons.reasons == nil {
		now := time.Now()
		d.reasons.batch, d.reasons.until, d.reasons.reasons = batch, now.Add(whyShare*now.Sub(begin)), known
	}
}

// explainAnnotations adds notes about objects to the jobs of the block annotations.
func (d *Discovery) explainAnnotations(m *targets.MonitorStatus) {
	for i := range m.Jobs {
		j := &m.Jobs[i]
		d.state.mu.RLock()
		found := d.state.set.Found(j.Job.Name)
		d.state.mu.RUnlock()
		j.Notes = append(slices.Clip(j.Notes), targets.AnnotationNotes(view{d.parts}, j.Job, found)...)
	}
}

// asked is what is known of a job beside its status.
func (d *Discovery) asked(j *targets.Job) targets.Asked {
	d.state.mu.RLock()
	a := targets.Asked{NamespacesIgnored: d.state.settings != nil && d.state.settings.IgnoresNamespaceSelectors()}
	d.state.mu.RUnlock()
	if d.offline && len(j.Config.ServiceDiscoveryConfigs) > 0 {
		a.Unanswered = []string{j.Config.ServiceDiscoveryConfigs[0].Name() + "_sd_configs is not asked here"}
	} else {
		a.Unanswered = d.external.Unanswered(j.Name)
	}
	return a
}
