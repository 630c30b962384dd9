// Package objects is the table of the kinds of objects that the relay reads. For each kind it says how the API names it,
// which of its fields are kept, and by what it is indexed. It also holds the decoder for monitors.
//
// Promises: a monitor that does not decode is replaced by an Undecoded, and affects no other one of its list; a field that
// the relay does not know is noted on its monitor. An object that was trimmed gives the same targets as before. Not
// promised: that a trimmed object could be written back.
package objects

import (
	"reflect"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// Resource is a kind of object.
type Resource struct {
	Name          string // plural, as in URLs
	Group         string // of the API; empty for the core one
	Version       string
	Example       runtime.Object // of the type; read only
	Kind          targets.Kind   // of a monitor; empty for any other object
	ClusterScoped bool           // its objects belong to no namespace
	ByNameOnly    bool           // its objects are read one by one, and never listed
	// Transform removes from an object what the relay does not need. Nil for a resource that is read by name only.
	Transform func(runtime.Object)
	Indexers  cache.Indexers
}

// MonitoringGroup is the API group of monitors.
const MonitoringGroup = "monitoring.coreos.com"

// table is every resource. Nothing changes it.
var table = withNamespaceIndex([]*Resource{
	{Name: "services", Version: "v1", Example: &corev1.Service{}, Transform: trimService},
	{Name: "pods", Version: "v1", Example: &corev1.Pod{}, Transform: trimPod, Indexers: cache.Indexers{
		ByNode:       index(func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} }),
		ByReplicaSet: index(func(p *corev1.Pod) []string { return controller(p, "ReplicaSet") }),
		ByJob:        index(func(p *corev1.Pod) []string { return controller(p, "Job") }),
	}},
	{Name: "nodes", Version: "v1", Example: &corev1.Node{}, Transform: trimNode, ClusterScoped: true, Indexers: cache.Indexers{ByKubelet: index(kubeletAddresses)}},
	{Name: "namespaces", Version: "v1", Example: &corev1.Namespace{}, Transform: trimNamespace, ClusterScoped: true},
	{Name: "endpoints", Version: "v1", Example: &corev1.Endpoints{}, Transform: trimMeta, Indexers: cache.Indexers{ //nolint:staticcheck // the role endpoints reads them
		ByPod: index(endpointsPods), ByNode: index(endpointsNodes),
	}},
	{Name: "endpointslices", Group: "discovery.k8s.io", Version: "v1", Example: &discoveryv1.EndpointSlice{}, Transform: trimMeta, Indexers: cache.Indexers{
		ByService: index(sliceService), ByPod: index(slicePods), ByNode: index(sliceNodes),
	}},
	{Name: "ingresses", Group: "networking.k8s.io", Version: "v1", Example: &networkingv1.Ingress{}, Transform: trimMeta},
	{Name: "replicasets", Group: "apps", Version: "v1", Example: &appsv1.ReplicaSet{}, Transform: trimReplicaSet},
	{Name: "jobs", Group: "batch", Version: "v1", Example: &batchv1.Job{}, Transform: trimJob},
	{Name: "servicemonitors", Group: MonitoringGroup, Version: "v1", Example: &monitoringv1.ServiceMonitor{}, Kind: targets.ServiceMonitor, Transform: trimMonitor},
	{Name: "podmonitors", Group: MonitoringGroup, Version: "v1", Example: &monitoringv1.PodMonitor{}, Kind: targets.PodMonitor, Transform: trimMonitor},
	{Name: "probes", Group: MonitoringGroup, Version: "v1", Example: &monitoringv1.Probe{}, Kind: targets.Probe, Transform: trimMonitor},
	{Name: "scrapeconfigs", Group: MonitoringGroup, Version: "v1alpha1", Example: &monitoringv1alpha1.ScrapeConfig{}, Kind: targets.ScrapeConfig, Transform: trimMonitor},
	{Name: "secrets", Version: "v1", Example: &corev1.Secret{}, ByNameOnly: true},
	{Name: "configmaps", Version: "v1", Example: &corev1.ConfigMap{}, ByNameOnly: true},
})

func withNamespaceIndex(all []*Resource) []*Resource {
	for _, r := range all {
		if r.Indexers == nil {
			r.Indexers = cache.Indexers{}
		}
		if !r.ClusterScoped {
			r.Indexers[ByNamespace] = cache.MetaNamespaceIndexFunc
		}
	}
	return all
}

// All returns every resource. The slice is the caller's.
func All() []*Resource { return append([]*Resource(nil), table...) }

// ByName returns the resource with a name, nil if there is none.
func ByName(name string) *Resource {
	return find(func(r *Resource) bool { return r.Name == name })
}

// OfKind returns the resource of a kind of monitor, nil if it is not one.
func OfKind(kind targets.Kind) *Resource {
	return find(func(r *Resource) bool { return r.Kind != "" && strings.EqualFold(string(r.Kind), string(kind)) })
}

// Of returns the resource of an object, nil if the relay does not read such objects.
func Of(o runtime.Object) *Resource {
	if u, ok := o.(*Undecoded); ok {
		return u.Resource
	}
	return find(func(r *Resource) bool { return reflect.TypeOf(r.Example) == reflect.TypeOf(o) })
}

func find(is func(*Resource) bool) *Resource {
	for _, r := range table {
		if is(r) {
			return r
		}
	}
	return nil
}

// GroupVersion is how the API names the resource's group and version.
func (r *Resource) GroupVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

// Key identifies an object among those of its resource: namespace/name, or name.
func Key(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

// SameContent reports whether two states of an object are equal, apart from fields that change with every write.
func SameContent(a, b any) bool {
	x, errX := unversioned(a)
	y, errY := unversioned(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// unversioned returns a shallow copy of an object, without the fields that change with every write.
func unversioned(obj any) (any, error) {
	c := reflect.New(reflect.TypeOf(obj).Elem())
	c.Elem().Set(reflect.ValueOf(obj).Elem())
	m, err := meta.Accessor(c.Interface())
	if err != nil {
		return nil, err
	}
	m.SetResourceVersion("")
	m.SetGeneration(0)
	return c.Interface(), nil
}

// Data returns the values of a ConfigMap. It leaves out binaryData, as prometheus-operator does.
func Data(m *corev1.ConfigMap) map[string][]byte {
	out := make(map[string][]byte, len(m.Data))
	for k, v := range m.Data {
		out[k] = []byte(v)
	}
	return out
}
