package targets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// occupant is a job that has a target at a URL. If two jobs have targets there with one job label, sums include its series twice.
type occupant struct {
	job       string // its name
	label     string // the job label of the target's series
	elsewhere bool   // a relay in node mode scrapes the target
}

// Duplicate is a pair of jobs, in the order of their names, that scrape one URL with one job label.
type Duplicate struct{ A, B string }

// yieldError is why a job leaves a target to another job, Node or relay.
type yieldError string

func (e yieldError) Error() string { return string(e) }

func jobLabel(t *Target) string { return t.Labels.Get(model.JobLabel) }

// enter records a new target of a job.
func (s *Set) enter(job string, t *Target, elsewhere bool) {
	if s.places[t.URL] = append(s.places[t.URL], occupant{job, jobLabel(t), elsewhere}); len(s.places[t.URL]) > 1 {
		s.shared[t.URL] = true
	}
	s.touchOthers(t.URL, elsewhere)
}

// pair records which jobs share a place. It runs after the jobs that yield have left their places.
func (s *Set) pair() {
	for url := range s.shared {
		there := s.places[url]
		for i, a := range there {
			for _, b := range there[i+1:] {
				pair := Duplicate{min(a.job, b.job), max(a.job, b.job)}
				if a.job != b.job && a.label == b.label && !s.duplicates[pair] {
					s.duplicates[pair] = true
					s.newDuplicates = append(s.newDuplicates, pair)
				}
			}
		}
	}
	clear(s.shared)
}

// leave records that a job no longer has a target.
func (s *Set) leave(job string, t *Target, elsewhere bool) {
	there := s.places[t.URL]
	if i := slices.Index(there, occupant{job, jobLabel(t), elsewhere}); i >= 0 {
		there = slices.Delete(there, i, i+1)
	}
	if s.places[t.URL] = there; len(there) == 0 {
		delete(s.places, t.URL)
	}
	s.touchOthers(t.URL, elsewhere)
}

// touchOthers touches the jobs whose targets at a URL depend on who else is there.
func (s *Set) touchOthers(url string, elsewhere bool) {
	for _, states := range [...]map[*jobState]bool{s.yielding, s.gaveWay} {
		for state := range states {
			if state.at[url] {
				s.touched[state] = true
			}
		}
	}
	if !elsewhere {
		return
	}
	for _, o := range s.places[url] { // monitors give way to node mode
		if state := s.jobs[o.job]; state != nil && !o.elsewhere {
			s.touched[state] = true
		}
	}
}

// yieldsTo says to which other job a job leaves a target, and why; empty if it keeps the target.
func (s *Set) yieldsTo(state *jobState, t *Target) string {
	yields := state.job.Yields
	if yields != YieldsNever {
		state.wants(t.URL)
	}
	label := jobLabel(t)
	for _, o := range s.places[t.URL] {
		other := s.jobs[o.job]
		if other == nil || other == state {
			continue
		}
		switch {
		case yields == YieldsToMonitors && o.label == label && isMonitor(other.job):
			return "it is left to " + o.job + ", which scrapes it with the same job label; nodes.beside_monitors: true has both"
		case yields >= YieldsToAll && other.job.Yields < yields:
			return "it is left to " + o.job + ", which scrapes the same page"
		case yields == YieldsNever && o.elsewhere && o.label == label && other.job.Yields == YieldsToMonitors && isMonitor(state.job):
			state.wants(t.URL)
			s.gaveWay[state] = true
			return "it is left to " + o.job + " of the relay on its Node (node_mode), which scrapes it with the same job label; nodes.beside_monitors: true has both"
		}
	}
	return ""
}

// wants notes that what the job scrapes depends on who else is at a URL.
func (state *jobState) wants(url string) {
	if state.at == nil {
		state.at = map[string]bool{}
	}
	state.at[url] = true
}

func isMonitor(j *Job) bool { return slices.Contains(Kinds[:], j.Owner.Kind) }

// forgetDuplicates forgets the pairs of a job that is gone, so that they are found again.
func (s *Set) forgetDuplicates(job string) {
	maps.DeleteFunc(s.duplicates, func(t Duplicate, _ bool) bool { return t.A == job || t.B == job })
}

// NewDuplicates returns the pairs found since its last call. It returns a pair once, as long as both jobs exist.
func (s *Set) NewDuplicates() []Duplicate {
	out := s.newDuplicates
	s.newDuplicates = nil
	slices.SortFunc(out, func(a, b Duplicate) int { return cmp.Or(strings.Compare(a.A, b.A), strings.Compare(a.B, b.B)) })
	return out
}

// DuplicateNotes describes the other jobs that scrape targets of this one with the same job label.
func (s *Set) DuplicateNotes(job string) (out []string) {
	state := s.jobs[job]
	if state == nil {
		return nil
	}
	type place struct{ url, label string }
	some := map[place][]*Target{} // by place, because thousands of targets may be at one
	for _, t := range state.live {
		at := place{t.URL, jobLabel(t)}
		some[at] = append(some[at], t)
	}
	n, example := map[string]int{}, map[string]*Target{}
	for at, here := range some {
		seen := map[string]bool{job: true}
		for _, o := range s.places[at.url] {
			if seen[o.job] || o.label != at.label {
				continue
			}
			seen[o.job] = true
			n[o.job] += len(here)
			if e := example[o.job]; e == nil || at.url < e.URL {
				example[o.job] = here[0]
			}
		}
	}
	for _, other := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%s scrapes %d of its %d pages too, with the same job label, such as %s: in sums they count twice. Remove one of the two",
			other, n[other], len(state.live), example[other].shownURL()))
	}
	return out
}
