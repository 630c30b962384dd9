package informers

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// maxNamed is how many objects a reason names.
const maxNamed = 3

// search looks for the objects of the cluster that a job selects.
type search struct {
	d         *Discovery
	job       *targets.Job
	sd        targets.Discovery
	selectors map[string]targets.Selector
}

// kindsOf is the kind of the objects of a role, in singular and plural.
var kindsOf = map[string][2]string{
	targets.RoleService: {"Service", "Services"}, targets.RolePod: {"Pod", "Pods"}, targets.RoleIngress: {"Ingress", "Ingresses"},
	targets.RoleNode: {"Node", "Nodes"}, targets.RoleEndpoints: {"Service", "Services"}, targets.RoleEndpointSlice: {"Service", "Services"},
}

// whyNothing says why a job discovered nothing in the cluster, not even a target that was dropped.
func (d *Discovery) whyNothing(j *targets.Job, sd targets.Discovery) string {
	for _, name := range resourcesOf(sd.Source) {
		w, needed := d.watched[name], name == resourceOf[sd.Role] || name == "services" // others are only attached
		switch why := w.why(); {
		case needed && why != "":
			return name + " are not known: " + why
		case !w.ready():
			return name + " are not listed yet"
		}
	}
	selectors, err := sd.Selectors.ByRole()
	if err != nil {
		return err.Error()
	}
	s := &search{d, j, sd, selectors}
	matches, refused, seen := s.objects(sd.Selects())
	if len(matches) == 0 {
		if refused != "" {
			return refused
		}
		return s.nothingMatches(seen) + s.elsewhere(sd.Selects())
	}
	var named []string
	for _, o := range matches[:min(len(matches), maxNamed)] {
		named = append(named, s.whyNot(o))
	}
	if more := len(matches) - maxNamed; more > 0 {
		named = append(named, fmt.Sprintf("and %d %s more", more, kindsOf[sd.Role][min(1, more-1)]))
	}
	return strings.Join(named, "; ")
}

// objects returns the objects of a role that the job selects, sorted by name, and how many there are in all. Refused says why the
// job refuses one whose labels match.
func (s *search) objects(role string) (out []metav1.Object, refused string, seen int) {
	of := s.d.watched[resourceOf[role]]
	demands := map[string]string{} // by the label's name as discovery writes it
	for _, d := range s.job.Demands {
		if d.Role == role {
			demands[d.Name] = d.Value
		}
	}
	for _, obj := range s.all(of) {
		m, err := meta.Accessor(obj)
		if sel, ok := s.selectors[role]; err != nil || ok && !matches(sel, obj) {
			seen++
			continue
		}
		if seen++; !mayMeet(demands, m.GetLabels()) {
			continue
		}
		why := s.job.Refuses(discoveredLabels(role, obj, m))
		switch {
		case why == nil:
			out = append(out, m)
		case why == s.job.Ended:
			refused = fmt.Sprintf("Pod %s is %s, and filterRunning leaves it out", objects.Key(m), obj.(*corev1.Pod).Status.Phase)
		}
	}
	slices.SortFunc(out, func(a, b metav1.Object) int { return strings.Compare(objects.Key(a), objects.Key(b)) })
	return out, refused, seen
}

// mayMeet reports whether labels may meet the demands. It is a quick test that most objects fail.
func mayMeet(demands, labels map[string]string) bool {
	for name, v := range demands {
		met := false
		for k, has := range labels {
			if has == v && (k == name || collide(k, name)) {
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

// all returns the objects in the namespaces that the job looks at.
func (s *search) all(of *watched) (out []any) {
	for _, store := range of.each() {
		if len(s.sd.Namespaces) == 0 || of.ClusterScoped {
			out = append(out, store.List()...)
			continue
		}
		for _, ns := range s.sd.Namespaces {
			inside, err := store.ByIndex(objects.ByNamespace, ns)
			if err == nil {
				out = append(out, inside...)
			}
		}
	}
	return out
}

const podPhase = "__meta_kubernetes_pod_phase"

// discoveredLabels returns the labels by which monitors select an object, as discovery names them.
func discoveredLabels(role string, obj any, m metav1.Object) map[string]string {
	out := map[string]string{}
	if p, ok := obj.(*corev1.Pod); ok {
		out[podPhase] = string(p.Status.Phase)
	}
	own := m.GetLabels()
	for _, k := range distinct(own) {
		out["__meta_kubernetes_"+role+"_label_"+sanitized(k)] = own[k]
		out["__meta_kubernetes_"+role+"_labelpresent_"+sanitized(k)] = "true"
	}
	return out
}

// nothingMatches says where the job looked for objects, and by which selector.
func (s *search) nothingMatches(seen int) string {
	kind := kindsOf[s.sd.Role]
	where := "in the cluster"
	if ns := s.sd.Namespaces; len(ns) > 0 && s.sd.Role != targets.RoleNode {
		where = "in namespace " + ns[0]
		if len(ns) > 1 {
			where = "in the namespaces " + strings.Join(ns[:min(len(ns), 2*maxNamed)], ", ")
		} else if w := s.d.watched["namespaces"]; w.listed() {
			if _, ok, err := w.GetByKey(ns[0]); !ok && err == nil && seen == 0 && !s.d.isDirectory() {
				return "there is no namespace " + ns[0]
			}
		}
	}
	selector := s.job.Selector
	if sel := s.selectors[s.sd.Role]; selector == "" && sel.Labels != nil {
		selector = strings.Trim(sel.Labels.String()+","+sel.Fields.String(), ",")
	}
	switch {
	case seen == 0:
		return fmt.Sprintf("there are no %s %s", kind[1], where)
	case selector == "":
		return fmt.Sprintf("none of the %d %s %s is selected", seen, kind[1], where)
	}
	return fmt.Sprintf("no %s %s matches its selector %s (%d %s there)", kind[0], where, selector, seen, kind[min(1, seen-1)])
}

// elsewhere names the objects in other namespaces that the job would select. It returns an empty string if there are none.
func (s *search) elsewhere(role string) string {
	if len(s.sd.Namespaces) == 0 || role == targets.RoleNode || s.job.Selector == "" && s.sd.Selectors == (targets.Selectors{}) { // any would match
		return ""
	}
	everywhere := *s
	everywhere.sd.Namespaces = nil
	matches, _, _ := everywhere.objects(role)
	if len(matches) == 0 {
		return ""
	}
	var names, namespaces []string
	for _, o := range matches {
		names = append(names, objects.Key(o))
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
	return fmt.Sprintf("; %s %s: %s leaves %s%s out", upTo(names, maxNamed), verb, s.d.namespaceField(s.job), kind, upTo(namespaces, maxNamed))
}

// namespaceField names the field that decides in which namespaces a job looks for objects.
func (d *Discovery) namespaceField(j *targets.Job) string {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	switch {
	case j.Owner.Kind == targets.ScrapeConfig || j.Owner.Namespace == "":
		return "namespaces"
	case d.state.settings != nil && d.state.settings.IgnoresNamespaceSelectors():
		return "monitors.ignoreNamespaceSelectors"
	}
	return "namespaceSelector"
}

// whyNot says why an object that the job selects gives no targets.
func (s *search) whyNot(m metav1.Object) string {
	switch o := m.(type) {
	case *corev1.Service:
		switch s.sd.Role {
		case targets.RoleEndpointSlice:
			return s.whyNoSlices(o)
		case targets.RoleEndpoints:
			return s.whyNoEndpoints(o)
		}
		return fmt.Sprintf("Service %s has no ports", objects.Key(o))
	case *corev1.Pod:
		return s.whyNoPod(o)
	case *networkingv1.Ingress:
		return fmt.Sprintf("Ingress %s has no rules", objects.Key(o))
	}
	return fmt.Sprintf("%s %s gives no targets", kindsOf[s.sd.Role][0], objects.Key(m))
}

func (s *search) whyNoPod(p *corev1.Pod) string {
	name := "Pod " + objects.Key(p)
	nodes := s.d.watched["nodes"]
	_, known, err := nodes.GetByKey(p.Spec.NodeName)
	switch {
	case p.Status.PodIP == "" && p.Status.Phase != "":
		return fmt.Sprintf("%s is %s and has no address", name, p.Status.Phase)
	case p.Status.PodIP == "":
		return name + " has no address"
	case s.sd.Attach.Node && p.Spec.NodeName == "":
		return name + " is on no Node, and attachMetadata.node leaves it out"
	case s.sd.Attach.Node && nodes.why() != "":
		return fmt.Sprintf("attachMetadata.node leaves %s out, whose Node %s is not known, nodes: %s", name, p.Spec.NodeName, nodes.why())
	case s.sd.Attach.Node && (!known || err != nil):
		return fmt.Sprintf("Node %s of %s is not known, and attachMetadata.node leaves such Pods out", p.Spec.NodeName, name)
	}
	return name + " has no containers"
}
