// Package workloads makes the objects that a cluster would make of manifests: a Pod for each workload, the EndpointSlice and the
// Endpoints of each Service, the Node that the Pods run on, and the Secrets that monitors name.
//
// Promises: an object of the manifests is kept as it is, except that a Pod gets an address, a Node and a phase; what is made up is
// named in MadeUp. Not promised: replicas; one Pod stands for all of a workload.
package workloads

import (
	"fmt"
	"net/netip"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Made is what a cluster would have beside the objects of the manifests.
type Made struct {
	Objects []runtime.Object
	// Missing names, by Service, each port that no container behind it has. The keys are namespace/name.
	Missing map[string][]string
	// Bare are the Services whose Pods are not in the manifests. The keys are namespace/name.
	Bare map[string]bool
	// Secrets names, by monitor, the Secrets and ConfigMaps that are not in the manifests. The keys are kind, namespace/name.
	Secrets map[string][]string
}

// Node is the name of the Node that all Pods run on.
const Node = "node-of-lint"

// MadeUp reports whether the value of a label of discovery is made up, so that a rule which reads it cannot be judged.
func MadeUp(label string) bool {
	switch label {
	case "__address__", "__meta_kubernetes_pod_ip", "__meta_kubernetes_pod_host_ip", "__meta_kubernetes_pod_name", "__meta_kubernetes_pod_uid",
		"__meta_kubernetes_pod_node_name", "__meta_kubernetes_pod_container_id", "__meta_kubernetes_pod_ready", "__meta_kubernetes_pod_phase",
		"__meta_kubernetes_pod_controller_name", "__meta_kubernetes_endpointslice_name", "__meta_kubernetes_endpointslice_address_target_name",
		"__meta_kubernetes_service_cluster_ip", "__meta_kubernetes_service_loadbalancer_ip":
		return true
	}
	for _, prefix := range []string{
		"__meta_kubernetes_node_", "__meta_kubernetes_namespace_label", "__meta_kubernetes_namespace_annotation", "__meta_kubernetes_endpointslice_endpoint_",
		"__meta_kubernetes_endpoint_", "__meta_kubernetes_pod_label_pod_template_hash", "__meta_kubernetes_pod_labelpresent_pod_template_hash",
	} {
		if strings.HasPrefix(label, prefix) {
			return true
		}
	}
	return false
}

// OfPod reports whether a label of discovery comes from the Pod behind an endpoint.
func OfPod(label string) bool {
	return strings.HasPrefix(label, "__meta_kubernetes_pod_") || strings.HasPrefix(label, "__meta_kubernetes_endpointslice_address_target_") ||
		strings.HasPrefix(label, "__meta_kubernetes_endpoint_address_target_")
}

// maker makes objects.
type maker struct {
	made  Made
	pods  map[string][]*corev1.Pod // by namespace
	taken map[string]bool          // namespace/name of Pods
	has   map[string]bool          // Services that have slices or Endpoints in the manifests
	count uint32                   // of addresses that are given out
}

// Make makes what a cluster would have. It does not change the objects.
func Make(all []runtime.Object) Made {
	m := &maker{
		made: Made{Missing: map[string][]string{}, Bare: map[string]bool{}, Secrets: map[string][]string{}},
		pods: map[string][]*corev1.Pod{}, taken: map[string]bool{}, has: map[string]bool{},
	}
	m.add(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: Node, Labels: map[string]string{"kubernetes.io/hostname": Node, "kubernetes.io/os": "linux"}},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: m.address(corev1.IPv4Protocol)}}},
	})
	for _, o := range all {
		switch o := o.(type) {
		case *corev1.Pod:
			m.taken[o.Namespace+"/"+o.Name] = true
		case *discoveryv1.EndpointSlice:
			m.has[o.Namespace+"/"+o.Labels[discoveryv1.LabelServiceName]] = true
		case *corev1.Endpoints: //nolint:staticcheck // the role endpoints reads them
			m.has[o.Namespace+"/"+o.Name] = true
		}
	}
	for _, o := range all {
		if p, ok := o.(*corev1.Pod); ok {
			m.run(p.DeepCopy())
		} else {
			m.workload(o)
		}
	}
	for _, o := range all {
		if s, ok := o.(*corev1.Service); ok {
			m.service(s)
		}
	}
	m.secrets(all)
	return m.made
}

func (m *maker) add(o runtime.Object) { m.made.Objects = append(m.made.Objects, o) }

// address returns an address that no other object has, of those for documentation.
func (m *maker) address(family corev1.IPFamily) string {
	m.count++
	if family == corev1.IPv6Protocol {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 12: byte(m.count >> 24), 13: byte(m.count >> 16), 14: byte(m.count >> 8), 15: byte(m.count)}).String()
	}
	return netip.AddrFrom4([4]byte{198, 18 + byte(m.count>>16), byte(m.count >> 8), byte(m.count)}).String()
}

// run adds a Pod as a cluster runs it.
func (m *maker) run(p *corev1.Pod) {
	if p.Spec.NodeName == "" {
		p.Spec.NodeName = Node
	}
	if p.Status.Phase == "" {
		p.Status.Phase = corev1.PodRunning
	}
	if p.Status.PodIP == "" {
		p.Status.PodIP = m.address(corev1.IPv4Protocol)
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	}
	m.pods[p.Namespace] = append(m.pods[p.Namespace], p)
	m.add(p)
}

// workload adds the Pod of a workload, and the objects between the two.
func (m *maker) workload(o runtime.Object) {
	switch w := o.(type) {
	case *appsv1.Deployment:
		set := &appsv1.ReplicaSet{ObjectMeta: owned(w, "Deployment", w.Name)}
		m.add(set)
		m.pod(set, "ReplicaSet", w.Name, &w.Spec.Template)
	case *appsv1.ReplicaSet:
		m.pod(w, "ReplicaSet", w.Name, &w.Spec.Template)
	case *appsv1.StatefulSet:
		m.pod(w, "StatefulSet", w.Name+"-0", &w.Spec.Template)
	case *appsv1.DaemonSet:
		m.pod(w, "DaemonSet", w.Name, &w.Spec.Template)
	case *corev1.ReplicationController:
		if w.Spec.Template != nil {
			m.pod(w, "ReplicationController", w.Name, w.Spec.Template)
		}
	case *batchv1.Job:
		m.pod(w, "Job", w.Name, &w.Spec.Template)
	case *batchv1.CronJob:
		job := &batchv1.Job{ObjectMeta: owned(w, "CronJob", w.Name)}
		m.add(job)
		m.pod(job, "Job", w.Name, &w.Spec.JobTemplate.Spec.Template)
	}
}

// owned is the metadata of an object that a controller makes.
func owned(by metav1.Object, kind, name string) metav1.ObjectMeta {
	yes := true
	return metav1.ObjectMeta{
		Name: name, Namespace: by.GetNamespace(),
		OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: by.GetName(), Controller: &yes}},
	}
}

// pod adds the Pod of a template. Its name is that of the workload, so that messages about it are clear.
func (m *maker) pod(by metav1.Object, kind, name string, t *corev1.PodTemplateSpec) {
	p := &corev1.Pod{ObjectMeta: owned(by, kind, name), Spec: *t.Spec.DeepCopy()}
	for n := 2; m.taken[p.Namespace+"/"+p.Name]; n++ {
		p.Name = fmt.Sprintf("%s-%d", name, n)
	}
	m.taken[p.Namespace+"/"+p.Name] = true
	t = t.DeepCopy()
	p.Labels, p.Annotations = t.Labels, t.Annotations
	switch extra := map[string]string{"StatefulSet": "statefulset.kubernetes.io/pod-name", "ReplicaSet": "pod-template-hash", "Job": "job-name"}[kind]; {
	case extra == "":
	case p.Labels == nil:
		p.Labels = map[string]string{extra: p.Name}
	default:
		p.Labels[extra] = p.Name
	}
	m.run(p)
}

// keyOf identifies an object among those of its kind.
func keyOf(o runtime.Object) string {
	m, err := meta.Accessor(o)
	if err != nil {
		return ""
	}
	return m.GetNamespace() + "/" + m.GetName()
}
