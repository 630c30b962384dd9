package objects

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// The transforms below remove the fields that no label and no decision needs. The relay then neither keeps these in memory nor
// compares them when an object changes. The transforms keep what Prometheus's discoverers read: labels, annotations, owners, and
// the fields named here. They clip slices, because the discoverers append to them.

// lastApplied is an annotation that repeats the whole object. It is removed from monitors only: annotations of other objects are
// labels of their targets.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func trimMeta(o runtime.Object) {
	m, err := meta.Accessor(o)
	if err != nil {
		return
	}
	m.SetManagedFields(nil)
	m.SetFinalizers(nil)
}

func trimService(o runtime.Object) {
	s, ok := o.(*corev1.Service)
	if !ok {
		return
	}
	trimMeta(s)
	s.Spec = corev1.ServiceSpec{
		Type: s.Spec.Type, ClusterIP: s.Spec.ClusterIP, ExternalName: s.Spec.ExternalName, LoadBalancerIP: s.Spec.LoadBalancerIP, // a label with role service
		IPFamilies: s.Spec.IPFamilies, IPFamilyPolicy: s.Spec.IPFamilyPolicy, Ports: s.Spec.Ports,
		Selector: s.Spec.Selector, // explanations read it
	}
	status := corev1.ServiceStatus{}
	for _, i := range s.Status.LoadBalancer.Ingress { // the same label
		status.LoadBalancer.Ingress = append(status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: i.IP})
	}
	s.Status = status
}

func trimPod(o runtime.Object) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	trimMeta(p)
	p.Spec = corev1.PodSpec{
		NodeName: p.Spec.NodeName, Containers: trimContainers(p.Spec.Containers), InitContainers: trimContainers(p.Spec.InitContainers),
		HostNetwork: p.Spec.HostNetwork, RestartPolicy: p.Spec.RestartPolicy, SchedulerName: p.Spec.SchedulerName, ServiceAccountName: p.Spec.ServiceAccountName,
	}
	status := corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP, HostIP: p.Status.HostIP, NominatedNodeName: p.Status.NominatedNodeName}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
			break
		}
	}
	status.ContainerStatuses = trimStatuses(p.Status.ContainerStatuses)
	status.InitContainerStatuses = trimStatuses(p.Status.InitContainerStatuses)
	p.Status = status
}

func trimContainers(cs []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, len(cs))
	for i := range cs {
		out[i] = corev1.Container{Name: cs[i].Name, Image: cs[i].Image, Ports: slices.Clip(cs[i].Ports)}
	}
	return out
}

func trimStatuses(ss []corev1.ContainerStatus) []corev1.ContainerStatus {
	out := make([]corev1.ContainerStatus, len(ss))
	for i := range ss {
		out[i] = corev1.ContainerStatus{Name: ss[i].Name, ContainerID: ss[i].ContainerID}
	}
	return out
}

func trimNode(o runtime.Object) {
	n, ok := o.(*corev1.Node)
	if !ok {
		return
	}
	trimMeta(n)
	n.Spec = corev1.NodeSpec{ProviderID: n.Spec.ProviderID, Unschedulable: n.Spec.Unschedulable}
	status := corev1.NodeStatus{Addresses: n.Status.Addresses, DaemonEndpoints: n.Status.DaemonEndpoints}
	for _, c := range n.Status.Conditions { // without the times of heartbeats
		status.Conditions = append(status.Conditions, corev1.NodeCondition{Type: c.Type, Status: c.Status})
	}
	n.Status = status
}

func trimNamespace(o runtime.Object) {
	trimMeta(o)
	if n, ok := o.(*corev1.Namespace); ok {
		n.Spec, n.Status = corev1.NamespaceSpec{}, corev1.NamespaceStatus{}
	}
}

func trimReplicaSet(o runtime.Object) {
	if r, ok := o.(*appsv1.ReplicaSet); ok {
		*r = appsv1.ReplicaSet{ObjectMeta: onlyOwners(r.ObjectMeta)}
	}
}

func trimJob(o runtime.Object) {
	if j, ok := o.(*batchv1.Job); ok {
		*j = batchv1.Job{ObjectMeta: onlyOwners(j.ObjectMeta)}
	}
}

func onlyOwners(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, ResourceVersion: m.ResourceVersion, OwnerReferences: m.OwnerReferences}
}

func trimMonitor(o runtime.Object) {
	trimMeta(o)
	m, err := meta.Accessor(o)
	if err != nil {
		return
	}
	annotations := m.GetAnnotations()
	delete(annotations, lastApplied)
	m.SetAnnotations(annotations)
}
