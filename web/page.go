package web

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"promrelay/scrape"
	"promrelay/targets"
)

//go:embed targets.html page.css page.js
var pageFiles embed.FS

var targetsTemplate = template.Must(template.New("targets.html").Funcs(template.FuncMap{
	"seconds": seconds, "thousands": thousands, "count": count, "none": func() string { return none }, "address": address,
}).ParseFS(pageFiles, "targets.html"))

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

// Refused is a version of the configuration file that was refused.
type Refused struct {
	At    time.Time
	Error string
}

// page is what targets.html shows.
type page struct {
	Version      string
	Now          time.Time
	View         view
	Refused      *Refused // nil: the file is in force
	Problems     []string
	Destinations []destination
	Samples      int // on the last pages of all targets
	Monitors     int // in Groups before the filter
	Chips        []chip
	Groups       []*group
	MoreGroups   int
	Unselected   []*group
	MoreSkipped  int  // of Unselected
	NotKnown     bool // some objects were not read yet

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
	p.Version = s.options.Version
	if src.Refused != nil {
		p.Refused = src.Refused()
	}
	var b bytes.Buffer
	if err := targetsTemplate.Execute(&b, p); err != nil {
		s.log.Error("the page of targets cannot be made", zap.NamedError("err", err))
		say(w, http.StatusInternalServerError, "show targets: "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

// file serves a file that the page loads. A browser asks for it each time, and gets it again only if it has changed.
func file(name, contentType string) http.HandlerFunc {
	text, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := fnv.New64a()
	_, _ = sum.Write(text) // it has no error
	tag := fmt.Sprintf("%q", strconv.FormatUint(sum.Sum64(), 36))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	}
}

// newPage builds the page of a view.
func newPage(src *Sources, v view, now time.Time) *page {
	p := &page{View: v, Now: now, NotKnown: src.Known != nil && !src.Known(), counts: map[string]int{}, rows: rowsPerPage, rowsOpened: rowsOfOpened}
	if src.Problems != nil {
		p.Problems = src.Problems()
	}
	off := src.Monitors.Off()
	for _, name := range slices.Sorted(maps.Keys(off)) {
		p.Problems = append(p.Problems, name+": "+off[name])
	}
	for _, d := range src.Destinations.Statuses() {
		p.Destinations = append(p.Destinations, newDestination(d, now))
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
	slices.SortStableFunc(p.Groups, func(a, b *group) int { return a.rank() - b.rank() })
	p.Groups, p.MoreGroups = atMost(p.Groups, groupsPerPage)
	p.Unselected, p.MoreSkipped = atMost(p.Unselected, unselectedPerPage)
	for _, g := range p.Groups {
		p.fill(g)
	}
	p.addChips()
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
			one.Address = address("filter", p.View.Filter, "state", choice)
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

// atMost returns the first n items of a list, and how many more there are.
func atMost[T any](list []T, n int) (some []T, more int) {
	if len(list) <= n {
		return list, 0
	}
	return list[:n], len(list) - n
}
