package sd

import (
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// jobDiscovery is how one job finds targets. It belongs to the worker.
type jobDiscovery struct {
	configs   discovery.Configs // as compiled; nobody changes them
	current   []*shared         // of configs
	previous  []*shared         // replaced ones, whose groups stay in use until awaited have answered
	awaited   []*shared         // the new ones among current
	keepUntil time.Time         // previous are kept no longer
	offered   bool              // the groups of current and previous were returned by Changed
}

// keepPrevious is how long the groups of a replaced discovery are kept while the new one finds none: its server may be unreachable
// when a Secret changes.
const keepPrevious = 5 * time.Minute

// newJobDiscovery makes a job's discovery from its configurations and its previous discovery, which may be nil.
func (m *Manager) newJobDiscovery(before *jobDiscovery, configs discovery.Configs) *jobDiscovery {
	jd := &jobDiscovery{configs: configs}
	for _, c := range configs {
		if s := m.sharedFor(c); !slices.Contains(jd.current, s) {
			jd.current = append(jd.current, s)
		}
	}
	if before == nil {
		return jd
	}
	for _, s := range jd.current {
		if !slices.Contains(before.current, s) || slices.Contains(before.awaited, s) {
			jd.awaited = append(jd.awaited, s)
		}
	}
	for _, s := range slices.Concat(before.previous, before.current) {
		if !slices.Contains(jd.current, s) && !slices.Contains(jd.previous, s) {
			jd.previous = append(jd.previous, s)
		}
	}
	if jd.keepUntil = before.keepUntil; len(before.previous) == 0 && len(jd.previous) > 0 {
		jd.keepUntil = time.Now().Add(keepPrevious)
		time.AfterFunc(keepPrevious, m.Notify)
	}
	return jd
}

// sharedFor returns the shared discoverer of a configuration.
func (m *Manager) sharedFor(c discovery.Config) *shared {
	for _, s := range m.shared {
		if reflect.DeepEqual(s.compiled, c) {
			return s
		}
	}
	m.count++
	s := newShared(m.count, c, m.Options)
	m.shared = append(m.shared, s)
	return s
}

// groups returns the groups of the job, unless none of its discoverers has changed.
func (jd *jobDiscovery) groups(now time.Time, changed map[*shared]bool) (out []*targetgroup.Group, ok bool) {
	if len(jd.previous) > 0 && jd.replaced(now) {
		jd.previous, jd.awaited, jd.offered = nil, nil, false
	}
	all := slices.Concat(jd.current, jd.previous)
	if jd.offered && !slices.ContainsFunc(all, func(s *shared) bool { return changed[s] }) {
		return nil, false
	}
	jd.offered = true
	out = []*targetgroup.Group{}
	for _, s := range all {
		out = append(out, s.found()...)
	}
	return out, true
}

// replaced reports whether the groups of previous are no longer in use.
func (jd *jobDiscovery) replaced(now time.Time) bool {
	return !now.Before(jd.keepUntil) || !slices.ContainsFunc(jd.awaited, func(s *shared) bool { return !s.complete(now) })
}
