package targets

import (
	"fmt"
	"iter"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are the objects of the cluster, as far as discovery knows them. No method waits. What they return is read only.
type Objects interface {
	// All returns the objects of a role in some namespaces; none means all namespaces.
	All(role string, namespaces []string) iter.Seq[metav1.Object]
	// Get returns an object by its key: namespace/name, or name. It returns nil if there is none.
	Get(role, key string) metav1.Object
	// Slices returns the EndpointSlices of a Service, by its key.
	Slices(service string) []*discoveryv1.EndpointSlice
	// Matches reports whether a selector selects an object.
	Matches(Selector, metav1.Object) bool
	// Unknown says why the objects of a source are not known; empty if they are.
	Unknown(Source) string
	// Off says why changes of a role's objects do not arrive; empty if they do.
	Off(role string) string
	// Complete reports whether all objects of a role were listed: one that Get does not return does not exist.
	Complete(role string) bool
	// FromFiles reports whether they come from a directory of manifests, which may lack what a cluster makes by itself.
	FromFiles() bool
}

// maxNamed is how many objects a sentence names.
const maxNamed = 3

// kindsOf is the kind of the objects of a role, in singular and plural. Endpoints and EndpointSlices are selected by their Service.
var kindsOf = map[string][2]string{
	RoleService: {"Service", "Services"}, RolePod: {"Pod", "Pods"}, RoleIngress: {"Ingress", "Ingresses"},
	RoleNode: {"Node", "Nodes"}, RoleEndpoints: {"Service", "Services"}, RoleEndpointSlice: {"Service", "Services"},
}

// KindOfRole is the kind of the objects that a role selects.
func KindOfRole(role string) string { return kindsOf[role][0] }

// keyOf is the key of an object among those of its kind.
func keyOf(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

const podPhase = "__meta_kubernetes_pod_phase"

// ObjectLabels returns the labels by which jobs select an object, as discovery names them: of its labels and annotations.
func ObjectLabels(role string, o metav1.Object) map[string]string {
	out := map[string]string{}
	if p, ok := o.(*corev1.Pod); ok {
		out[podPhase] = string(p.Status.Phase)
	}
	for what, own := range map[string]map[string]string{"label": o.GetLabels(), "annotation": o.GetAnnotations()} {
		for _, k := range DistinctLabels(own) {
			out["__meta_kubernetes_"+role+"_"+what+"_"+DiscoveryName(k)] = own[k]
			out["__meta_kubernetes_"+role+"_"+what+"present_"+DiscoveryName(k)] = "true"
		}
	}
	return out
}

// counted writes a number and the kind of what is counted.
func counted(n int, kind [2]string) string {
	if n == 1 {
		return "1 " + kind[0]
	}
	return fmt.Sprintf("%d %s", n, kind[1])
}

// UpTo joins the first n words and says how many more there are.
func UpTo(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}
