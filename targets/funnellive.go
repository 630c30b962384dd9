package targets

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// scraped says how the scrapes of a job went.
func (e Evidence) scraped(j *JobStatus, live []*Target, scrapes []Scraped) Step {
	out := Step{Name: StepScraped, Outcome: OutcomeOK}
	if e.Live.Scrapes == nil {
		out.Outcome, out.Text = OutcomeWaiting, notKnown
		return out
	}
	errs, waiting := map[string][]Scraped{}, len(live)-len(scrapes)
	up, down := 0, 0
	for _, s := range scrapes {
		switch s.Health {
		case "up":
			up++
		case "down":
			down++
			key := strings.ReplaceAll(s.Error, s.Target.URL, "")
			errs[key] = append(errs[key], s)
		default:
			waiting++
		}
	}
	kinds := sortedKeys(errs)
	slices.SortStableFunc(kinds, func(a, b string) int { return len(errs[b]) - len(errs[a]) })
	for i, k := range kinds {
		first := slices.MinFunc(errs[k], func(a, b Scraped) int { return strings.Compare(a.Target.URL, b.Target.URL) })
		if i == 0 {
			out.Outcome, out.Mend = OutcomeBroken, first.Mend
			out.Text = first.Target.ShownURL() + ": " + first.Error
			if all := up + down + waiting; all > 1 {
				out.Text = fmt.Sprintf("%d of %d targets fail, such as %s", down, all, out.Text)
			}
		}
		if len(kinds) > 1 && i < 3*maxNamed {
			out.Facts = append(out.Facts, fmt.Sprintf("%s: %s: %s", counted(len(errs[k]), aTarget), first.Target.ShownURL(), first.Error))
		}
	}
	switch {
	case down > 0:
	case up == 0:
		out.Outcome, out.Text = OutcomeWaiting, "not scraped yet: the first scrape comes within "+j.Job.Config.ScrapeInterval.String()
	case waiting > 0:
		out.Text = fmt.Sprintf("%d up, %d not scraped yet", up, waiting)
	default:
		out.Text = fmt.Sprintf("%d up", up)
	}
	return out
}

// samples says what is left of the pages of a job.
func (e Evidence) samples(j *JobStatus, scrapes []Scraped) Step {
	out := Step{Name: StepSamples, Outcome: OutcomeOK}
	if e.Live.Scrapes == nil {
		out.Outcome, out.Text = OutcomeWaiting, notKnown
		return out
	}
	var sum Scraped
	up := 0
	var empty, barred, repeats []Scraped
	for _, s := range scrapes {
		if s.Health != "up" {
			continue
		}
		up++
		sum.Page, sum.Samples, sum.Repeated, sum.Future = sum.Page+s.Page, sum.Samples+s.Samples, sum.Repeated+s.Repeated, sum.Future+s.Future
		switch {
		case s.Page == 0:
			empty = append(empty, s)
		case s.Samples == 0:
			barred = append(barred, s)
		case s.Repeated >= s.Samples:
			repeats = append(repeats, s)
		}
	}
	of := func(some []Scraped) string { return some[0].Target.ShownURL() }
	broken := func(text, mend string) Step {
		return Step{Name: StepSamples, Outcome: OutcomeBroken, Text: text, Mend: mend}
	}
	switch {
	case up == 0:
		out.Outcome, out.Text = OutcomeWaiting, notReached
	case len(barred) > 0:
		return j.barred(barred[0])
	case len(empty) == up:
		return broken("the page "+of(empty)+" has no samples", "look at the page: it may be another path that has the metrics")
	case len(repeats) == up:
		return broken(fmt.Sprintf("all %d samples of %s are dropped: their series have samples of that time or a later one, from another target or an older page", repeats[0].Repeated, of(repeats)),
			"give the targets a label that tells them apart, or scrape the page once; a page with old timestamps needs honorTimestamps: false")
	default:
		out.Text = fmt.Sprintf("%d samples a scrape", sum.Samples)
		if sum.Page != sum.Samples {
			out.Text += fmt.Sprintf(" of %d on the pages", sum.Page)
		}
	}
	if up > 0 && sum.Repeated+sum.Future > 0 {
		out.Outcome = OutcomeNote
		out.Facts = append(out.Facts, fmt.Sprintf("%d samples of the last scrapes are dropped as not newer than the last one of their series, %d as too far in the future", sum.Repeated, sum.Future))
	}
	if n := len(empty); n > 0 && n < up {
		out.Outcome = OutcomeNote
		out.Facts = append(out.Facts, fmt.Sprintf("the pages of %s have no samples, such as %s", counted(n, aTarget), of(empty)))
	}
	return out
}

// barred says which rule drops all samples of a page.
func (j *JobStatus) barred(s Scraped) Step {
	out := Step{
		Name: StepSamples, Outcome: OutcomeBroken, Text: fmt.Sprintf("all %d samples of %s are dropped by metric relabelling", s.Page, s.Target.ShownURL()),
		Mend: "change the metricRelabelings of " + j.Job.Owner.String(),
	}
	if rules := j.Job.Config.MetricRelabelConfigs; s.DroppedBy >= 0 && s.DroppedBy < len(rules) {
		from := j.Job.MetricOrigin(s.DroppedBy)
		out.Text = fmt.Sprintf("all %d samples of %s are dropped, most by %s: %s", s.Page, s.Target.ShownURL(), from, DescribeRule(rules[s.DroppedBy]))
		out.Mend = fmt.Sprintf("change or remove %s of %s", from.Field, j.Job.Owner)
	}
	return out
}

// behindNote is the lag of a destination from which on a person may want to know.
const behindNote = 5 * time.Minute

// delivered says what becomes of the series of a job at the destinations.
func (e Evidence) delivered(j *JobStatus, live []*Target) Step {
	out := Step{Name: StepDelivered, Outcome: OutcomeOK}
	if e.Live.Destinations == nil {
		out.Outcome, out.Text = OutcomeWaiting, notKnown
		return out
	}
	all := e.Live.Destinations()
	if len(all) == 0 {
		return Step{StepDelivered, OutcomeBroken, "no destination is configured", "add a block remote_write to the relay's configuration", nil}
	}
	var texts []string
	for _, d := range all {
		one := d.step(live)
		if one.Outcome == OutcomeBroken && out.Outcome != OutcomeBroken {
			out.Outcome, out.Mend, texts = OutcomeBroken, one.Mend, nil
		}
		if one.Outcome == OutcomeNote && out.Outcome == OutcomeOK {
			out.Outcome = OutcomeNote
		}
		if one.Outcome == OutcomeBroken || out.Outcome != OutcomeBroken {
			texts = append(texts, one.Text)
		}
		out.Facts = append(out.Facts, one.Facts...)
	}
	out.Text = strings.Join(texts, "; ")
	return out
}

// step says what a destination does with the series of some targets.
func (d Delivered) step(live []*Target) Step {
	out := Step{Outcome: OutcomeOK}
	for _, r := range d.Refusals {
		out.Facts = append(out.Facts, d.Name+": "+r)
	}
	rule, n, example := d.drops(live)
	aside, words := d.aside(live)
	switch {
	case n == len(live) && n > 0:
		out.Outcome, out.Text = OutcomeBroken, fmt.Sprintf("write_relabel_configs[%d] of destination %s drops all its series", rule, d.Name)
		out.Mend = fmt.Sprintf("change write_relabel_configs[%d] of the remote_write %s in the relay's configuration", rule, d.Name)
		return out
	case n > 0:
		out.Facts = append(out.Facts, fmt.Sprintf("write_relabel_configs[%d] of destination %s drops the series of %s, such as %s", rule, d.Name, counted(n, aTarget), example.ShownURL()))
	}
	switch {
	case d.Error != "":
		out.Outcome, out.Text, out.Mend = OutcomeBroken, fmt.Sprintf("destination %s accepts nothing, the samples are kept: %s", d.Name, d.Error), d.Mend
	case aside > 0:
		out.Outcome, out.Text = OutcomeNote, fmt.Sprintf("destination %s refuses %d of its series, the others are delivered: %s", d.Name, aside, words)
	case d.Lag == 0:
		out.Outcome, out.Text = OutcomeWaiting, "nothing was delivered to "+d.Name+" yet"
	case d.Lag > behindNote:
		out.Outcome, out.Text = OutcomeNote, fmt.Sprintf("%s is %s behind, %d samples wait", d.Name, d.Lag.Round(time.Second), d.Behind)
	default:
		out.Text = fmt.Sprintf("delivered to %s, %s behind", d.Name, d.Lag.Round(100*time.Millisecond))
	}
	return out
}

// drops counts the targets all of whose series a destination does not get, by a rule that does not look at their names.
func (d Delivered) drops(live []*Target) (rule, n int, example *Target) {
	if d.Drops == nil {
		return 0, 0, nil
	}
	for _, t := range live {
		b := labels.NewBuilder(t.Public())
		b.Set(model.MetricNameLabel, "up")
		r, i := d.Drops(b.Labels())
		if r == nil || slices.Contains(r.SourceLabels, model.MetricNameLabel) {
			continue
		}
		rule, n, example = i, n+1, t
	}
	return rule, n, example
}

// aside counts the series of some targets that are set aside, and returns the receiver's words about one of them.
func (d Delivered) aside(live []*Target) (n int, words string) {
	for _, a := range d.Aside {
		of := func(t *Target) bool { // it has all labels of the target
			same := true
			t.Public().Range(func(l labels.Label) { same = same && a.Labels.Get(l.Name) == l.Value })
			return same
		}
		if slices.ContainsFunc(live, of) {
			n, words = n+1, a.Error
		}
	}
	return n, words
}
