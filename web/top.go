package web

import (
	"cmp"
	"slices"

	"promrelay/scrape"
	"promrelay/targets"
)

// Cost is what targets cost: one target, or the sum of several.
type Cost struct {
	Name    string        // of the monitor, the namespace, or the target's URL
	Job     string        // of a target
	Owner   targets.Owner // of a target and of a monitor
	Targets int
	Series  int
	Samples int // of the last scrapes
	Bytes   int // of the last pages, decompressed
	Added   int // series that were new in the last hour
}

func (c *Cost) add(s scrape.Status) {
	c.Targets++
	c.Series += s.Series
	c.Samples += s.Samples
	c.Bytes += s.Bytes
	c.Added += s.Added
}

// Top is what costs most.
type Top struct {
	Total                         Cost
	Targets, Monitors, Namespaces []Cost // the most expensive first
}

// topOrder is a way to compare costs.
type topOrder struct {
	name string
	of   func(Cost) int
}

// topBy are the ways to compare costs. The first one is used unless a request names another one.
var topBy = []topOrder{
	{"series", func(c Cost) int { return c.Series }},
	{"samples", func(c Cost) int { return c.Samples }},
	{"bytes", func(c Cost) int { return c.Bytes }},
	{"added", func(c Cost) int { return c.Added }},
}

// newTop returns what costs most: at most n targets, monitors and namespaces each, compared by one of topBy; an unknown name stands for the
// first one.
func newTop(src *Sources, by string, n int) Top {
	of := topBy[0].of
	for _, b := range topBy {
		if b.name == by {
			of = b.of
		}
	}
	t := Top{Total: Cost{Name: "total"}}
	monitors, namespaces := map[string]*Cost{}, map[string]*Cost{}
	for _, j := range src.Targets.Jobs() {
		monitor := costOf(monitors, j.Owner.String())
		monitor.Owner = j.Owner
		for _, s := range src.Targets.Statuses(j.Name) {
			one := Cost{Name: s.Target.ShownURL(), Job: j.Name, Owner: j.Owner}
			one.add(s)
			t.Targets = append(t.Targets, one)
			t.Total.add(s)
			monitor.add(s)
			costOf(namespaces, namespaceOf(j, s)).add(s)
		}
	}
	t.Targets = mostOf(t.Targets, of, n)
	t.Monitors, t.Namespaces = mostOf(values(monitors), of, n), mostOf(values(namespaces), of, n)
	return t
}

// namespaceOf is the namespace that a target's series are of: that of its labels, else that of its monitor; empty if there is none.
func namespaceOf(j *targets.Job, s scrape.Status) string {
	return cmp.Or(s.Target.Labels.Get("namespace"), j.Owner.Namespace)
}

func costOf(m map[string]*Cost, name string) *Cost {
	if m[name] == nil {
		m[name] = &Cost{Name: name}
	}
	return m[name]
}

func values(m map[string]*Cost) (out []Cost) {
	for _, c := range m {
		if c.Targets > 0 {
			out = append(out, *c)
		}
	}
	return out
}

// mostOf returns the n largest costs.
func mostOf(all []Cost, of func(Cost) int, n int) []Cost {
	slices.SortFunc(all, func(a, b Cost) int {
		return cmp.Or(cmp.Compare(of(b), of(a)), cmp.Compare(b.Series, a.Series), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Job, b.Job))
	})
	some, _ := atMost(all, n)
	return slices.Clip(some)
}
