package targets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxTraces is how many targets of a job an explanation holds.
const maxTraces = 100

// Evidence is what is known of a monitor, or of a block of the configuration.
type Evidence struct {
	Status  MonitorStatus
	Objects Objects
	// Targets and Drops return the targets of a job, and those that it drops.
	Targets func(job string) []*Target
	Drops   func(job string) []Drop
	Live    Live
}

// steps are all steps in their order.
var steps = [...]StepName{StepSelected, StepAccepted, StepObjects, StepEndpoints, StepTargets, StepScraped, StepSamples, StepDelivered}

// Explain says how far a monitor gets on the way to the receivers.
func (e Evidence) Explain() Explanation {
	m := &e.Status
	out := Explanation{Subject: Subject{string(m.Owner.Kind), m.Owner.Namespace, m.Owner.Name}}
	selected := Step{Name: StepSelected, Outcome: OutcomeOK, Text: "the configuration selects it"}
	accepted := Step{Name: StepAccepted, Outcome: OutcomeOK, Text: "it is valid"}
	switch m.State {
	case Unselected:
		selected = Step{StepSelected, OutcomeBroken, m.Reason, m.Mend, nil}
		accepted = Step{}
	case Rejected:
		accepted = Step{StepAccepted, OutcomeBroken, m.Reason, m.Mend, nil}
		if m.LastGood {
			accepted.Facts = []string{"its last good version is scraped until then"}
		}
	case Pending:
		accepted = Step{StepAccepted, OutcomeWaiting, m.Reason, "", nil}
	}
	out.Steps = append(out.Steps, selected, accepted)
	for i := range m.Jobs {
		out.Jobs = append(out.Jobs, e.job(&m.Jobs[i]))
	}
	if len(m.Jobs) == 0 && m.State == Accepted {
		out.Steps = append(out.Steps, Step{StepObjects, OutcomeBroken, m.Why, m.Mend, nil})
	}
	out.conclude()
	return out
}

// conclude fills in the steps that the jobs have, and the sentences.
func (x *Explanation) conclude() {
	have := x.Steps
	x.Steps = nil
	for _, name := range steps {
		var s Step
		if i := slices.IndexFunc(have, func(s Step) bool { return s.Name == name }); i >= 0 {
			s = have[i]
		} else {
			s = worst(name, x.Jobs)
		}
		if s.Text == "" {
			s.Outcome, s.Text = OutcomeWaiting, "not reached"
		}
		x.Steps = append(x.Steps, s)
	}
	x.Outcome = OutcomeOK
	if i := firstNotFine(x.Steps); i >= 0 {
		s := x.Steps[i]
		x.Outcome, x.Summary, x.Mend = s.Outcome, s.Text, s.Mend
		return
	}
	x.Summary = x.wellSaid()
}

// firstNotFine is the first broken step, else the first that waits, else -1.
func firstNotFine(all []Step) int {
	if i := slices.IndexFunc(all, func(s Step) bool { return s.Outcome == OutcomeBroken }); i >= 0 {
		return i
	}
	return slices.IndexFunc(all, func(s Step) bool { return s.Outcome == OutcomeWaiting && s.Text != notKnown })
}

// notKnown is the Text of steps that only a running relay knows.
const notKnown = "not known here: only a running relay scrapes"

// wellSaid is the summary if nothing is broken.
func (x *Explanation) wellSaid() string {
	var texts []string
	for _, s := range x.Steps {
		switch s.Name {
		case StepTargets, StepScraped, StepSamples, StepDelivered:
			if s.Text != notKnown {
				texts = append(texts, s.Text)
			}
		}
	}
	return strings.Join(texts, "; ")
}

// worst is a step of all jobs: that of the jobs where it went worst.
func worst(name StepName, jobs []JobExplanation) Step {
	rank := []Outcome{OutcomeBroken, OutcomeWaiting, OutcomeNote, OutcomeOK}
	var all []Step
	for _, j := range jobs {
		for _, s := range j.Steps {
			if s.Name == name {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		return Step{Name: name}
	}
	lead := slices.MinFunc(all, func(a, b Step) int { return cmp.Compare(slices.Index(rank, a.Outcome), slices.Index(rank, b.Outcome)) })
	return joined(slices.DeleteFunc(all, func(s Step) bool { return s.Outcome != lead.Outcome || s.Text == notReached && lead.Text != notReached }))
}

// notReached is the Text of steps after a broken one.
const notReached = "not reached"

// job explains one job.
func (e Evidence) job(j *JobStatus) JobExplanation {
	out := JobExplanation{Job: j.Job.Name}
	var scrapes []Scraped
	if e.Live.Scrapes != nil {
		scrapes = e.Live.Scrapes(j.Job.Name)
	}
	live := e.Targets(j.Job.Name)
	if j.Nothing.Text != "" {
		out.add(Step{Name: StepObjects, Outcome: OutcomeOK, Text: "objects match"}, j.Nothing.Name)
		out.add(Step{Name: StepEndpoints, Outcome: OutcomeOK, Text: fmt.Sprintf("%s discovered", counted(len(j.Dropped), aTarget))}, j.Nothing.Name)
		out.Steps = append(out.Steps, j.Nothing)
	} else {
		out.Steps = append(out.Steps,
			e.matched(j), Step{Name: StepEndpoints, Outcome: OutcomeOK, Text: fmt.Sprintf("%s discovered", counted(len(live)+len(j.Dropped), aTarget))},
			Step{Name: StepTargets, Outcome: OutcomeOK, Text: kept(len(live), j.Dropped), Facts: slices.Concat(dropFacts(j.Dropped), j.Notes)})
		out.Steps = append(out.Steps, e.scraped(j, live, scrapes), e.samples(j, scrapes), e.delivered(j, live))
	}
	for _, name := range steps[2:] {
		if !slices.ContainsFunc(out.Steps, func(s Step) bool { return s.Name == name }) {
			later := Step{Name: name, Outcome: OutcomeWaiting, Text: notReached}
			if j.Nothing.Outcome == OutcomeNote {
				later = Step{Name: name, Outcome: OutcomeNote, Text: "the relays in node mode know"}
			}
			out.Steps = append(out.Steps, later)
		}
	}
	out.trace(j.Job, live, e.Drops(j.Job.Name), scrapes)
	return out
}

var aTarget = [2]string{"target", "targets"}

// add adds a step that comes before the broken one.
func (x *JobExplanation) add(s Step, broken StepName) {
	if slices.Index(steps[:], s.Name) < slices.Index(steps[:], broken) {
		x.Steps = append(x.Steps, s)
	}
}

// kept says how many targets are scraped, and how many are dropped.
func kept(n int, dropped []Dropped) string {
	text := counted(n, aTarget)
	if n == 1 {
		text += " is scraped"
	} else {
		text += " are scraped"
	}
	if len(dropped) > 0 {
		text += fmt.Sprintf(", %d dropped", len(dropped))
	}
	return text
}

// matched says how many objects a job with targets selects.
func (e Evidence) matched(j *JobStatus) Step {
	out := Step{Name: StepObjects, Outcome: OutcomeOK}
	var texts []string
	for _, sd := range j.Job.Discoveries {
		selectors, err := sd.Selectors.ByRole()
		if err != nil {
			continue
		}
		s := &search{Objects: e.Objects, job: j.Job, sd: sd, selectors: selectors}
		f := s.objects()
		text := fmt.Sprintf("%s %s", counted(len(f.match), kindsOf[sd.Role]), s.where())
		if sel := s.selector(); sel != "" {
			verb := " match "
			if len(f.match) == 1 {
				verb = " matches "
			}
			text += verb + sel
		}
		texts = append(texts, text)
		for _, o := range f.match[:min(len(f.match), 3*maxNamed)] {
			out.Facts = append(out.Facts, kindsOf[sd.Role][0]+" "+keyOf(o))
		}
	}
	if len(j.Job.Static) > 0 {
		texts = append(texts, "static targets")
	}
	for _, sd := range j.Job.Config.ServiceDiscoveryConfigs {
		texts = append(texts, sd.Name()+"_sd_configs")
	}
	out.Text = strings.Join(texts, "; ")
	return out
}
