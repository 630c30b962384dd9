package web

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"promrelay/relay"
)

// refusalNews is how long a refusal is shown in colour.
const refusalNews = time.Hour

// A destination that stores nothing is not up. Answers that refuse samples and answers that store some come in any order, so the state
// changes only after these times.
const (
	storesNothing = time.Minute      // without anything stored while the receiver refuses samples
	sendsNothing  = 10 * time.Minute // without anything stored while nothing is refused
	answersApart  = 10 * time.Second // answers closer together than this are treated as simultaneous
)

// destination is a destination as the page shows it.
type destination struct {
	relay.Status
	State, Class string
	Words        string // a sentence about the state; empty for none
	Lag          string // age of the newest stored sample; before there is one, of the first sample that waits since the start
	Dialect      string // version of remote write, if it is known
	Refusals     []refusal
	Waiting      string // bytes that wait
	CatchUp      string // how long it takes until the destination is up to date
	LastStored   string // when it stored something
	LastAnswer   string // the status of the last answer; empty if there was none
	LastAgo      string
	AsideRows    []asideRow

	LagLine, BacklogLine, RateLine spark
}

// asideRow is a series that is set aside.
type asideRow struct{ Series, Error, Since, Retry string }

// refusal is a kind of answer by which samples were not stored.
type refusal struct {
	relay.Refusal
	Reason string // for people
	Label  string // reason in promrelay_relay_dropped_samples_total; empty if that does not count it
	Count  string // of samples, in words
	Ago    string // when the last answer of the kind came
	Old    bool   // longer ago than refusalNews
}

// HasMore reports whether there is more to show than numbers.
func (d destination) HasMore() bool {
	return d.Words != "" || d.Error != "" || d.Status.Reason != "" || d.Aside > 0 || len(d.Refusals) > 0
}

func (s *Server) destinationsPage(w http.ResponseWriter, _ *http.Request, src *Sources) {
	var all []destination
	points := src.History.Points()
	for _, status := range src.Destinations.Statuses() {
		d := newDestination(status, time.Now())
		d.draw(points)
		all = append(all, d)
	}
	s.show(w, src, content{file: "destinations.html", title: "Destinations", active: "destinations", body: all})
}

func newDestination(s relay.Status, now time.Time) destination {
	d := destination{Status: s, Lag: none, Dialect: "not known yet", CatchUp: catchUp(s), LastStored: before(now, s.Stored)}
	if s.Newest > 0 {
		d.Lag = seconds(max(now.Sub(time.UnixMilli(s.Newest)), time.Millisecond))
	}
	if s.BehindBytes > 0 {
		d.Waiting = bytesOf(s.BehindBytes)
	}
	if !s.Last.At.IsZero() {
		d.LastAnswer = "no answer"
		if s.Last.Status != 0 {
			d.LastAnswer = strconv.Itoa(s.Last.Status)
		}
		d.LastAgo = before(now, s.Last.At)
	}
	for _, a := range s.AsideSeries {
		d.AsideRows = append(d.AsideRows, asideRow{a.Labels.String(), clip(a.Error), before(now, a.Since), seconds(max(a.RetryAt.Sub(now), 0))})
	}
	if s.Confirmed {
		d.Dialect = strconv.Itoa(s.Version) + ".0"
	}
	for _, r := range s.Refusals {
		d.Refusals = append(d.Refusals, newRefusal(r, now))
	}
	d.setState(now)
	return d
}

// draw adds the plots of the last hour.
func (d *destination) draw(points []Point) {
	of := func(value func(DestinationPoint) float64) func(Point) float64 {
		return func(p Point) float64 {
			for _, one := range p.Destinations {
				if one.Name == d.Name {
					return value(one)
				}
			}
			return math.NaN() // it was not there
		}
	}
	d.LagLine = plot("Lag", points, of(func(p DestinationPoint) float64 { return p.Lag }), showSeconds)
	d.BacklogLine = plot("Samples waiting", points, of(func(p DestinationPoint) float64 { return float64(p.Behind) }), rateOf)
	d.RateLine = plot("Samples a second", points, of(func(p DestinationPoint) float64 { return p.Sent }), rateOf)
}

func showSeconds(v float64) string {
	if v == 0 {
		return "0 s"
	}
	return seconds(time.Duration(v * float64(time.Second)))
}

// catchUp says how long it takes until the destination is up to date.
func catchUp(s relay.Status) string {
	switch d, ok := s.CatchUp(); {
	case s.Error != "":
		return "when it answers"
	case !ok:
		return "not at this rate"
	case d == 0:
		return "up to date"
	default:
		return seconds(d)
	}
}

func (d *destination) setState(now time.Time) {
	refuses := len(d.Refusals) > 0 && !d.Refusals[0].Old
	since := before(now, d.Stored)
	switch {
	case d.Error != "":
		d.State, d.Class = "down", "down"
	case refuses && now.Sub(d.Stored) > storesNothing && d.Refusals[0].Last.Sub(d.Stored) > answersApart:
		d.State, d.Class, d.Words = "stores nothing", "down", "The receiver refuses everything that it gets."
		if !d.Stored.IsZero() {
			d.Words = "The receiver refuses everything that it gets. It stored something for the last time " + since + "."
		}
	case d.Stored.IsZero():
		d.State, d.Class = "nothing sent", "waiting"
	case now.Sub(d.Stored) > sendsNothing:
		d.State, d.Class = "nothing sent", "waiting"
		d.Words = "Nothing was sent since " + since + ": nothing is scraped, or write_relabel_configs let nothing by."
	case refuses:
		d.State, d.Class = "refuses some", "waiting"
	default:
		d.State, d.Class = "up", "up"
	}
}

func newRefusal(r relay.Refusal, now time.Time) refusal {
	const atMost = "_at_most"
	name, bound := strings.CutSuffix(r.Reason, atMost)
	out := refusal{Refusal: r, Reason: strings.ReplaceAll(name, "_", " "), Label: name, Ago: before(now, r.Last), Old: now.Sub(r.Last) > refusalNews}
	if out.AtMost = r.AtMost || bound; out.AtMost {
		out.Label += atMost
	}
	switch {
	case r.Samples == 0:
		out.Count, out.Label = "number unknown", ""
		out.Reason = strings.TrimSuffix(out.Reason, ", "+out.Count)
	case r.Samples == 1:
		out.Count = "1 sample"
	default:
		out.Count = thousands(r.Samples) + " samples"
	}
	if out.AtMost && r.Samples > 0 {
		out.Count = "at most " + out.Count
	}
	return out
}
