package web

import (
	"cmp"
	"maps"
	"slices"

	"promrelay/scrape"
	"promrelay/targets"
)

// Groupings of targets beside that by monitor.
const (
	byNamespace = "namespace"
	byNode      = "node"
	byJob       = "job"
)

var groupings = []string{byNamespace, byNode, byJob}

// Labels of discovery that say in which namespace and on which node a target is; the first one that a target has counts.
var (
	namespaceLabels = []string{"__meta_kubernetes_namespace", "namespace"}
	nodeLabels      = []string{
		"__meta_kubernetes_pod_node_name", "__meta_kubernetes_endpointslice_endpoint_node_name", "__meta_kubernetes_endpoint_node_name",
		"__meta_kubernetes_node_name", "node",
	}
)

// notice says in a group what is wrong with a monitor that has no targets there.
type notice struct {
	Title, Kind string
	Class       string
	Text        string
	Address     string // of the monitor's page
}

// addViews adds the links to the views.
func (p *page) addViews() {
	for _, by := range append([]string{""}, groupings...) {
		p.Views = append(p.Views, chip{
			Words: "by " + cmp.Or(by, "monitor"), On: p.View.By == by,
			Address: address("by", by, "filter", p.View.Filter, "state", p.View.State),
		})
	}
}

// regroup puts the chosen targets under other headings, if the view asks for that.
func (p *page) regroup() {
	by := p.View.By
	if by == "" || p.View.Job != "" {
		return
	}
	r := regrouping{by: by, groups: map[string]*group{}}
	for _, g := range p.Groups {
		if len(g.Jobs) == 0 || by != byJob && g.Targets() == 0 {
			p.Nowhere += r.note(g)
		}
		for _, j := range g.Jobs {
			r.divide(g, j)
		}
	}
	p.Groups = slices.SortedFunc(maps.Values(r.groups), func(a, b *group) int { return cmp.Compare(a.Title, b.Title) })
	if one := p.View.Monitor; one != "" {
		p.Groups = slices.DeleteFunc(p.Groups, func(g *group) bool { return g.Key != one })
	}
}

// regrouping builds groups by namespace, node or job.
type regrouping struct {
	by     string
	groups map[string]*group // by title
}

// group returns the group of a title; an empty one is for what has no such label.
func (r *regrouping) group(title string) *group {
	g := r.groups[title]
	if g == nil {
		g = &group{Title: title, Key: r.by + "/" + title, Kind: r.by, By: r.by}
		g.State = targets.Accepted
		if title == "" {
			g.Title, g.Kind = "no "+r.by, ""
		}
		r.groups[title] = g
	}
	return g
}

// note adds a monitor without jobs, or without targets, to its namespace. It returns how many monitors it has no place for.
func (r *regrouping) note(g *group) int {
	text := cmp.Or(g.Reason, string(g.State))
	switch r.by {
	case byNamespace:
		class := "waiting"
		if g.State == targets.Rejected {
			class = "down"
		}
		home := r.group(g.Owner.Namespace)
		home.Notices = append(home.Notices, notice{Title: g.Title, Kind: g.Kind, Class: class, Text: text, Address: g.Page()})
		return 0
	case byJob: // it has no job, so it stands for itself
		r.groups[g.Key] = g
		return 0
	}
	return 1
}

// divide spreads a job over the groups of its targets.
func (r *regrouping) divide(of *group, j *job) {
	if r.by == byJob {
		g := r.group(j.Name)
		g.Reason = j.Why
		g.add(j, j.targets, j.dropped)
		g.Owner = of.Owner
		return
	}
	byTitle := map[string]*job{}
	part := func(title string) *job {
		if byTitle[title] == nil {
			some := *j
			some.Notes, some.Problems, some.targets, some.dropped = nil, nil, nil, nil
			byTitle[title] = &some
		}
		return byTitle[title]
	}
	for _, t := range j.targets {
		some := part(r.titleOf(t.Target))
		some.targets = append(some.targets, t)
	}
	for _, d := range j.dropped {
		some := part(r.titleOfDropped(d))
		some.dropped = append(some.dropped, d)
	}
	for _, title := range slices.Sorted(maps.Keys(byTitle)) {
		r.group(title).add(byTitle[title], byTitle[title].targets, byTitle[title].dropped)
	}
}

// add adds a job, or a part of one, to a group.
func (g *group) add(j *job, some []scrape.Status, dropped []targets.Dropped) {
	g.Jobs = append(g.Jobs, j)
	for _, t := range some {
		g.countTarget(t)
	}
	g.Dropped += len(dropped)
}

func (r *regrouping) labels() []string {
	if r.by == byNode {
		return nodeLabels
	}
	return namespaceLabels
}

func (r *regrouping) titleOf(t *targets.Target) string {
	for _, name := range r.labels() {
		if v := cmp.Or(t.Meta(name), t.Labels.Get(name)); v != "" {
			return v
		}
	}
	return ""
}

func (r *regrouping) titleOfDropped(d targets.Dropped) string {
	for _, name := range r.labels() {
		if v := d.Discovered[name]; v != "" {
			return v
		}
	}
	return ""
}

// Page is the address of the page of a group's monitor; empty for the block nodes.
func (g *group) Page() string {
	if g.Owner.Namespace == "" && g.Owner.Kind != targets.ScrapeConfigBlock {
		return ""
	}
	return monitorAddress(string(g.Owner.Kind), g.Owner.Namespace, g.Owner.Name)
}

func monitorAddress(kind, namespace, name string) string {
	return to("monitor", "kind", kind, "namespace", namespace, "name", name)
}
