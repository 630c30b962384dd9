package informers

import (
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// resource is a kind of object that is watched.
type resource struct {
	name      string // plural, as in URLs
	group     string
	version   string
	example   runtime.Object
	kind      targets.Kind // of a monitor, else empty
	unspaced  bool         // belongs to no namespace
	transform func(runtime.Object)
	indexers  cache.Indexers
}

// Names of the indexes. Prometheus's discoverers demand these.
const (
	byService    = "service"
	byPod        = "pod"
	byNode       = "node"
	byNamespace  = cache.NamespaceIndex
	byReplicaSet = "replicaset"
	byJob        = "job"
)

const monitoringGroup = "monitoring.coreos.com"

// resources are all that may be watched, by name.
var resources = map[string]*resource{}

func init() {
	for _, r := range []*resource{
		{name: "services", version: "v1", example: &corev1.Service{}, transform: trimService},
		{name: "pods", version: "v1", example: &corev1.Pod{}, transform: trimPod, indexers: cache.Indexers{
			byNode:       index(func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} }),
			byReplicaSet: index(func(p *corev1.Pod) []string { return controller(p, "ReplicaSet") }),
			byJob:        index(func(p *corev1.Pod) []string { return controller(p, "Job") }),
		}},
		{name: "nodes", version: "v1", example: &corev1.Node{}, transform: trimNode, unspaced: true, indexers: cache.Indexers{byKubelet: index(kubeletAddresses)}},
		{name: "namespaces", version: "v1", example: &corev1.Namespace{}, transform: trimNamespace, unspaced: true},
		{name: "endpoints", version: "v1", example: &corev1.Endpoints{}, transform: trimMeta, indexers: cache.Indexers{ //nolint:staticcheck // the role endpoints reads them
			byPod: index(endpointsPods), byNode: index(endpointsNodes),
		}},
		{name: "endpointslices", group: "discovery.k8s.io", version: "v1", example: &discoveryv1.EndpointSlice{}, transform: trimMeta, indexers: cache.Indexers{
			byService: index(sliceService), byPod: index(slicePods), byNode: index(sliceNodes),
		}},
		{name: "ingresses", group: "networking.k8s.io", version: "v1", example: &networkingv1.Ingress{}, transform: trimMeta},
		{name: "replicasets", group: "apps", version: "v1", example: &appsv1.ReplicaSet{}, transform: trimReplicaSet},
		{name: "jobs", group: "batch", version: "v1", example: &batchv1.Job{}, transform: trimJob},
		{name: "servicemonitors", group: monitoringGroup, version: "v1", example: &monitoringv1.ServiceMonitor{}, kind: targets.ServiceMonitor, transform: trimMonitor},
		{name: "podmonitors", group: monitoringGroup, version: "v1", example: &monitoringv1.PodMonitor{}, kind: targets.PodMonitor, transform: trimMonitor},
		{name: "probes", group: monitoringGroup, version: "v1", example: &monitoringv1.Probe{}, kind: targets.Probe, transform: trimMonitor},
		{name: "scrapeconfigs", group: monitoringGroup, version: "v1alpha1", example: &monitoringv1alpha1.ScrapeConfig{}, kind: targets.ScrapeConfig, transform: trimMonitor},
	} {
		if r.indexers == nil {
			r.indexers = cache.Indexers{}
		}
		if !r.unspaced {
			r.indexers[byNamespace] = cache.MetaNamespaceIndexFunc
		}
		resources[r.name] = r
	}
}

// monitorResource is the resource of a kind of monitor.
func monitorResource(kind targets.Kind) *resource {
	return resources[strings.ToLower(string(kind))+"s"]
}

// groupVersion is what CRDs and API discovery call the resource's API.
func (r *resource) groupVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

// index makes an index function of one for a type.
func index[T any](f func(T) []string) cache.IndexFunc {
	return func(obj any) ([]string, error) {
		o, ok := obj.(T)
		if !ok {
			return nil, nil
		}
		return f(o), nil
	}
}

func controller(p *corev1.Pod, kind string) []string {
	if owner := promk8s.GetControllerOf(p); owner != nil && owner.Kind == kind {
		return []string{p.Namespace + "/" + owner.Name}
	}
	return nil
}

func sliceService(s *discoveryv1.EndpointSlice) []string {
	if name, ok := s.Labels[discoveryv1.LabelServiceName]; ok {
		return []string{s.Namespace + "/" + name}
	}
	return nil
}

func slicePods(s *discoveryv1.EndpointSlice) (out []string) {
	for i := range s.Endpoints {
		if ref := s.Endpoints[i].TargetRef; ref != nil && ref.Kind == "Pod" {
			out = append(out, ref.Namespace+"/"+ref.Name)
		}
	}
	return out
}

func sliceNodes(s *discoveryv1.EndpointSlice) (out []string) {
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if e.NodeName != nil {
			out = append(out, *e.NodeName)
		}
		if e.TargetRef != nil && e.TargetRef.Kind == "Node" {
			out = append(out, e.TargetRef.Name)
		}
	}
	return out
}

func endpointsPods(e *corev1.Endpoints) (out []string) { //nolint:staticcheck // the role endpoints reads them
	eachAddress(e, func(a *corev1.EndpointAddress) {
		if a.TargetRef != nil && a.TargetRef.Kind == "Pod" {
			out = append(out, a.TargetRef.Namespace+"/"+a.TargetRef.Name)
		}
	})
	return out
}

func endpointsNodes(e *corev1.Endpoints) (out []string) { //nolint:staticcheck // the role endpoints reads them
	eachAddress(e, func(a *corev1.EndpointAddress) {
		if a.NodeName != nil {
			out = append(out, *a.NodeName)
		}
		if a.TargetRef != nil && a.TargetRef.Kind == "Node" {
			out = append(out, a.TargetRef.Name)
		}
	})
	return out
}

func eachAddress(e *corev1.Endpoints, f func(*corev1.EndpointAddress)) { //nolint:staticcheck // the role endpoints reads them
	for i := range e.Subsets {
		for j := range e.Subsets[i].Addresses {
			f(&e.Subsets[i].Addresses[j])
		}
		for j := range e.Subsets[i].NotReadyAddresses {
			f(&e.Subsets[i].NotReadyAddresses[j])
		}
	}
}

func namespacedKey(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}
