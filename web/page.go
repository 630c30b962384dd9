package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"promrelay/scrape"
	"promrelay/targets"
)

// Bounds of the page, so that 10,000 targets need less than 1 MB of HTML. A link leads to the rest.
const (
	groupsPerPage     = 1200
	unselectedPerPage = 500
	rowsPerPage       = 200 // targets of all groups that are open because a person should look at them
	rowsPerJob        = 20  // targets of a job, and dropped ones, in such a group
	rowsOpened        = 200 // in a group that a person opened
	rowsOfOpened      = 600 // in all groups that a person opened
	rowsAlone         = 500 // of a job that has the page to itself
)

// page is what targets.html shows.
type page struct {
	Now         time.Time
	View        view
	Troubled    []destination // that are not up
	Samples     int           // on the last pages of all targets
	Monitors    int           // in Groups before the filter
	Views       []chip
	Chips       []chip
	Groups      []*group
	MoreGroups  int
	Nowhere     int // monitors without targets, which a view by node has no place for
	Unselected  []*group
	MoreSkipped int  // of Unselected
	NotKnown    bool // some objects were not read yet

	counts     map[string]int // by the choice of a chip
	rows       int            // left for groups that nobody has opened
	rowsOpened int            // left for groups that a person opened
}

// chip shows a count. A click shows only the counted items.
type chip struct {
	Words, Class, Address string
	On                    bool
}

// chips are the chips of the page, the worst first. A chip with always is shown even if its count is 0.
var chips = []struct {
	choice, words, class string
	always               bool
}{
	{choice: chooseRejected, words: "rejected", class: "down"},
	{choice: string(scrape.HealthDown), words: "down", class: "down", always: true},
	{choice: chooseEmpty, words: "without targets", class: "waiting"},
	{choice: string(scrape.HealthUnknown), words: "not scraped yet", class: "waiting"},
	{choice: string(scrape.HealthUp), words: "up", class: "up", always: true},
	{choice: chooseDropped, words: "dropped"},
	{choice: chooseUnselected, words: "not selected"},
}

func (s *Server) targetsPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	p := newPage(src, newView(r), time.Now())
	s.show(w, src, content{file: "targets.html", title: p.Title(), active: "targets", body: p})
}

// Title is the heading of the page.
func (p *page) Title() string {
	switch {
	case p.View.Job != "":
		return "Job " + p.View.Job
	case p.View.Monitor != "" && p.View.By != "":
		_, name, _ := strings.Cut(p.View.Monitor, "/")
		return strings.ToUpper(p.View.By[:1]) + p.View.By[1:] + " " + name
	case p.View.Monitor != "":
		return "One monitor"
	}
	return "Targets"
}

// newPage builds the page of a view.
func newPage(src *Sources, v view, now time.Time) *page {
	p := &page{View: v, Now: now, NotKnown: src.Known != nil && !src.Known(), counts: map[string]int{}, rows: rowsPerPage, rowsOpened: rowsOfOpened}
	for _, d := range src.Destinations.Statuses() {
		if d := newDestination(d, now); d.Class != "up" {
			p.Troubled = append(p.Troubled, d)
		}
	}
	for _, m := range src.Monitors.Monitors() {
		g := newGroup(src, m, v.Job)
		p.count(g)
		switch chosen := v.choose(g); {
		case !chosen || v.Job != "" && len(g.Jobs) == 0:
		case m.State == targets.Unselected:
			p.Unselected = append(p.Unselected, g)
		default:
			p.Groups = append(p.Groups, g)
		}
	}
	p.regroup()
	slices.SortStableFunc(p.Groups, func(a, b *group) int { return a.rank() - b.rank() })
	p.Groups, p.MoreGroups = atMost(p.Groups, groupsPerPage)
	p.Unselected, p.MoreSkipped = atMost(p.Unselected, unselectedPerPage)
	for _, g := range p.Groups {
		p.fill(g)
	}
	p.addChips()
	p.addViews()
	return p
}

// count adds a group to the totals.
func (p *page) count(g *group) {
	if g.State == targets.Unselected {
		p.counts[chooseUnselected]++
	} else {
		p.Monitors++
	}
	if g.State == targets.Rejected {
		p.counts[chooseRejected]++
	}
	if g.Empty() {
		p.counts[chooseEmpty]++
	}
	p.counts[string(scrape.HealthUp)] += g.Up
	p.counts[string(scrape.HealthDown)] += g.Down
	p.counts[string(scrape.HealthUnknown)] += g.Unknown
	p.counts[chooseDropped] += g.Dropped
	p.Samples += g.samples
}

func (p *page) addChips() {
	for _, c := range chips {
		on := p.View.State == c.choice
		if n := p.counts[c.choice]; n > 0 || on || c.always {
			one := chip{Words: thousands(n) + " " + c.words, Class: c.class, On: on}
			if n == 0 {
				one.Class = ""
			}
			choice := c.choice
			if on { // a second click shows everything again
				choice = ""
			}
			one.Address = address("by", p.View.By, "filter", p.View.Filter, "state", choice)
			p.Chips = append(p.Chips, one)
		}
	}
}

// fill gives a group as many rows as the page has left.
func (p *page) fill(g *group) {
	v := p.View
	switch opened := slices.Contains(v.open, g.Key); {
	case v.Job != "":
		g.fill(p, rowsAlone, new(rowsAlone))
	case v.Monitor != "":
		g.fill(p, rowsOpened, new(rowsOfOpened))
	case opened:
		g.fill(p, rowsOpened, &p.rowsOpened)
	case g.Bad() || v.Active():
		g.fill(p, rowsPerJob, &p.rows)
	}
	g.Open = g.Filled
}
