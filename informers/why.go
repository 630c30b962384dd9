package informers

import (
	"slices"
	"strings"
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
	reasons map[*targets.Job]string
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
		known = map[*targets.Job]string{}
	}
	for i := range all {
		m := &all[i]
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
				why = d.why(j)
				known[j.Job] = why
			}
			j.Why = why
		}
		m.Why = whyMonitor(m)
	}
	if d.reasons.reasons == nil {
		now := time.Now()
		d.reasons.batch, d.reasons.until, d.reasons.reasons = batch, now.Add(whyShare*now.Sub(begin)), known
	}
}

// whyMonitor says why a monitor has no targets at all. It returns an empty string if it has some.
func whyMonitor(m *targets.MonitorStatus) string {
	if len(m.Jobs) == 0 {
		return "it has no endpoints"
	}
	var whys []string
	for i := range m.Jobs {
		switch j := &m.Jobs[i]; {
		case j.Count > 0:
			return ""
		case !slices.Contains(whys, j.Why):
			whys = append(whys, j.Why)
		}
	}
	return strings.Join(whys, "; ")
}

// why says why a job has no targets. Each reason names its object or field.
func (d *Discovery) why(j *targets.JobStatus) string {
	switch {
	case len(j.Problems) > 0:
		return "service discovery fails: " + j.Problems[0]
	case j.Elsewhere > 0:
		return whyElsewhere(j.Elsewhere)
	case len(j.Dropped) > 0:
		return whyDropped(j)
	}
	var whys []string
	for _, g := range j.Job.Static {
		if len(g.Targets) == 0 {
			whys = append(whys, "its static targets are an empty list")
			break
		}
	}
	for _, sd := range j.Job.Discoveries {
		if why := d.whyNothing(j.Job, sd); !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	if d.offline && len(j.Job.Config.ServiceDiscoveryConfigs) > 0 {
		whys = append(whys, j.Job.Config.ServiceDiscoveryConfigs[0].Name()+"_sd_configs is not asked here")
	} else {
		whys = append(whys, d.external.Unanswered(j.Job.Name)...)
	}
	if len(whys) == 0 {
		return "it names no targets: neither static ones nor any service discovery"
	}
	return strings.Join(whys, "; ")
}
