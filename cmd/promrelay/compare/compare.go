// Package compare says what differs between the targets of a Prometheus and those of the relay, and between the series that the two write.
//
// Promises: a target of one side is the counterpart of at most one of the other; what a dashboard can show (labels, and with them series)
// counts before names of jobs, which no series bears. Not promised: that both sides were asked in the same moment.
package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"promrelay/config/redact"
)

// Target is a target that one side scrapes.
type Target struct {
	Pool       string            `json:"scrapePool"` // name of the job in the configuration
	URL        string            `json:"scrapeUrl"`
	Labels     map[string]string `json:"labels"`
	Discovered map[string]string `json:"discoveredLabels"`
	Interval   string            `json:"scrapeInterval"` // empty if the side does not say (vmagent)
	Timeout    string            `json:"scrapeTimeout"`  // likewise
	Health     string            `json:"health"`         // up, down or unknown; empty if nothing is scraped
	Error      string            `json:"lastError"`      // of the last scrape
}

// Monitor is a monitor, or a block of the configuration, as the relay sees it.
type Monitor struct {
	Reason   string // why it is rejected, or has no targets
	Rejected bool
	Pools    []string // its jobs
}

// Relay is what the relay scrapes, or would scrape.
type Relay struct {
	Targets  []Target
	Monitors map[string]Monitor // by owner: kind/namespace/name
	Dropped  []Dropped
}

// Dropped is a target that the relay drops.
type Dropped struct {
	Pool, Reason string
	Discovered   map[string]string
}

// The kinds of differences.
const (
	Missing  = "missing"  // only Prometheus has the target
	Extra    = "extra"    // only the relay has it
	Labels   = "labels"   // both have it, with other labels: other series
	URL      = "url"      // both have it, at another URL
	Interval = "interval" // both have it, with another interval or timeout
	Down     = "down"     // both have it; it is up at Prometheus, and down at the relay
	Series   = "series"   // the receiver lacks series of the relay, or has others
	Samples  = "samples"  // the receiver has another number of samples
)

// Kinds are all kinds of differences, in the order in which they are shown.
var Kinds = []string{Missing, Labels, Down, URL, Interval, Extra, Series, Samples}

// Difference is one thing that differs, for one or more targets of a job.
type Difference struct {
	Kind string `json:"kind"`
	Job  string `json:"job"`
	// Text says what differs and, where it is known, why.
	Text    string   `json:"text"`
	Targets []string `json:"targets,omitempty"` // URLs
}

// Result is a comparison.
type Result struct {
	Prometheus  int          `json:"prometheusTargets"`
	Relay       int          `json:"relayTargets"`
	Same        int          `json:"sameTargets"` // those with the same labels, URL, interval and timeout
	Differences []Difference `json:"differences"`
	Series      []JobSeries  `json:"series,omitempty"`
}

// of returns the differences of a kind.
func (r *Result) of(kind string) (out []Difference) {
	for _, d := range r.Differences {
		if d.Kind == kind {
			out = append(out, d)
		}
	}
	return out
}

// Has reports whether there is a difference of one of the kinds.
func (r *Result) Has(kinds []string) bool {
	return slices.ContainsFunc(r.Differences, func(d Difference) bool { return slices.Contains(kinds, d.Kind) })
}

// add adds a difference of a target, to that of another target of the job if the two are the same.
func (r *Result) add(kind, job, text, target string) {
	for i, d := range r.Differences {
		if d.Kind == kind && d.Job == job && d.Text == text {
			r.Differences[i].Targets = append(d.Targets, target)
			return
		}
	}
	r.Differences = append(r.Differences, Difference{kind, job, text, []string{target}})
}

// Merged are the targets of several Prometheus servers, which are shards or replicas: what several have counts once.
func Merged(servers ...[]Target) (out []Target) {
	seen := map[string]bool{}
	for _, targets := range servers {
		for _, t := range targets {
			if key := t.Pool + "\n" + t.series() + "\n" + t.at(); !seen[key] {
				seen[key] = true
				out = append(out, t)
			}
		}
	}
	return out
}

// series is what names the series of the target.
func (t Target) series() string { return labelText(t.Labels) }

func labelText(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "%s=%q,", name, labels[name])
	}
	return b.String()
}

// at is the URL as the relay shows it.
func (t Target) at() string { return redact.URL(t.URL) }

// likeness is a way in which two targets are alike.
type likeness func(Target) string

// likenesses are tried in turn: the first that holds makes two targets counterparts.
var likenesses = []likeness{
	func(t Target) string { return t.series() + "\n" + t.at() + "\n" + t.Pool },
	func(t Target) string { return t.series() + "\n" + t.at() },
	func(t Target) string { return t.at() + "\n" + t.Pool },
	func(t Target) string { return t.at() },
	func(t Target) string { return t.series() },
}

// Targets compares the targets of Prometheus with those of the relay.
func Targets(prometheus []Target, relay Relay) *Result {
	r := &Result{Prometheus: len(prometheus), Relay: len(relay.Targets), Differences: []Difference{}}
	theirs, ours := slices.Clone(prometheus), slices.Clone(relay.Targets)
	for _, like := range likenesses {
		theirs, ours = r.pair(theirs, ours, like)
	}
	w := why{prometheus: prometheus, relay: relay}
	for _, t := range theirs {
		r.add(Missing, t.Pool, w.missing(t), t.at())
	}
	for _, t := range ours {
		r.add(Extra, t.Pool, w.extra(t), t.at())
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(slices.Index(Kinds, a.Kind), slices.Index(Kinds, b.Kind)), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Text, b.Text))
	})
	return r
}

// pair takes out the targets that have a counterpart, and notes what differs between the two.
func (r *Result) pair(theirs, ours []Target, like likeness) (restTheirs, restOurs []Target) {
	by := map[string][]Target{}
	for _, t := range ours {
		by[like(t)] = append(by[like(t)], t)
	}
	for _, t := range theirs {
		key := like(t)
		if len(by[key]) == 0 {
			restTheirs = append(restTheirs, t)
			continue
		}
		r.both(t, by[key][0])
		by[key] = by[key][1:]
	}
	for _, t := range ours { // in their order
		if left := by[like(t)]; len(left) > 0 {
			restOurs = append(restOurs, left[0])
			by[like(t)] = left[1:]
		}
	}
	return restTheirs, restOurs
}

// both notes what differs between a target and its counterpart.
func (r *Result) both(theirs, ours Target) {
	same := true
	add := func(kind, text string) {
		same = false
		r.add(kind, theirs.Pool, text, theirs.at())
	}
	if text := labelDifference(theirs.Labels, ours.Labels); text != "" {
		add(Labels, text)
	}
	if theirs.at() != ours.at() {
		add(URL, "at the relay "+ours.at())
	}
	var times []string
	for _, t := range []struct{ what, theirs, ours string }{{"interval", theirs.Interval, ours.Interval}, {"timeout", theirs.Timeout, ours.Timeout}} {
		if t.theirs != "" && t.ours != "" && t.theirs != t.ours {
			times = append(times, fmt.Sprintf("%s %s at Prometheus, %s at the relay", t.what, t.theirs, t.ours))
		}
	}
	if len(times) > 0 {
		add(Interval, strings.Join(times, "; "))
	}
	if theirs.Health == "up" && ours.Health == "down" {
		add(Down, ours.Error)
	}
	if same {
		r.Same++
	}
}

// labelDifference names the labels that differ. It leaves out values that differ from target to target where the label is on one side only,
// so that targets with the same cause are shown together.
func labelDifference(theirs, ours map[string]string) string {
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, has := theirs[name]
		b, have := ours[name]
		switch {
		case has && !have:
			out = append(out, "without label "+name)
		case have && !has:
			out = append(out, "with the additional label "+name)
		case a != b:
			out = append(out, fmt.Sprintf("label %s is %q instead of %q", name, b, a))
		}
	}
	return strings.Join(out, "; ")
}
