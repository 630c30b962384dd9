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

// Bounds of the page of service discovery.
const (
	discoveredJobs = 1000 // jobs in the list
	discoveredRows = 40   // targets of one job, of which each may have a hundred labels
)

// discoveryPage is what service-discovery.html shows: the list of jobs, or the discovered targets of one.
type discoveryPage struct {
	Filter   string
	Jobs     []discoveredJob
	MoreJobs int

	Job         string // empty for the list
	OnlyDropped bool
	Choices     []chip
	Rows        []discoveredTarget
	From, All   int
	Shown       string
	Next        string // address of the next targets; empty if there are none
}

// discoveredJob is a job in the list.
type discoveredJob struct {
	Name, Monitor  string
	Address        string // of the monitor's page; empty for blocks of the configuration
	Found, Dropped int
	Why            string // why there are no targets
}

// discoveredTarget is a target before and after relabelling.
type discoveredTarget struct {
	Name       string
	URL        string
	Dropped    string // the rule or the reason; empty if it is a target
	Discovered []labels.Label
	Labels     []labels.Label // nil if it is dropped
	Debug      string         // address of the relabel debugger
}

func (s *Server) discoveryPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	q := r.URL.Query()
	p := &discoveryPage{Filter: q.Get("filter"), Job: q.Get("job"), OnlyDropped: q.Get("state") == chooseDropped}
	title := "Service discovery"
	if p.Job == "" {
		p.list(src)
	} else {
		title = "Discovered by " + p.Job
		if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 {
			p.From = n
		}
		p.fill(src)
	}
	s.show(w, src, content{file: "service-discovery.html", title: title, active: "service-discovery", body: p})
}

func (p *discoveryPage) list(src *Sources) {
	words := strings.Fields(strings.ToLower(p.Filter))
	for _, m := range src.Monitors.Monitors() {
		g := &group{MonitorStatus: m}
		for _, j := range m.Jobs {
			if len(missing(words, strings.ToLower(j.Job.Name+" "+m.Owner.String()))) == 0 {
				p.Jobs = append(p.Jobs, discoveredJob{Name: j.Job.Name, Monitor: m.Owner.String(), Address: g.Page(), Found: j.Count + len(j.Dropped), Dropped: len(j.Dropped), Why: j.Why})
			}
		}
	}
	p.Jobs, p.MoreJobs = atMost(p.Jobs, discoveredJobs)
}

// fill gives the page the targets of its job, the dropped ones last.
func (p *discoveryPage) fill(src *Sources) {
	statuses, dropped := targetsOf(src, p.Job)
	p.Choices = []chip{
		{Words: count(len(statuses)+len(dropped), "discovered target", "discovered targets"), Address: to("service-discovery", "job", p.Job), On: !p.OnlyDropped},
		{Words: thousands(len(dropped)) + " dropped", Address: to("service-discovery", "job", p.Job, "state", chooseDropped), On: p.OnlyDropped},
	}
	if p.OnlyDropped {
		statuses = nil
	}
	p.All = len(statuses) + len(dropped)
	p.From = min(p.From, p.All)
	end := min(p.From+discoveredRows, p.All)
	for i := p.From; i < end; i++ {
		if i < len(statuses) {
			p.Rows = append(p.Rows, p.target(statuses[i].Target))
			continue
		}
		d := dropped[i-len(statuses)]
		p.Rows = append(p.Rows, discoveredTarget{
			Name: clip(describe(d.Discovered)), Dropped: clip(d.Reason), Discovered: list(labels.FromMap(d.Discovered)), Debug: debugAddress(p.Job, idOfDropped(d)),
		})
	}
	p.Shown = thousands(p.From+1) + " to " + thousands(end) + " of " + thousands(p.All)
	if end < p.All {
		state := ""
		if p.OnlyDropped {
			state = chooseDropped
		}
		p.Next = to("service-discovery", "job", p.Job, "state", state, "from", strconv.Itoa(end))
	}
}

func (p *discoveryPage) target(t *targets.Target) discoveredTarget {
	found := targets.ShownLabels(t.Discovered())
	return discoveredTarget{
		Name: clip(describe(found.Map())), URL: clip(t.ShownURL()), Discovered: list(found), Labels: list(t.Public()), Debug: debugAddress(p.Job, idOf(t)),
	}
}

// targetsOf returns the targets of a job, sorted by URL, and its dropped ones.
func targetsOf(src *Sources, job string) (statuses []scrape.Status, dropped []targets.Dropped) {
	for _, m := range src.Monitors.Monitors() {
		for _, j := range m.Jobs {
			if j.Job.Name == job {
				dropped = j.Dropped
			}
		}
	}
	statuses = src.Targets.Statuses(job)
	slices.SortFunc(statuses, func(a, b scrape.Status) int {
		if c := strings.Compare(a.Target.URL, b.Target.URL); c != 0 {
			return c
		}
		return labels.Compare(a.Target.Labels, b.Target.Labels)
	})
	return statuses, dropped
}

func debugAddress(job, target string) string { return to("relabel", "job", job, "target", target) }
