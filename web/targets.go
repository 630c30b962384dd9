package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/scrape"
	"promrelay/targets"
)

// group is a monitor, or a block of the configuration.
type group struct {
	targets.MonitorStatus        // its Reason also says why there are no targets
	Key                   string // identifies it in requests
	Title, Kind           string
	Jobs                  []*job
	Up, Down              int
	Unknown               int
	Dropped               int
	Notices               []notice // of monitors, in views by something else
	By                    string   // of the view; empty for by monitor
	Filled                bool     // its jobs have their rows
	Open                  bool

	samples int
}

// job is a job of a group. targets and dropped hold what the view selects; fill makes rows from them.
type job struct {
	targets.JobStatus
	Name, Interval string

	Targets     []row
	From        int // targets that are skipped before Targets
	MoreTargets int
	Dropped     []dropped
	AllDropped  int
	MoreDropped int
	Gone        bool // the request names a target that is not there

	targets []scrape.Status
	dropped []targets.Dropped
}

// row is a target.
type row struct {
	ID         string // identifies it within its job in requests
	URL        string
	Health     scrape.Health
	Labels     []labels.Label
	Discovered []labels.Label // nil if the request does not name the target
	LastScrape time.Time
	Ago        string
	Took       string
	Scraped    bool
	Samples    int
	Series     int
	Error      string
}

// Class is the CSS class of the target's state.
func (r row) Class() string {
	switch r.Health {
	case scrape.HealthUp:
		return "up"
	case scrape.HealthDown:
		return "down"
	}
	return "waiting"
}

// dropped is a target that a job's rules drop.
type dropped struct {
	ID         string
	Name       string
	Reason     string
	Discovered []labels.Label // nil if the request does not name the target
}

// Empty reports whether the monitor is accepted and has no targets.
func (g *group) Empty() bool {
	elsewhere := slices.ContainsFunc(g.Jobs, func(j *job) bool { return j.Elsewhere > 0 })
	return g.State == targets.Accepted && g.Up+g.Down+g.Unknown == 0 && !elsewhere
}

// Bad reports whether a person should look at the group.
func (g *group) Bad() bool { return g.rank() < rankFine }

// Ranks of groups, the worst first.
const (
	rankRejected = iota
	rankDown
	rankEmpty
	rankFine
)

func (g *group) rank() int {
	switch {
	case g.State == targets.Rejected:
		return rankRejected
	case slices.ContainsFunc(g.Notices, func(n notice) bool { return n.Class == "down" }):
		return rankRejected
	case g.Down > 0 || slices.ContainsFunc(g.Jobs, func(j *job) bool { return len(j.Problems) > 0 }):
		return rankDown
	case g.Empty() || g.State == targets.Pending || len(g.Notices) > 0:
		return rankEmpty
	}
	return rankFine
}

// Class is the CSS class of the group.
func (g *group) Class() string {
	switch g.rank() {
	case rankRejected, rankDown:
		return "down"
	case rankEmpty:
		return "waiting"
	}
	return "up"
}

// Targets is the number of targets of all jobs.
func (g *group) Targets() int { return g.Up + g.Down + g.Unknown }

// head is the text of a group without its targets, for filters.
func (g *group) head() string {
	words := []string{g.Title, g.Kind, string(g.State), g.Reason}
	for _, j := range g.Jobs {
		words = append(append(words, j.Problems...), j.Notes...)
	}
	return strings.ToLower(strings.Join(words, " "))
}

// newGroup returns a monitor without rows. If only is not empty, it has that job alone.
func newGroup(src *Sources, m targets.MonitorStatus, only string) *group {
	g := &group{MonitorStatus: m, Title: m.Owner.Name, Kind: string(m.Owner.Kind)}
	g.Key = g.Kind + "/" + m.Owner.Namespace + "/" + m.Owner.Name
	switch {
	case m.Owner.Namespace != "":
		g.Title = m.Owner.Namespace + "/" + m.Owner.Name
	case m.Owner.Kind == targets.NodesBlock:
		g.Title, g.Kind = "Node jobs", "nodes block"
	case m.Owner.Kind == targets.AnnotationsBlock:
		g.Title, g.Kind = "Annotated Services and Pods", "annotations block"
	case m.Owner.Kind == targets.ScrapeConfigBlock:
		g.Kind = "scrape_config"
	}
	for _, s := range m.Jobs {
		if only != "" && only != s.Job.Name {
			continue
		}
		j := &job{
			JobStatus: s, Name: s.Job.Name, Interval: s.Job.Config.ScrapeInterval.String(),
			targets: src.Targets.Statuses(s.Job.Name), dropped: s.Dropped, AllDropped: len(s.Dropped),
		}
		for _, t := range j.targets {
			g.countTarget(t)
		}
		if s.Why != "" && len(j.targets) == 0 && len(m.Jobs) > 1 {
			j.Notes = append(slices.Clip(j.Notes), j.Name+" has no targets: "+s.Why)
		}
		g.Dropped += len(s.Dropped)
		g.Jobs = append(g.Jobs, j)
	}
	if g.Reason == "" && g.Targets() == 0 && m.Why != "" {
		g.Reason = "No targets: " + m.Why
	}
	return g
}

func (g *group) countTarget(t scrape.Status) {
	g.samples += t.Samples
	switch t.Health {
	case scrape.HealthUp:
		g.Up++
	case scrape.HealthDown:
		g.Down++
	default:
		g.Unknown++
	}
}

// fill makes the rows of the jobs: at most `each` for one job, and at most `left` for all jobs. It makes none if left is
// 0.
func (g *group) fill(p *page, each int, left *int) {
	if *left <= 0 && len(g.Jobs) > 0 {
		return
	}
	g.Filled = true
	for _, j := range g.Jobs {
		j.fill(p, min(each, max(*left, 0)))
		*left -= len(j.Targets) + len(j.Dropped)
	}
}

func (j *job) fill(p *page, maxRows int) {
	slices.SortFunc(j.targets, func(a, b scrape.Status) int {
		return cmp.Or(cmp.Compare(rank(a.Health), rank(b.Health)), cmp.Compare(a.Target.URL, b.Target.URL), labels.Compare(a.Target.Labels, b.Target.Labels))
	})
	if id := p.View.Target; id != "" {
		j.targets = slices.DeleteFunc(j.targets, func(s scrape.Status) bool { return idOf(s.Target) != id })
		j.dropped = slices.DeleteFunc(slices.Clone(j.dropped), func(d targets.Dropped) bool { return idOfDropped(d) != id })
		j.Gone = len(j.targets)+len(j.dropped) == 0
	}
	j.From = min(p.View.From, len(j.targets))
	shown := j.targets[j.From:]
	shown, j.MoreTargets = atMost(shown, maxRows)
	for _, s := range shown {
		r := row{
			ID: idOf(s.Target), URL: clip(s.Target.ShownURL()), Health: s.Health, Labels: list(s.Target.Public()), LastScrape: s.LastScrape,
			Ago: before(p.Now, s.LastScrape), Took: seconds(s.Duration), Scraped: !s.LastScrape.IsZero(),
			Samples: s.Samples, Series: s.Series, Error: clip(s.Error),
		}
		if p.View.Target != "" {
			r.Discovered = list(targets.ShownLabels(s.Target.Discovered()))
		}
		j.Targets = append(j.Targets, r)
	}
	j.AllDropped = len(j.dropped)
	some, more := atMost(j.dropped, max(maxRows/4, 1))
	j.MoreDropped = more
	for _, d := range some {
		r := dropped{ID: idOfDropped(d), Name: clip(describe(d.Discovered)), Reason: clip(d.Reason)}
		if p.View.Target != "" {
			r.Discovered = list(labels.FromMap(d.Discovered))
		}
		j.Dropped = append(j.Dropped, r)
	}
}

// Any reports whether the job has anything to show.
func (j *job) Any() bool { return len(j.Targets)+len(j.Dropped)+j.From+j.MoreTargets+j.MoreDropped > 0 }

// Next is how many targets the next page skips.
func (j *job) Next() string { return strconv.Itoa(j.From + len(j.Targets)) }

// Shown says which targets of the job are on the page.
func (j *job) Shown() string {
	return fmt.Sprintf("Targets %s to %s of %s", thousands(j.From+1), thousands(j.From+len(j.Targets)), thousands(len(j.targets)))
}

func idOf(t *targets.Target) string { return strconv.FormatUint(t.Hash, 36) }

func idOfDropped(d targets.Dropped) string {
	return "d" + strconv.FormatUint(labels.FromMap(d.Discovered).Hash(), 36)
}

// rank orders targets: those that a person should look at come first.
func rank(h scrape.Health) int {
	return slices.Index([]scrape.Health{scrape.HealthDown, scrape.HealthUnknown, scrape.HealthUp}, h)
}

func list(ls labels.Labels) (out []labels.Label) {
	ls.Range(func(l labels.Label) { out = append(out, labels.Label{Name: clip(l.Name), Value: clip(l.Value)}) })
	return out
}

// describe names a dropped target by its discovered labels: object, port and address.
func describe(discovered map[string]string) string {
	const meta = model.MetaLabelPrefix + "kubernetes_"
	var words []string
	for _, name := range []string{"service_name", "pod_name", "node_name", "ingress_name", "pod_container_name", "endpointslice_port_name", "endpoint_port_name"} {
		if v := discovered[meta+name]; v != "" {
			words = append(words, strings.TrimSuffix(strings.ReplaceAll(name, "_", " "), " name")+" "+v)
		}
	}
	if a := discovered[model.AddressLabel]; a != "" {
		words = append(words, a)
	}
	return strings.Join(words, ", ")
}
