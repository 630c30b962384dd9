package targets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// place is a URL and the job label of its series. If two jobs have targets at one place, sums include its series twice.
type place struct{ url, job string }

func placeOf(t *Target) place { return place{t.URL, t.Labels.Get(model.JobLabel)} }

// Duplicate is a pair of jobs, in the order of their names, that scrape one URL with one job label.
type Duplicate struct{ A, B string }

// yieldError is why a job leaves a target to another job or Node.
type yieldError string

func (e yieldError) Error() string { return string(e) }

// enter records a new target of a job.
func (s *Set) enter(job string, t *Target) {
	p := placeOf(t)
	if s.places[p] = append(s.places[p], job); len(s.places[p]) > 1 {
		s.shared[p] = true
	}
	s.touchYielding(p)
}

// pair records which jobs share a place. It runs after the jobs that yield have left their places.
func (s *Set) pair() {
	for p := range s.shared {
		there := s.places[p]
		for i, a := range there {
			for _, b := range there[i+1:] {
				pair := Duplicate{min(a, b), max(a, b)}
				if a != b && !s.duplicates[pair] {
					s.duplicates[pair] = true
					s.newDuplicates = append(s.newDuplicates, pair)
				}
			}
		}
	}
	clear(s.shared)
}

// leave records that a job no longer has a target.
func (s *Set) leave(job string, t *Target) {
	p := placeOf(t)
	there := s.places[p]
	if i := slices.Index(there, job); i >= 0 {
		there = slices.Delete(there, i, i+1)
	}
	if s.places[p] = there; len(there) == 0 {
		delete(s.places, p)
	}
	s.touchYielding(p)
}

func (s *Set) touchYielding(p place) {
	for state := range s.yielding {
		if state.at[p] {
			s.touched[state] = true
		}
	}
}

// monitorAt returns the name of a monitor's job that scrapes the same place as a target of a job that yields; empty if there is none.
func (s *Set) monitorAt(state *jobState, t *Target) string {
	p := placeOf(t)
	if state.at == nil {
		state.at = map[place]bool{}
	}
	state.at[p] = true
	for _, name := range s.places[p] {
		if other := s.jobs[name]; other != nil && slices.Contains(Kinds[:], other.job.Owner.Kind) {
			return name
		}
	}
	return ""
}

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
	n, example := map[string]int{}, map[string]*Target{}
	for _, t := range state.live {
		there := s.places[placeOf(t)]
		if len(there) < 2 {
			continue
		}
		seen := map[string]bool{}
		for _, other := range there {
			if other == job || seen[other] {
				continue
			}
			seen[other] = true
			n[other]++
			if e := example[other]; e == nil || t.URL < e.URL {
				example[other] = t
			}
		}
	}
	for _, other := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%s scrapes %d of its %d pages too, with the same job label, such as %s: in sums they count twice. Remove one of the two",
			other, n[other], len(state.live), example[other].shownURL()))
	}
	return out
}
