package web

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"promrelay/informers"
	"promrelay/scrape"
	"promrelay/targets"
)

//go:embed targets.html
var pageFiles embed.FS

var targetsTemplate = template.Must(template.New("targets.html").Funcs(template.FuncMap{
	"ago": ago, "seconds": seconds, "thousands": thousands,
}).ParseFS(pageFiles, "targets.html"))

// rowsPerJob is how many targets, and how many dropped ones, of one job the page shows unless it is asked for that job alone.
const rowsPerJob = 200

// page is what targets.html shows.
type page struct {
	Version      string
	Only         string // the job that was asked for, empty for all
	Up, Down     int
	Unknown      int
	Dropped      int
	Samples      int // on the last pages of all targets
	Rejected     int
	Problems     []string
	Destinations []destination
	Groups       []group
	Unselected   []group
	NotKnown     bool // not all objects were read yet
}

// group is a monitor, or a block of the configuration.
type group struct {
	Title, Kind string
	State       string
	Reason      string // why it is not accepted, or has no targets
	LastGood    bool   // it is rejected, and its last good version's targets are shown
	Jobs        []job
	Up, Down    int
	Unknown     int
	Dropped     int
}

// Open tells whether the page shows the group's targets at once.
func (g group) Open() bool {
	return g.Down > 0 || g.Reason != "" || slices.ContainsFunc(g.Jobs, func(j job) bool { return len(j.Problems) > 0 })
}

type job struct {
	Name        string
	Notes       []string
	Problems    []string
	Interval    string
	Targets     []row
	MoreTargets int
	Dropped     []dropped
	MoreDropped int
}

type row struct {
	URL        string
	Health     scrape.Health
	Labels     []labels.Label
	Discovered []labels.Label
	LastScrape time.Time
	Duration   time.Duration
	Samples    int
	Series     int
	Error      string
}

type dropped struct {
	Name       string
	Reason     string
	Discovered []labels.Label
}

func (s *Server) targetsPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	p := newPage(src, r.FormValue("job"), time.Now())
	p.Version = s.options.Version
	var b bytes.Buffer
	if err := targetsTemplate.Execute(&b, p); err != nil {
		s.log.Error("show targets", zap.Error(err))
		say(w, http.StatusInternalServerError, "show targets: "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b.Bytes())
}

// newPage gathers the page, of one job if only is not empty.
func newPage(src *Sources, only string, now time.Time) *page {
	p := &page{Only: only, NotKnown: src.Known != nil && !src.Known()}
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
		g := p.group(src, m)
		switch {
		case only != "" && len(g.Jobs) == 0:
		case m.State == informers.Unselected:
			p.Unselected = append(p.Unselected, g)
		default:
			p.Groups = append(p.Groups, g)
		}
		if m.State == informers.Rejected {
			p.Rejected++
		}
		p.Up, p.Down, p.Unknown, p.Dropped = p.Up+g.Up, p.Down+g.Down, p.Unknown+g.Unknown, p.Dropped+g.Dropped
	}
	return p
}

func (p *page) group(src *Sources, m informers.MonitorStatus) group {
	g := group{Title: m.Owner.Name, Kind: string(m.Owner.Kind), State: string(m.State), Reason: m.Reason, LastGood: m.LastGood}
	switch {
	case m.Owner.Namespace != "":
		g.Title = m.Owner.Namespace + "/" + m.Owner.Name
	case m.Owner.Kind == targets.NodesBlock:
		g.Title, g.Kind = "Node jobs", "nodes block"
	case m.Owner.Kind == targets.ScrapeConfigBlock:
		g.Kind = "scrape_config"
	}
	for _, j := range m.Jobs {
		if p.Only != "" && p.Only != j.Job.Name {
			continue
		}
		statuses := src.Targets.Statuses(j.Job.Name)
		for _, s := range statuses {
			p.Samples += s.Samples
			switch s.Health {
			case scrape.HealthUp:
				g.Up++
			case scrape.HealthDown:
				g.Down++
			default:
				g.Unknown++
			}
		}
		g.Dropped += len(j.Dropped)
		g.Jobs = append(g.Jobs, newJob(j, statuses, p.Only != ""))
	}
	if g.Reason == "" && g.Up+g.Down+g.Unknown == 0 && m.Why != "" {
		g.Reason = "No targets: " + m.Why
	}
	return g
}

func newJob(j informers.JobStatus, statuses []scrape.Status, all bool) job {
	if j.Why != "" && len(statuses) == 0 {
		j.Notes = append(slices.Clip(j.Notes), "no targets: "+j.Why)
	}
	out := job{Name: j.Job.Name, Notes: j.Notes, Problems: j.Problems, Interval: j.Job.Config.ScrapeInterval.String()}
	slices.SortFunc(statuses, func(a, b scrape.Status) int {
		return cmp.Or(cmp.Compare(rank(a.Health), rank(b.Health)), cmp.Compare(a.Target.URL, b.Target.URL), labels.Compare(a.Target.Labels, b.Target.Labels))
	})
	for i, s := range statuses {
		if i >= rowsPerJob && !all {
			out.MoreTargets = len(statuses) - i
			break
		}
		out.Targets = append(out.Targets, row{
			URL: s.Target.ShownURL(), Health: s.Health, Labels: list(s.Target.Public()), Discovered: list(targets.ShownLabels(s.Target.Discovered())),
			LastScrape: s.LastScrape, Duration: s.Duration, Samples: s.Samples, Series: s.Series, Error: s.Error,
		})
	}
	for i, d := range j.Dropped {
		if i >= rowsPerJob && !all {
			out.MoreDropped = len(j.Dropped) - i
			break
		}
		out.Dropped = append(out.Dropped, dropped{Name: describe(d.Discovered), Reason: d.Reason, Discovered: list(labels.FromMap(d.Discovered))})
	}
	return out
}

// rank puts first what a person should look at.
func rank(h scrape.Health) int {
	return slices.Index([]scrape.Health{scrape.HealthDown, scrape.HealthUnknown, scrape.HealthUp}, h)
}

func list(ls labels.Labels) (out []labels.Label) {
	ls.Range(func(l labels.Label) { out = append(out, l) })
	return out
}

// describe names a target by what was discovered of it: its object, port and address.
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

// ago says how long before now t was.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return seconds(time.Since(t)) + " ago"
}

// seconds writes a duration with the digits that a person reads.
func seconds(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// thousands writes a count with separators.
func thousands(n any) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u2009') // a thin space
		}
		b.WriteRune(c)
	}
	return b.String()
}
