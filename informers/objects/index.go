package objects

import (
	"net/netip"

	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// Names of the indexes. Prometheus's discoverers demand those of Services, Pods, Nodes and namespaces.
const (
	ByService    = "service"
	ByPod        = "pod"
	ByNode       = "node"
	ByNamespace  = cache.NamespaceIndex
	ByReplicaSet = "replicaset"
	ByJob        = "job"
	ByKubelet    = "kubelet" // Nodes by the addresses of their kubelets, as host:port
)

// index makes an index function from one for a single type.
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

// kubeletAddresses are the addresses at which a Node's kubelet may be reached, as host:port.
func kubeletAddresses(n *corev1.Node) (out []string) {
	for _, a := range n.Status.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil && addr.Zone() == "" {
			out = append(out, netip.AddrPortFrom(addr.Unmap(), uint16(KubeletPort(n))).String())
		}
	}
	return out
}

// KubeletPort returns the port that a Node's status gives for its kubelet. It returns the usual port if that is not valid.
func KubeletPort(n *corev1.Node) int32 {
	if p := n.Status.DaemonEndpoints.KubeletEndpoint.Port; p > 0 && p <= 65535 {
		return p
	}
	return targets.KubeletPort
}
