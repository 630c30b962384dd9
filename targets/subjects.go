package targets

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// noObject explains that an object does not exist.
func noObject(s Subject, role string, from Objects) Explanation {
	step := Step{Name: StepObjects, Outcome: OutcomeBroken}
	if why := from.Unknown(Source{Role: role}); why != "" {
		step.Text, step.Mend = why, "let the relay read them: apply the ClusterRole of deploy/, and a configuration with monitors or nodes"
	} else {
		var known []string
		for o := range from.All(role, nil) {
			if o.GetNamespace() == s.Namespace {
				known = append(known, o.GetName())
			}
		}
		step.Text = "there is no " + Owner{Kind(s.Kind), s.Namespace, s.Name}.String() + nearestWord(s.Name, known)
		step.Mend = "create it, or correct its name"
	}
	x := Explanation{Subject: s, Steps: []Step{step}}
	x.conclude()
	return x
}

// only is the evidence of a job with the targets that meet a condition alone.
func (e Evidence) only(j JobStatus, is func(discovered map[string]string, url string) bool) (Evidence, JobStatus) {
	out := e
	var live []*Target
	for _, t := range e.Targets(j.Job.Name) {
		if is(t.Discovered().Map(), t.ShownURL()) {
			live = append(live, t)
		}
	}
	var drops []Drop
	j.Dropped = nil
	for _, d := range e.Drops(j.Job.Name) {
		if shown := d.Shown(j.Job); is(shown.Discovered, "") {
			drops, j.Dropped = append(drops, d), append(j.Dropped, shown)
		}
	}
	j.Count = len(live)
	out.Targets = func(string) []*Target { return live }
	out.Drops = func(string) []Drop { return drops }
	if scrapes := e.Live.Scrapes; scrapes != nil {
		out.Live.Scrapes = func(job string) []Scraped {
			return slices.DeleteFunc(scrapes(job), func(s Scraped) bool { return !slices.Contains(live, s.Target) })
		}
	}
	if j.Nothing = (Step{}); j.Count == 0 && len(j.Dropped) > 0 {
		j.Nothing = ofDrops(e.Objects, &j)
	}
	return out, j
}

// ExplainService says which monitors scrape a Service, which nearly do, and why not.
func ExplainService(s Subject, from Objects, all []Evidence) Explanation {
	svc := from.Get(RoleService, s.Namespace+"/"+s.Name)
	if svc == nil {
		return noObject(s, RoleService, from)
	}
	of := func(discovered map[string]string, _ string) bool {
		return discovered["__meta_kubernetes_service_name"] == s.Name && discovered["__meta_kubernetes_namespace"] == s.Namespace
	}
	x := Explanation{Subject: s}
	var scraping, selecting, nearly, yielding []string
	var why []Step
	for _, e := range all {
		for _, j := range e.Status.Jobs {
			if len(j.Job.Discoveries) == 0 || j.Job.Discoveries[0].Selects() != RoleService {
				continue
			}
			some, part := e.only(j, of)
			switch {
			case part.Count > 0:
				scraping = append(scraping, j.Job.Name)
			case len(part.Dropped) > 0:
				if selecting = append(selecting, j.Job.Name); j.Job.Annotation != "" {
					yielding = append(yielding, j.Job.Name+": "+part.Nothing.Text)
				}
				why = append(why, part.Nothing)
			default:
				if step, selects := missesService(e, &j, svc); step.Text != "" {
					part.Nothing = step
					if why = append(why, step); selects {
						selecting = append(selecting, j.Job.Name)
					} else {
						nearly = append(nearly, j.Job.Name+": "+step.Text)
					}
					break
				}
				continue
			}
			x.Jobs = append(x.Jobs, some.job(&part))
		}
	}
	step := Step{Name: StepSelected, Outcome: OutcomeOK, Facts: nearly}
	unread := annotationUnread(svc, all)
	switch {
	case len(scraping) > 0:
		step.Text, step.Facts = "it is scraped by "+UpTo(scraping, maxNamed), append(yielding, nearly...)
		x.Jobs = slices.DeleteFunc(x.Jobs, func(j JobExplanation) bool { return !slices.Contains(scraping, j.Job) })
	case len(selecting) > 0:
		step.Text = "it is selected by " + UpTo(selecting, maxNamed)
		x.Jobs = slices.DeleteFunc(x.Jobs, func(j JobExplanation) bool { return !slices.Contains(selecting, j.Job) })
	case unread.Text != "" && len(nearly) == 0:
		step.Outcome, step.Text, step.Mend = OutcomeBroken, "no monitor selects it, and "+unread.Text, unread.Mend
	case len(nearly) > 0:
		step.Outcome, step.Text = OutcomeBroken, "no monitor selects it; nearest is "+nearly[0]
		step.Mend = why[0].Mend
		if i := slices.IndexFunc(why, func(s Step) bool { return s.Mend != step.Mend }); i > 0 {
			step.Text += "; then " + nearly[i]
			step.Mend += "; or " + why[i].Mend
		}
		if unread.Text != "" {
			step.Text += "; " + unread.Text
			step.Mend += "; or " + unread.Mend
		}
	default:
		step.Outcome, step.Text = OutcomeBroken, "no monitor selects it, and none is near"
		step.Mend = fmt.Sprintf("create a ServiceMonitor in namespace %s whose selector matches its labels %s", s.Namespace, k8slabels.Set(svc.GetLabels()))
	}
	x.Steps = []Step{step, {Name: StepAccepted, Outcome: step.Outcome, Text: "see the monitors"}, {Name: StepObjects, Outcome: OutcomeOK, Text: "Service " + keyOf(svc) + " exists"}}
	if step.Outcome == OutcomeBroken {
		x.Steps[1] = Step{Name: StepAccepted, Outcome: OutcomeWaiting, Text: notReached}
	}
	x.conclude()
	return x
}

// missesService says why a job has no target of a Service; its Text is empty if the job has nothing to do with it. Selects reports that
// the job selects the Service, which gives no targets.
func missesService(e Evidence, j *JobStatus, svc metav1.Object) (why Step, selects bool) {
	sd := j.Job.Discoveries[0]
	selectors, err := sd.Selectors.ByRole()
	if err != nil {
		return Step{}, false
	}
	s := &search{Objects: e.Objects, job: j.Job, sd: sd, selectors: selectors}
	if j.Job.Annotation != "" {
		return s.missesAnnotated(svc)
	}
	inside := len(sd.Namespaces) == 0 || slices.Contains(sd.Namespaces, svc.GetNamespace())
	matches := j.Job.Refuses(ObjectLabels(RoleService, svc)) == nil
	if sel, ok := selectors[RoleService]; ok {
		matches = matches && e.Objects.Matches(sel, svc)
	}
	switch {
	case matches && inside:
		why = s.whyNot(svc)
		why.Name, why.Outcome = StepEndpoints, OutcomeBroken
		return why, true
	case matches && j.Job.Selector != "":
		return Step{
			Name: StepObjects, Outcome: OutcomeBroken, Text: fmt.Sprintf("its labels match, and %s leaves namespace %s out", s.namespaceField(), svc.GetNamespace()),
			Mend: s.mendNamespaces([]string{svc.GetNamespace()}),
		}, false
	}
	sel, err := k8slabels.Parse(s.selector())
	if err != nil || !inside {
		return Step{}, false
	}
	only := func(yield func(metav1.Object) bool) { yield(svc) }
	n := nearestObject(sel, only, j.Job.Owner.Name)
	if n == nil {
		return Step{}, false
	}
	return Step{
		Name: StepObjects, Outcome: OutcomeBroken, Text: fmt.Sprintf("its selector is %s, and the Service %s", s.selector(), n.has()),
		Mend: n.mend("the selector of "+s.owner(), "Service "+keyOf(svc)),
	}, false
}

// ExplainNode says which jobs scrape a Node, and how that goes.
func ExplainNode(s Subject, from Objects, all []Evidence) Explanation {
	if from.Get(RoleNode, s.Name) == nil {
		return noObject(s, RoleNode, from)
	}
	of := func(discovered map[string]string, _ string) bool { return discovered[nodeNameLabel] == s.Name }
	return explainPart(s, all, of, Step{
		Name: StepSelected, Outcome: OutcomeBroken, Text: "no job scrapes the Node", Mend: "add a block nodes: {} to the relay's configuration, or correct nodes.selector",
	})
}

// ExplainTarget says which jobs have a target of this URL, and how that goes. A part of the URL is enough.
func ExplainTarget(s Subject, all []Evidence) Explanation {
	of := func(discovered map[string]string, url string) bool {
		if url != "" {
			return url == s.Name || strings.Contains(url, s.Name)
		}
		host := s.Name
		if _, rest, ok := strings.Cut(host, "://"); ok {
			host, _, _ = strings.Cut(rest, "/")
		}
		return discovered["__address__"] == host
	}
	return explainPart(s, all, of, Step{
		Name: StepSelected, Outcome: OutcomeBroken, Text: "no job has a target of this URL, not even a dropped one", Mend: "explain the monitor or the Service that should have it",
	})
}

// explainPart explains the targets of all jobs that meet a condition.
func explainPart(s Subject, all []Evidence, is func(map[string]string, string) bool, none Step) Explanation {
	x := Explanation{Subject: s}
	var names []string
	for _, e := range all {
		for _, j := range e.Status.Jobs {
			some, part := e.only(j, is)
			if part.Count+len(part.Dropped) == 0 {
				continue
			}
			names = append(names, j.Job.Name)
			x.Jobs = append(x.Jobs, some.job(&part))
		}
	}
	// A job that drops it is of no interest where another one scrapes it.
	if slices.ContainsFunc(x.Jobs, JobExplanation.scrapes) {
		x.Jobs = slices.DeleteFunc(x.Jobs, func(j JobExplanation) bool { return !j.scrapes() })
		names = nil
		for _, j := range x.Jobs {
			names = append(names, j.Job)
		}
	}
	x.Steps = []Step{none}
	if len(names) > 0 {
		x.Steps = []Step{{Name: StepSelected, Outcome: OutcomeOK, Text: "found by " + UpTo(names, maxNamed)}, {Name: StepAccepted, Outcome: OutcomeOK, Text: "these are valid"}}
	}
	x.conclude()
	return x
}

func (x JobExplanation) scrapes() bool {
	return slices.ContainsFunc(x.Targets, func(t TargetTrace) bool { return t.URL != "" })
}
