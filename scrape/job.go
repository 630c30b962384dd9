package scrape

import (
	"reflect"
	"time"

	config_util "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

// job is the loops of one job's targets.
type job struct {
	*targets.Job
	loops    map[uint64]*loop // by Target.Hash
	shortest time.Duration    // interval of the loops; 0 if there are none
}

func newJob(j *targets.Job) *job { return &job{Job: j, loops: map[uint64]*loop{}} }

// loopDiff is which loops a change ends, and which it starts after that.
type loopDiff struct{ end, start []*loop }

// apply takes over a change of the job, and adds to d the loops that end or start with it.
func (j *job) apply(s *shared, c targets.Change, d *loopDiff) {
	old := j.Job
	j.Job = c.Job
	successors := j.successors(old, c)
	for _, t := range c.Removed {
		if l := j.loops[t.Hash]; l != nil {
			d.end = append(d.end, l)
			delete(j.loops, t.Hash)
		}
	}
	for _, t := range c.Added {
		if l := successors[t]; l != nil {
			j.start(newLoop(s, t, l.table, l.ended()), t, d)
			continue
		}
		j.add(s, old, t, d)
	}
	j.checkLimit()
	j.shortest = 0
	for _, l := range j.loops {
		j.shortest = shorter(j.shortest, l.state().Target.Interval)
	}
}

// endAll ends all loops of the job.
func (j *job) endAll(d *loopDiff) {
	for _, l := range j.loops {
		d.end = append(d.end, l)
	}
}

// successors pairs added targets with the loops of removed ones whose series they continue. Such a
// target differs only in its interval or timeout. For Prometheus that makes it another target. It
// takes over the table, so that no series ends.
func (j *job) successors(old *targets.Job, c targets.Change) map[*targets.Target]*loop {
	if len(c.Removed) == 0 || len(c.Added) == 0 || !reflect.DeepEqual(sameSeries(old.Config), sameSeries(c.Job.Config)) {
		return nil
	}
	gone := map[uint64]*loop{}
	for _, t := range c.Removed {
		if l := j.loops[t.Hash]; l != nil {
			gone[t.Timeless()] = l
		}
	}
	successors := map[*targets.Target]*loop{}
	for _, t := range c.Added {
		if l := gone[t.Timeless()]; l != nil && j.loops[t.Hash] == nil {
			delete(gone, t.Timeless())
			l.handOver()
			successors[t] = l
		}
	}
	return successors
}

// add makes t one of the job's targets. If it is one already, its loop gets the new settings, or is
// replaced if it cannot take them over while it runs.
func (j *job) add(s *shared, old *targets.Job, t *targets.Target, d *loopDiff) {
	l := j.loops[t.Hash]
	switch {
	case l == nil:
		j.start(newLoop(s, t, newTable(s.guard), nil), t, d)
	case reflect.DeepEqual(sameLoop(old.Config), sameLoop(t.Job.Config)):
		l.setTarget(t)
	case reflect.DeepEqual(sameSeries(old.Config), sameSeries(t.Job.Config)):
		l.handOver()
		d.end = append(d.end, l)
		j.start(newLoop(s, t, l.table, l.ended()), t, d)
	default:
		d.end = append(d.end, l)
		j.start(newLoop(s, t, newTable(s.guard), nil), t, d)
	}
}

func (j *job) start(l *loop, t *targets.Target, d *loopDiff) {
	j.loops[t.Hash] = l
	d.start = append(d.start, l)
}

// checkLimit makes all scrapes fail while the job has too many targets.
func (j *job) checkLimit() {
	var err error
	if limit := int(j.Config.TargetLimit); limit > 0 && len(j.loops) > limit {
		err = targetLimitError{j.LimitKey("target_limit"), len(j.loops), limit}
	}
	for _, l := range j.loops {
		l.setForced(err)
	}
}

// sameLoop returns the part of c that a running loop cannot take over. It leaves out HTTP settings:
// new credentials do not disturb the rhythm of scrapes.
func sameLoop(c *promconfig.ScrapeConfig) promconfig.ScrapeConfig {
	z := *c
	z.HTTPClientConfig = config_util.HTTPClientConfig{}
	z.RelabelConfigs, z.ServiceDiscoveryConfigs, z.TargetLimit, z.KeepDroppedTargets = nil, nil, 0, 0
	return z
}

// sameSeries returns the part of c that decides which series a page leads to (zeroConfig of
// prometheus/scrape).
func sameSeries(c *promconfig.ScrapeConfig) promconfig.ScrapeConfig {
	z := sameLoop(c)
	z.ScrapeInterval, z.ScrapeTimeout, z.SampleLimit = 0, 0, 0
	return z
}
