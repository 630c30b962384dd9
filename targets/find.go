package targets

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// search looks for the objects that a job selects by one of its Discoveries.
type search struct {
	Objects
	job       *Job
	sd        Discovery
	selectors map[string]Selector
	ignored   bool // the configuration ignores namespace selectors
}

// found are the objects that a search has found.
type found struct {
	match []metav1.Object // sorted by key
	ended *corev1.Pod     // one that is left out because it has ended; nil if there is none
	seen  int             // objects of the kind, in all
}

// objects returns the objects of the role that the job selects.
func (s *search) objects() (f found) {
	role := s.sd.Selects()
	demands := map[string]string{} // by the label's name as discovery writes it
	for _, d := range s.job.Demands {
		if d.Role == role {
			demands[d.Name] = d.Value
		}
	}
	sel, selects := s.selectors[role]
	for o := range s.All(role, s.sd.Namespaces) {
		f.seen++
		if selects && !s.Matches(sel, o) || !mayMeet(demands, o.GetLabels()) {
			continue
		}
		switch why := s.job.Refuses(s.labelsOf(role, o)); {
		case why == nil:
			f.match = append(f.match, o)
		case why == s.job.Ended:
			if p, ok := o.(*corev1.Pod); ok && (f.ended == nil || keyOf(p) < keyOf(f.ended)) {
				f.ended = p
			}
		}
	}
	slices.SortFunc(f.match, func(a, b metav1.Object) int { return strings.Compare(keyOf(a), keyOf(b)) })
	return f
}

// mayMeet reports whether labels may meet the demands. It is a quick test that most objects fail.
func mayMeet(demands, labels map[string]string) bool {
	for name, v := range demands {
		met := false
		for k, has := range labels {
			if has == v && (k == name || NamesCollide(k, name)) {
				met = true
				break
			}
		}
		if !met {
			return false
		}
	}
	return true
}

// findNothing says why a job discovers nothing by one of its Discoveries, not even a target that is dropped.
func findNothing(from Objects, j *Job, sd Discovery, ignored bool) Step {
	if why := from.Unknown(sd.Source); why != "" {
		return Step{Name: StepObjects, Outcome: OutcomeWaiting, Text: why}
	}
	selectors, err := sd.Selectors.ByRole()
	if err != nil {
		return Step{Name: StepObjects, Outcome: OutcomeBroken, Text: err.Error()}
	}
	s := &search{from, j, sd, selectors, ignored}
	f := s.objects()
	if len(f.match) == 0 {
		if f.ended != nil {
			return Step{
				Name: StepObjects, Outcome: OutcomeBroken, Text: fmt.Sprintf("Pod %s is %s, and filterRunning leaves it out", keyOf(f.ended), f.ended.Status.Phase),
				Mend: mendEnded(f.ended.Status.Phase, keyOf(f.ended), "filterRunning"),
			}
		}
		return s.nothingMatches(f.seen)
	}
	return s.noneGives(f.match)
}

// noneGives says why the objects that the job selects give no targets.
func (s *search) noneGives(match []metav1.Object) Step {
	var all []Step
	for _, o := range match[:min(len(match), maxNamed)] {
		all = append(all, s.whyNot(o))
	}
	out := joined(all)
	out.Name, out.Outcome = StepEndpoints, OutcomeBroken
	if more := len(match) - maxNamed; more > 0 {
		out.Text += fmt.Sprintf("; and %s more", counted(more, kindsOf[s.sd.Role]))
	}
	return out
}

// joined is a step of several findings. Equal texts and mends are written once.
func joined(all []Step) (out Step) {
	var texts, mends []string
	for _, f := range all {
		if !slices.Contains(texts, f.Text) {
			texts = append(texts, f.Text)
		}
		if f.Mend != "" && !slices.Contains(mends, f.Mend) {
			mends = append(mends, f.Mend)
		}
		out.Facts = append(out.Facts, f.Facts...)
	}
	if len(all) > 0 {
		out.Name, out.Outcome = all[0].Name, all[0].Outcome
	}
	out.Text, out.Mend = strings.Join(texts, "; "), strings.Join(mends, "; ")
	return out
}

// owner names what a person edits.
func (s *search) owner() string { return s.job.Owner.String() }

// nothingMatches says where the job looked for objects, by which selector, and what comes nearest.
func (s *search) nothingMatches(seen int) Step {
	out := Step{Name: StepObjects, Outcome: OutcomeBroken}
	kind := kindsOf[s.sd.Role]
	if missing := s.noNamespace(seen); missing.Text != "" {
		return missing
	}
	selector := s.selector()
	switch {
	case seen == 0:
		out.Text = fmt.Sprintf("there are no %s %s", kind[1], s.where())
		out.Mend = fmt.Sprintf("create the %s, or %s", kind[0], s.nameAnotherNamespace())
	case s.job.Annotation != "":
		out.Text = fmt.Sprintf("no %s %s has the annotation %s: \"true\" and is selected otherwise (%s there)", kind[0], s.where(), s.job.Annotation, counted(seen, kind))
		out.Mend = fmt.Sprintf("annotate the %s, or correct annotations.prefix", kind[0])
	case selector == "":
		out.Text = fmt.Sprintf("none of the %d %s %s is selected", seen, kind[1], s.where())
	default:
		out.Text = fmt.Sprintf("no %s %s matches its selector %s (%s there)", kind[0], s.where(), selector, counted(seen, kind))
	}
	if s.elsewhere(&out) {
		return out
	}
	if n := s.nearest(selector); n != nil {
		out.Text += ": " + n.text
		out.Mend = n.mend
		out.Facts = n.facts
	}
	return out
}

func (s *search) selector() string {
	if sel := s.selectors[s.sd.Role]; s.job.Selector == "" && sel.Labels != nil {
		return strings.Trim(sel.Labels.String()+","+sel.Fields.String(), ",")
	}
	return s.job.Selector
}

// where names the namespaces in which the job looks for objects.
func (s *search) where() string {
	switch ns := s.sd.Namespaces; {
	case len(ns) == 0 || s.sd.Role == RoleNode:
		return "in the cluster"
	case len(ns) == 1:
		return "in namespace " + ns[0]
	default:
		return "in the namespaces " + strings.Join(ns[:min(len(ns), 2*maxNamed)], ", ")
	}
}

// noNamespace says that the only namespace of the job does not exist. Its Text is empty if that is not known.
func (s *search) noNamespace(seen int) Step {
	ns := s.sd.Namespaces
	if len(ns) != 1 || seen > 0 || s.sd.Role == RoleNode || s.FromFiles() || !s.Complete(RoleNamespace) || s.Get(RoleNamespace, ns[0]) != nil {
		return Step{}
	}
	var known []string
	for o := range s.All(RoleNamespace, nil) {
		known = append(known, o.GetName())
	}
	return Step{
		Name: StepObjects, Outcome: OutcomeBroken, Text: "there is no namespace " + ns[0] + nearestWord(ns[0], known),
		Mend: "correct " + s.namespaceField() + " of " + s.owner(),
	}
}

// elsewhere adds the objects in other namespaces that the job would select. It reports whether there are any.
func (s *search) elsewhere(out *Step) bool {
	if len(s.sd.Namespaces) == 0 || s.sd.Selects() == RoleNode || s.job.Selector == "" && s.sd.Selectors == (Selectors{}) { // any would match
		return false
	}
	everywhere := *s
	everywhere.sd.Namespaces = nil
	match := everywhere.objects().match
	if len(match) == 0 {
		return false
	}
	var names, namespaces []string
	for _, o := range match {
		names = append(names, keyOf(o))
		if ns := o.GetNamespace(); !slices.Contains(namespaces, ns) {
			namespaces = append(namespaces, ns)
		}
	}
	verb, kind := "matches", "namespace "
	if len(names) > 1 {
		verb = "match"
	}
	if len(namespaces) > 1 {
		kind = "the namespaces "
	}
	out.Text += fmt.Sprintf("; %s %s: %s leaves %s%s out", UpTo(names, maxNamed), verb, s.namespaceField(), kind, UpTo(namespaces, maxNamed))
	out.Mend = s.mendNamespaces(namespaces)
	if s.ignored {
		out.Mend = fmt.Sprintf("put %s into namespace %s, or set monitors.ignoreNamespaceSelectors: false", s.owner(), UpTo(namespaces, maxNamed))
	}
	return true
}

// namespaceField names the field that decides in which namespaces a job looks for objects.
func (s *search) namespaceField() string {
	switch o := s.job.Owner; {
	case o.Kind == ScrapeConfig || o.Namespace == "":
		return "namespaces"
	case s.ignored:
		return "monitors.ignoreNamespaceSelectors"
	}
	return "namespaceSelector"
}

// mendNamespaces says how to have objects of these namespaces found.
func (s *search) mendNamespaces(namespaces []string) string {
	o, has := s.job.Owner, s.sd.Namespaces
	if (o.Kind == ServiceMonitor || o.Kind == PodMonitor) && o.Namespace != "" && (len(has) > 1 || len(has) == 1 && has[0] != o.Namespace) {
		return fmt.Sprintf("add %s to namespaceSelector.matchNames of %s", UpTo(namespaces, maxNamed), s.owner())
	}
	return fmt.Sprintf("set %s in %s", s.namesNamespaces(namespaces), s.owner())
}

// namesNamespaces is what a person writes to have objects of these namespaces found.
func (s *search) namesNamespaces(namespaces []string) string {
	list := "[" + strings.Join(namespaces[:min(len(namespaces), maxNamed)], ", ") + "]"
	switch o := s.job.Owner; {
	case o.Kind == ScrapeConfig || o.Namespace == "":
		return "namespaces: {names: " + list + "}"
	case o.Kind == Probe:
		return "targets.ingress.namespaceSelector: {matchNames: " + list + "}"
	}
	return "namespaceSelector: {matchNames: " + list + "}"
}

func (s *search) nameAnotherNamespace() string {
	if s.job.Owner.Namespace == "" || len(s.sd.Namespaces) == 0 {
		return "correct the selector of " + s.owner()
	}
	return fmt.Sprintf("name the namespace where it is by namespaceSelector.matchNames of %s", s.owner())
}

// whyNot says why an object that the job selects gives no targets.
func (s *search) whyNot(m metav1.Object) Step {
	switch o := m.(type) {
	case *corev1.Service:
		switch s.sd.Role {
		case RoleEndpointSlice:
			return s.whyNoSlices(o)
		case RoleEndpoints:
			return s.whyNoEndpoints(o)
		}
		return Step{Text: fmt.Sprintf("Service %s has no ports", keyOf(o)), Mend: "give the Service ports"}
	case *corev1.Pod:
		return s.whyNoPod(o)
	case *networkingv1.Ingress:
		return Step{Text: fmt.Sprintf("Ingress %s has no rules", keyOf(o)), Mend: "give the Ingress rules with hosts"}
	}
	return Step{Text: fmt.Sprintf("%s %s gives no targets", kindsOf[s.sd.Role][0], keyOf(m))}
}

func (s *search) whyNoPod(p *corev1.Pod) Step {
	name := "Pod " + keyOf(p)
	withoutNode := "take attachMetadata.node out of " + s.owner()
	switch node := s.Get(RoleNode, p.Spec.NodeName); {
	case p.Status.PodIP == "" && p.Status.Phase != "":
		return Step{Text: fmt.Sprintf("%s is %s and has no address", name, p.Status.Phase), Mend: "look why the Pod does not run: kubectl -n " + p.Namespace + " describe pod " + p.Name}
	case p.Status.PodIP == "":
		return Step{Text: name + " has no address", Mend: "look why the Pod does not run: kubectl -n " + p.Namespace + " describe pod " + p.Name}
	case s.sd.Attach.Node && p.Spec.NodeName == "":
		return Step{Text: name + " is on no Node, and attachMetadata.node leaves it out", Mend: withoutNode}
	case s.sd.Attach.Node && s.Off(RoleNode) != "":
		return Step{Text: fmt.Sprintf("attachMetadata.node leaves %s out, whose Node %s is not known, nodes: %s", name, p.Spec.NodeName, s.Off(RoleNode)), Mend: withoutNode}
	case s.sd.Attach.Node && node == nil:
		return Step{Text: fmt.Sprintf("Node %s of %s is not known, and attachMetadata.node leaves such Pods out", p.Spec.NodeName, name), Mend: withoutNode}
	}
	return Step{Text: name + " has no containers"}
}
