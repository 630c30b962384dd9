package targets

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// Asked is what an owner of discovery knows of a job beside its JobStatus.
type Asked struct {
	// Unanswered are sentences about other service discovery that has found nothing yet.
	Unanswered []string
	// NamespacesIgnored says that monitors look for objects in their own namespace alone.
	NamespacesIgnored bool
}

// Nothing says why a job has no targets. Its Text names the object or field.
func Nothing(from Objects, j *JobStatus, a Asked) Step {
	switch {
	case len(j.Problems) > 0:
		return Step{Name: StepObjects, Outcome: OutcomeBroken, Text: "service discovery fails: " + j.Problems[0], Mend: "correct the service discovery of " + j.Job.Owner.String() + ", or what answers it"}
	case j.Elsewhere > 0:
		return Step{Name: StepTargets, Outcome: OutcomeNote, Text: whyElsewhere(j.Elsewhere)}
	case len(j.Dropped) > 0:
		return ofDrops(from, j)
	}
	var all []Step
	if slices.ContainsFunc(j.Job.Static, func(g *targetgroup.Group) bool { return len(g.Targets) == 0 }) {
		all = append(all, Step{Name: StepObjects, Outcome: OutcomeBroken, Text: "its static targets are an empty list", Mend: "give " + j.Job.Owner.String() + " targets"})
	}
	for _, sd := range j.Job.Discoveries {
		all = append(all, findNothing(from, j.Job, sd, a.NamespacesIgnored))
	}
	for _, text := range a.Unanswered {
		all = append(all, Step{Name: StepObjects, Outcome: OutcomeWaiting, Text: text})
	}
	if len(all) == 0 {
		return Step{
			Name: StepObjects, Outcome: OutcomeBroken, Text: "it names no targets: neither static ones nor any service discovery",
			Mend: "give " + j.Job.Owner.String() + " staticConfigs or a service discovery",
		}
	}
	return joined(all)
}

// namesNothing reports whether a job has neither static targets nor any service discovery.
func (j *Job) namesNothing() bool {
	return len(j.Static)+len(j.Discoveries)+len(j.Config.ServiceDiscoveryConfigs) == 0
}

// whyElsewhere says why a job of the central relay has no targets although it discovered some.
func whyElsewhere(n int) string {
	if n == 1 {
		return "a relay in node mode scrapes its only target, on the Node of that (node_mode)"
	}
	return fmt.Sprintf("relays in node mode scrape all of its %d targets, each on its own Node (node_mode)", n)
}

// SetWhy sets Why and Mend of an accepted monitor, whose jobs have theirs.
func (m *MonitorStatus) SetWhy() {
	if len(m.Jobs) == 0 {
		field := "endpoints"
		if m.Owner.Kind == PodMonitor {
			field = "podMetricsEndpoints"
		}
		none := Step{Text: "it has no " + field, Mend: "give " + m.Owner.String() + " " + field}
		none.blame(m.Owner, m.Unknown, true)
		m.Why, m.Mend = none.Text, none.Mend
		return
	}
	for i := range m.Jobs {
		if j := &m.Jobs[i]; j.Nothing.Name == StepObjects && j.Nothing.Outcome == OutcomeBroken && len(j.Problems) == 0 {
			j.Nothing.blame(m.Owner, m.Unknown, j.Job.namesNothing())
			j.Why = j.Nothing.Text
		}
	}
	var all []Step
	for i := range m.Jobs {
		if m.Jobs[i].Count > 0 {
			return
		}
		all = append(all, m.Jobs[i].Nothing)
	}
	out := joined(all)
	m.Why, m.Mend = out.Text, out.Mend
}
