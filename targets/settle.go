package targets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Settle returns what changed since its last call. Unknown reports whether the groups of a Source are not known yet: a job that uses
// groups of such a Source keeps its targets until they are known. A nil unknown means that all are known.
func (s *Set) Settle(unknown func(Source) bool) []Change {
	var out []Change
	for name, state := range s.gone {
		out = append(out, Change{Job: state.settled, Gone: true})
		for _, t := range state.live {
			s.leave(name, t, false)
		}
		for _, t := range state.elsewhere {
			s.leave(name, t, true)
		}
		s.forgetDuplicates(name)
	}
	clear(s.gone)
	waiting := map[*jobState]bool{}
	waits := func(state *jobState) bool {
		return unknown != nil && state.settled != nil && slices.ContainsFunc(state.job.Discoveries, func(d Discovery) bool { return unknown(d.Source) })
	}
	settle := func(state *jobState) {
		if waits(state) {
			waiting[state] = true
			return
		}
		state.new = false
		if c, changed := s.settle(state); changed {
			out = append(out, c)
		}
	}
	for _, state := range slices.Collect(maps.Keys(s.touched)) { // first, because monitors may give way to these targets
		if !waits(state) {
			s.settleElsewhere(state)
		}
	}
	for state := range s.touched {
		if state.job.Yields == YieldsNever {
			settle(state)
		}
	}
	for _, state := range slices.SortedFunc(maps.Keys(s.yielding), byYield) { // after those that they yield to, which may have touched them
		if s.touched[state] {
			settle(state)
		}
	}
	s.touched = waiting
	s.pair()
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Job.Name, b.Job.Name) })
	return out
}

// settle compares the job's targets with those of the last Settle.
func (s *Set) settle(state *jobState) (Change, bool) {
	c := Change{Job: state.job}
	now := s.choose(state)
	for h, t := range now {
		if old := state.live[h]; old != t {
			c.Added = append(c.Added, t)
			if old == nil {
				s.enter(state.job.Name, t, false)
			}
		}
	}
	for h, t := range state.live {
		if _, ok := now[h]; !ok {
			c.Removed = append(c.Removed, t)
			s.leave(state.job.Name, t, false)
		}
	}
	changed := len(c.Added) > 0 || len(c.Removed) > 0 || state.settled != state.job
	state.live, state.settled = now, state.job
	byURL := func(a, b *Target) int { return strings.Compare(a.URL, b.URL) }
	slices.SortFunc(c.Added, byURL)
	slices.SortFunc(c.Removed, byURL)
	return c, changed
}

// choose returns the job's targets by their hash. It records those that it leaves to other jobs, Nodes or relays.
func (s *Set) choose(state *jobState) map[uint64]*Target {
	now, urls := map[uint64]*Target{}, map[string]bool{}
	state.yielded, state.at = nil, nil
	delete(s.gaveWay, state)
	leave := func(t *Target, why string) {
		state.yielded = append(state.yielded, Drop{Group: t.group, Index: t.index, Rule: -1, Err: yieldError(why)})
	}
	ready := state.readyNodes()
	for _, key := range slices.SortedFunc(maps.Keys(state.groups), compareKeys) {
		node := onNode(state.groups[key].group.Labels)
		covered := s.coverage.covers(node)
		for _, t := range state.groups[key].targets {
			if _, ok := now[t.Hash]; ok { // the same target of two groups is one
				continue
			}
			if state.job.Half == Central && covered { // it is in state.elsewhere
				continue
			}
			if state.job.Half == OnNode && !covered {
				leave(t, s.coverage.leaves(node))
				continue
			}
			if successor := ready.successor(t); successor != "" {
				leave(t, "the readiness of its Node is unknown, and Node "+successor+" has the same address")
				continue
			}
			if why := s.yieldsTo(state, t); why != "" {
				leave(t, why)
				continue
			}
			if state.job.Yields >= YieldsToAll && urls[t.URL] {
				leave(t, "another target of this job scrapes the same page")
				continue
			}
			now[t.Hash], urls[t.URL] = t, true
		}
	}
	return now
}

// byYield sorts jobs so that each comes after those that it leaves targets to.
func byYield(a, b *jobState) int {
	return cmp.Or(cmp.Compare(a.job.Yields, b.job.Yields), strings.Compare(a.job.Name, b.job.Name))
}

func compareKeys(a, b groupKey) int {
	n := cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.source.Role, b.source.Role), strings.Compare(a.source.Selectors.String(), b.source.Selectors.String()))
	if n == 0 && a.source.Attach != b.source.Attach {
		n = strings.Compare(fmt.Sprint(a.source.Attach), fmt.Sprint(b.source.Attach))
	}
	return n
}
