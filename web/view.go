package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/scrape"
	"promrelay/targets"
)

// Choices of the chips that count monitors and dropped targets. The other chips choose targets by their health.
const (
	chooseRejected   = "rejected"
	chooseEmpty      = "empty"
	chooseDropped    = "dropped"
	chooseUnselected = "unselected"
)

// maxOpen bounds how many groups a request may ask for as open.
const maxOpen = 30

// view is the part of the page that a request asks for. Each view is a separate page, so it works without scripts.
type view struct {
	Filter  string // words that must all be found
	State   string // choice of a chip; empty for everything
	By      string // how targets are grouped: namespace, node or job; empty for by monitor
	Monitor string // key of the one group to show; empty for all
	Job     string // name of the one job to show; empty for all
	From    int    // targets of Job to skip
	Target  string // ID of the one target of Job to show, with its discovered labels; empty for all

	open  []string // keys of groups whose targets are shown at once
	words []string // of Filter, in lower case
}

func newView(r *http.Request) view {
	q := r.URL.Query()
	v := view{Filter: q.Get("filter"), State: q.Get("state"), Monitor: q.Get("monitor"), Job: q.Get("job"), Target: q.Get("target"), open: q["open"]}
	if by := q.Get("by"); slices.Contains(groupings, by) {
		v.By = by
	}
	v.open = v.open[:min(len(v.open), maxOpen)]
	v.words = strings.Fields(strings.ToLower(v.Filter))
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 && v.Job != "" {
		v.From = n
	}
	if q.Has("unhealthy") { // links of releases without chips have it
		v.State = string(scrape.HealthDown)
	}
	return v
}

// Alone reports whether one group or one job has the page to itself.
func (v view) Alone() bool { return v.Job != "" || v.Monitor != "" }

// Active reports whether a filter or a chip hides a part of the page.
func (v view) Active() bool { return v.Filter != "" || v.State != "" }

// Chosen reports whether the view asks for something by name, filter or chip.
func (v view) Chosen() bool { return v.Alone() || v.Active() }

// address is the address of the page of targets with these parameters, given as names and values in turn.
func address(parameters ...string) string { return to("targets", parameters...) }

// wants reports whether the view shows a group, as far as that is known without its targets.
func (v view) wants(g *group) bool {
	switch {
	case v.Monitor != "" && v.By == "" && v.Monitor != g.Key:
		return false
	case v.State == chooseRejected:
		return g.State == targets.Rejected
	case v.State == chooseEmpty:
		return g.Empty()
	case v.State == chooseDropped:
		return g.Dropped > 0
	case v.State == chooseUnselected:
		return g.State == targets.Unselected
	}
	return true
}

// choose removes from a group the parts that the view does not show. It reports whether anything is left.
func (v view) choose(g *group) bool {
	if !v.wants(g) {
		return false
	}
	if !v.Active() {
		return true
	}
	found, here := false, v.missing(g.head())
	for _, j := range g.Jobs {
		there := missing(here, strings.ToLower(j.Name))
		if len(there) > 0 || v.health() {
			j.targets = slices.DeleteFunc(j.targets, func(s scrape.Status) bool { return !v.chooseTarget(s, there) })
		}
		if len(there) > 0 {
			j.dropped = slices.DeleteFunc(slices.Clone(j.dropped), func(d targets.Dropped) bool { return len(missing(there, textOfDropped(d))) > 0 })
		}
		if v.State == chooseDropped {
			j.targets = nil
		}
		if v.health() {
			j.dropped = nil
		}
		found = found || len(j.targets) > 0 || len(j.dropped) > 0 || len(there) == 0 && !v.health() && v.State != chooseDropped
	}
	return found || len(here) == 0 && !v.health() && v.State != chooseDropped
}

// health reports whether the view chooses targets by their health.
func (v view) health() bool {
	return !slices.Contains([]string{"", chooseRejected, chooseEmpty, chooseDropped, chooseUnselected}, v.State)
}

func (v view) chooseTarget(s scrape.Status, words []string) bool {
	if v.health() && v.State != string(s.Health) {
		return false
	}
	if len(words) == 0 {
		return true
	}
	// Discovered labels come last because they are built again for each search.
	words = missing(words, strings.ToLower(s.Target.ShownURL()+" "+s.Error+" "+textOf(s.Target.Public())))
	return len(words) == 0 || len(missing(words, strings.ToLower(textOf(targets.ShownLabels(s.Target.Discovered()))))) == 0
}

// missing returns the words of the filter that a text does not hold.
func (v view) missing(text string) []string { return missing(v.words, text) }

// missing returns the words that a text does not hold.
func missing(words []string, text string) []string {
	if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
		return words
	}
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(text, w) })
}

// textOf writes labels as the page shows them.
func textOf(ls labels.Labels) string {
	var b strings.Builder
	ls.Range(func(l labels.Label) { b.WriteString(l.Name + `="` + l.Value + `" `) })
	return b.String()
}

func textOfDropped(d targets.Dropped) string {
	return strings.ToLower(d.Reason + " " + textOf(labels.FromMap(d.Discovered)))
}
