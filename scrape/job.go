package scrape

import (
	"fmt"
	"reflect"

	config_util "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

// job is the targets of one job.
type job struct {
	*targets.Job
	loops map[uint64]*loop
}

// targetLimitError is why every scrape of a job fails.
type targetLimitError struct {
	key            string // of the limit
	targets, limit int
}

func (e targetLimitError) Error() string {
	return fmt.Sprintf("%s exceeded (number of targets: %d, limit: %d)", e.key, e.targets, e.limit)
}

func (p *Pool) apply(c targets.Change) {
	j := p.jobs[c.Job.Name]
	if c.Gone {
		if j != nil {
			for _, l := range j.loops {
				p.end(l)
			}
			delete(p.jobs, c.Job.Name)
		}
		return
	}
	if j == nil {
		j = &job{Job: c.Job, loops: map[uint64]*loop{}}
		p.jobs[c.Job.Name] = j
	}
	old := j.Job
	j.Job = c.Job
	heirs := p.heirs(j, old, c)
	for _, t := range c.Removed {
		if l := j.loops[t.Hash]; l != nil {
			p.end(l)
			delete(j.loops, t.Hash)
		}
	}
	for _, t := range c.Added {
		if l := heirs[t]; l != nil {
			p.begin(j, t, l.table, l.ends())
			continue
		}
		p.add(j, old, t)
	}
	p.checkLimit(j)
}

// heirs finds the targets that take the place of others only since they are to be scraped more often or more seldom, or more
// patiently: Prometheus takes these for other targets. Each goes on with the table of the loop that ends, so that no series ends.
func (p *Pool) heirs(j *job, old *targets.Job, c targets.Change) map[*targets.Target]*loop {
	if len(c.Removed) == 0 || len(c.Added) == 0 || !reflect.DeepEqual(sameSeries(old.Config), sameSeries(c.Job.Config)) {
		return nil
	}
	gone := map[uint64]*loop{}
	for _, t := range c.Removed {
		if l := j.loops[t.Hash]; l != nil {
			gone[t.Timeless()] = l
		}
	}
	heirs := map[*targets.Target]*loop{}
	for _, t := range c.Added {
		if l := gone[t.Timeless()]; l != nil && j.loops[t.Hash] == nil {
			delete(gone, t.Timeless())
			l.handOver()
			heirs[t] = l
		}
	}
	return heirs
}

// add makes t one of the job's targets, or renews it if it is one.
func (p *Pool) add(j *job, old *targets.Job, t *targets.Target) {
	l := j.loops[t.Hash]
	if l == nil {
		p.begin(j, t, newTable(p.guard), nil)
		return
	}
	if reflect.DeepEqual(sameLoop(old.Config), sameLoop(t.Job.Config)) {
		l.setTarget(t)
		return
	}
	// As prometheus/scrape reloads: another loop, which goes on with the table if the series stay what they are.
	tab := newTable(p.guard)
	var after <-chan struct{}
	if reflect.DeepEqual(sameSeries(old.Config), sameSeries(t.Job.Config)) {
		l.handOver()
		tab, after = l.table, l.ends()
	}
	p.end(l)
	p.begin(j, t, tab, after)
}

func (p *Pool) begin(j *job, t *targets.Target, tab *table, after <-chan struct{}) {
	l := newLoop(p, t, tab)
	l.after = after
	j.loops[t.Hash] = l
	p.start(l)
}

func (p *Pool) checkLimit(j *job) {
	var err error
	if limit := int(j.Config.TargetLimit); limit > 0 && len(j.loops) > limit {
		err = targetLimitError{j.Owner.Key("target_limit"), len(j.loops), limit}
	}
	for _, l := range j.loops {
		l.setForced(err)
	}
}

// sameLoop returns what of c a loop cannot take over while it runs. HTTP settings it can: rotated
// credentials do not disturb the rhythm of scrapes.
func sameLoop(c *promconfig.ScrapeConfig) promconfig.ScrapeConfig {
	z := *c
	z.HTTPClientConfig = config_util.HTTPClientConfig{}
	z.RelabelConfigs, z.ServiceDiscoveryConfigs, z.TargetLimit, z.KeepDroppedTargets = nil, nil, 0, 0
	return z
}

// sameSeries returns what of c decides which series a page leads to (zeroConfig of prometheus/scrape).
func sameSeries(c *promconfig.ScrapeConfig) promconfig.ScrapeConfig {
	z := sameLoop(c)
	z.ScrapeInterval, z.ScrapeTimeout, z.SampleLimit = 0, 0, 0
	return z
}
