package web

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/targets"
)

// monitorPage is what monitor.html shows: an explanation.
type monitorPage struct {
	targets.Explanation
	Title          string
	TargetsAddress string
	Jobs           []jobSteps
}

// jobSteps is a job of an explanation.
type jobSteps struct {
	targets.JobExplanation
	Traces []trace
}

// trace is a target of an explanation, as monitor.html shows it.
type trace struct {
	targets.TargetTrace
	Key, Name, State, Class string
	Open                    bool
	Found, Final            []labels.Label
	Debug                   string // address of the relabel debugger with this target
}

// tracesOpen is how many targets of a job that need attention are open.
const tracesOpen = 3

func (s *Server) monitorPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	q := r.URL.Query()
	subject, err := targets.ParseSubject(q.Get("kind"), q.Get("namespace"), q.Get("name"))
	if err != nil {
		say(w, http.StatusBadRequest, "The address must have kind, name and, for objects of a namespace, namespace: "+err.Error())
		return
	}
	if src.Explain == nil {
		say(w, http.StatusNotFound, "There is nothing to explain.")
		return
	}
	p := newMonitorPage(src.Explain(subject))
	s.show(w, src, content{file: "monitor.html", title: p.Title, active: "targets", body: p})
}

func newMonitorPage(e targets.Explanation) *monitorPage {
	p := &monitorPage{Explanation: e, Title: e.Subject.Name}
	if e.Subject.Namespace != "" {
		p.Title = e.Subject.Namespace + "/" + e.Subject.Name
	}
	p.TargetsAddress = address("monitor", e.Subject.Kind+"/"+e.Subject.Namespace+"/"+e.Subject.Name)
	for _, j := range e.Jobs {
		steps := jobSteps{JobExplanation: j}
		for i, t := range j.Targets {
			steps.Traces = append(steps.Traces, newTrace(j.Job, i, t))
		}
		p.Jobs = append(p.Jobs, steps)
	}
	return p
}

// Several reports whether there are several jobs. The steps of a single one are those of the monitor.
func (p *monitorPage) Several() bool { return len(p.Jobs) > 1 }

func newTrace(job string, i int, t targets.TargetTrace) trace {
	out := trace{
		TargetTrace: t, Key: fmt.Sprintf("%s %d", job, i), Name: cmp.Or(t.URL, describe(t.Discovered)), State: cmp.Or(t.Health, "not scraped yet"), Class: "waiting",
		Found: sortedLabels(t.Discovered), Final: sortedLabels(t.Labels), Debug: debugAddress(job, "d"+strconv.FormatUint(labels.FromMap(t.Discovered).Hash(), 36)),
	}
	switch {
	case t.Dropped != "":
		out.State, out.Class = "dropped", ""
	case t.Health == "up":
		out.Class = "up"
	case t.Health == "down":
		out.Class = "down"
	}
	out.Open = i < tracesOpen && (t.Error != "" || t.Dropped != "")
	return out
}

func sortedLabels(m map[string]string) (out []labels.Label) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, labels.Label{Name: clip(name), Value: clip(m[name])})
	}
	return out
}

// classOf is the CSS class of an outcome.
func classOf(o targets.Outcome) string {
	switch o {
	case targets.OutcomeOK:
		return "up"
	case targets.OutcomeBroken:
		return "down"
	case targets.OutcomeNote:
		return "waiting"
	case targets.OutcomeWaiting:
	}
	return ""
}

// wordOf is the heading of a step.
func wordOf(n targets.StepName) string {
	words := map[targets.StepName]string{
		targets.StepSelected: "Selected by the configuration", targets.StepAccepted: "Accepted", targets.StepObjects: "Objects found", targets.StepEndpoints: "Endpoints and ports",
		targets.StepTargets: "Kept by relabelling", targets.StepScraped: "Scraped", targets.StepSamples: "Samples let pass", targets.StepDelivered: "Delivered",
	}
	return cmp.Or(words[n], string(n))
}

// change is what a rule did to a label.
type change struct {
	Name, Before, After string
	Had, Has            bool
}

func changesOf(r targets.RuleTrace) (out []change) {
	names := map[string]bool{}
	for n := range r.Before {
		names[n] = true
	}
	for n := range r.After {
		names[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		before, after := r.Before[n], r.After[n]
		out = append(out, change{Name: n, Before: clip(before), After: clip(after), Had: before != "", Has: after != ""})
	}
	return out
}
