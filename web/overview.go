package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"promrelay/scrape"
	"promrelay/targets"
)

// findingsShown bounds the findings of the overview.
const findingsShown = 20

// overview is what overview.html shows.
type overview struct {
	Verdict, Class        string
	Up, Targets, Monitors int
	SampleRate            float64
	Lag                   string // of the destination that is the furthest behind
	Behind                uint64 // samples, of the destination with the most
	Samples               spark
	LagLine, Backlog      spark
	WAL                   *walPage // nil if there is no log
	Findings              []finding
	MoreFindings          int
}

// finding is something that a person should look at.
type finding struct {
	Class, State        string
	Name, Kind, Address string
	Text                string
	rank                int
}

func (s *Server) overviewPage(w http.ResponseWriter, _ *http.Request, src *Sources) {
	s.show(w, src, content{file: "overview.html", title: "Overview", active: "./", body: newOverview(src, time.Now())})
}

func newOverview(src *Sources, now time.Time) *overview {
	o := &overview{Lag: none}
	var oldest int64
	for _, status := range src.Destinations.Statuses() {
		d := newDestination(status, now)
		if d.Class != "up" {
			f := finding{Class: d.Class, State: d.State, Name: "Destination " + d.Name, Address: "destinations", Text: cmp.Or(d.Error, d.Words)}
			if f.Text == "" && len(d.Refusals) > 0 {
				f.Text = d.Refusals[0].Error
			}
			o.Findings = append(o.Findings, f)
		}
		o.Behind = max(o.Behind, d.Behind)
		if d.Newest > 0 && (oldest == 0 || d.Newest < oldest) {
			oldest, o.Lag = d.Newest, d.Lag
		}
	}
	unselected, receivers := 0, len(src.Destinations.Statuses())
	for _, m := range src.Monitors.Monitors() {
		if m.State == targets.Unselected {
			unselected++
			continue
		}
		g := newGroup(src, m, "")
		o.Monitors++
		o.Up += g.Up
		o.Targets += g.Targets()
		for _, j := range g.Jobs {
			o.SampleRate += j.rate()
		}
		if f, bad := newFinding(g); bad {
			o.Findings = append(o.Findings, f)
		}
	}
	points := src.History.Points()
	o.Samples = plot("Samples a second", points, func(p Point) float64 { return p.Scraped }, rateOf)
	o.LagLine = plot("Longest lag", points, func(p Point) float64 { return worst(p, func(d DestinationPoint) float64 { return d.Lag }) }, showSeconds)
	o.Backlog = plot("Samples waiting", points, func(p Point) float64 { return worst(p, func(d DestinationPoint) float64 { return float64(d.Behind) }) }, rateOf)
	if src.WAL != nil {
		o.WAL = newWALPage(src.WAL(), points, now)
	}
	slices.SortStableFunc(o.Findings, func(a, b finding) int { return a.rank - b.rank })
	o.setVerdict(src.Known != nil && !src.Known(), unselected, receivers)
	o.Findings, o.MoreFindings = atMost(o.Findings, findingsShown)
	return o
}

// worst is the largest value of the destinations at a point.
func worst(p Point, value func(DestinationPoint) float64) (most float64) {
	for _, d := range p.Destinations {
		most = max(most, value(d))
	}
	return most
}

// rate is how many samples a second the targets of a job give.
func (j *job) rate() (rate float64) {
	for _, t := range j.targets {
		if t.Health == scrape.HealthUp && t.Target.Interval > 0 {
			rate += float64(t.Samples) / t.Target.Interval.Seconds()
		}
	}
	return rate
}

func newFinding(g *group) (f finding, bad bool) {
	f = finding{Class: g.Class(), Name: g.Title, Kind: g.Kind, Address: cmp.Or(g.Page(), address("monitor", g.Key)), Text: g.Reason, rank: g.rank()}
	switch {
	case g.State == targets.Rejected:
		f.State = "rejected"
	case g.Down > 0:
		f.State = thousands(g.Down) + " down"
		f.Text = clip(firstError(g))
	case g.Empty():
		f.State = "no targets"
	case g.State == targets.Pending:
		f.State = "waiting"
	case g.Bad():
		f.State = "problem"
		for _, j := range g.Jobs {
			if len(j.Problems) > 0 {
				f.Text = j.Problems[0]
			}
		}
	default:
		return f, false
	}
	return f, true
}

func firstError(g *group) string {
	for _, j := range g.Jobs {
		for _, t := range j.targets {
			if t.Health == scrape.HealthDown {
				return t.Error
			}
		}
	}
	return ""
}

func (o *overview) setVerdict(notKnown bool, unselected, receivers int) {
	down := 0
	for _, f := range o.Findings {
		if f.Class == "down" {
			down++
		}
	}
	switch {
	case notKnown:
		o.Verdict, o.Class = "Not all objects were read yet.", "waiting"
	case o.Monitors == 0 && unselected > 0:
		o.Verdict, o.Class = "No monitor is selected: see monitors of the configuration.", "waiting"
	case o.Monitors == 0:
		o.Verdict, o.Class = "There are no monitors and no jobs.", "waiting"
	case down > 0:
		o.Verdict, o.Class = count(down, "thing does", "things do")+" not work.", "down"
	case len(o.Findings) > 0:
		o.Verdict, o.Class = "All that is scraped is delivered; "+count(len(o.Findings), "thing needs", "things need")+" a look.", "waiting"
	case receivers == 0:
		o.Verdict, o.Class = "All targets are scraped, and there is no destination.", "waiting"
	default:
		o.Verdict, o.Class = "All targets are scraped, and all samples are delivered.", "up"
	}
}
