package targets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// place is where a page is, and the job label of its series. Of two jobs that have one place, the series double in sums.
type place struct{ url, job string }

func placeOf(t *Target) place { return place{t.URL, t.Labels.Get(model.JobLabel)} }

// Twice are two jobs, in the order of their names, that scrape one page with one job label.
type Twice struct{ A, B string }

// yieldError is why a job leaves a target to another one, or another Node.
type yieldError string

func (e yieldError) Error() string { return string(e) }

// enter notes that a job has a target from now on.
func (s *Set) enter(job string, t *Target) {
	p := placeOf(t)
	if s.places[p] = append(s.places[p], job); len(s.places[p]) > 1 {
		s.crowded[p] = true
	}
	s.touchYielding(p)
}

// pair notes which jobs have one place, now that those that yield have left theirs.
func (s *Set) pair() {
	for p := range s.crowded {
		there := s.places[p]
		for i, a := range there {
			for _, b := range there[i+1:] {
				pair := Twice{min(a, b), max(a, b)}
				if a != b && !s.twice[pair] {
					s.twice[pair] = true
					s.newTwice = append(s.newTwice, pair)
				}
			}
		}
	}
	clear(s.crowded)
}

// leave notes that a job has a target no longer.
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

// monitorAt returns the name of the job of a monitor that scrapes a target of a job that yields; empty if there is none.
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

// forgetTwice lets pairs with a job that is gone be told again.
func (s *Set) forgetTwice(job string) {
	maps.DeleteFunc(s.twice, func(t Twice, _ bool) bool { return t.A == job || t.B == job })
}

// NewTwice returns the pairs of jobs that were found since it was called last to scrape one page with one job label. A pair is told
// once, as long as both jobs are there.
func (s *Set) NewTwice() []Twice {
	out := s.newTwice
	s.newTwice = nil
	slices.SortFunc(out, func(a, b Twice) int { return cmp.Or(strings.Compare(a.A, b.A), strings.Compare(a.B, b.B)) })
	return out
}

// Shared tells of the other jobs that scrape pages of this one with the same job label.
func (s *Set) Shared(job string) (out []string) {
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
