package workloads

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// service adds the EndpointSlices and Endpoints of a Service, unless the manifests have some. If the Pods behind it are not in the
// manifests, its endpoint has no Pod.
func (m *maker) service(s *corev1.Service) {
	key := s.Namespace + "/" + s.Name
	if m.has[key] || s.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	var behind []*corev1.Pod
	if len(s.Spec.Selector) > 0 {
		sel := labels.SelectorFromSet(s.Spec.Selector)
		for _, p := range m.pods[s.Namespace] {
			if sel.Matches(labels.Set(p.Labels)) {
				behind = append(behind, p)
			}
		}
	}
	e := &endpoints{service: s}
	for _, p := range behind {
		e.add(m, p)
	}
	if len(behind) == 0 {
		m.made.Bare[key] = true
		e.add(m, nil)
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if len(behind) > 0 && p.TargetPort.Type == intstr.String && !e.found[i] {
			m.made.Missing[key] = append(m.made.Missing[key], fmt.Sprintf("port %s has targetPort %q, and no container of %s declares a port of this name", shownPort(p), p.TargetPort.StrVal, names(behind)))
		}
	}
	m.add(&e.endpoints)
	for _, slice := range e.slices {
		m.add(slice)
	}
}

func shownPort(p *corev1.ServicePort) string {
	return strings.TrimSpace(fmt.Sprintf("%s %d", p.Name, p.Port))
}

// names names the first Pods.
func names(pods []*corev1.Pod) string {
	var out []string
	for _, p := range pods[:min(len(pods), 3)] {
		out = append(out, "Pod "+p.Namespace+"/"+p.Name)
	}
	if more := len(pods) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

// endpoints are what a cluster makes of one Service.
type endpoints struct {
	service   *corev1.Service
	slices    []*discoveryv1.EndpointSlice
	endpoints corev1.Endpoints //nolint:staticcheck // the role endpoints reads them
	found     map[int]bool     // ports that a Pod has
}

// add adds a Pod behind the Service; nil for one that is not known. Each Pod has a slice of its own, because the numbers of its ports may
// differ from those of others.
func (e *endpoints) add(m *maker, p *corev1.Pod) {
	s := e.service
	family := corev1.IPv4Protocol
	if len(s.Spec.IPFamilies) > 0 {
		family = s.Spec.IPFamilies[0]
	}
	slice := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressType(family), ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("%s-%d", s.Name, len(e.slices)+1), Namespace: s.Namespace, Labels: map[string]string{}, Annotations: maps.Clone(s.Annotations),
	}}
	maps.Copy(slice.Labels, s.Labels)
	e.endpoints.ObjectMeta = metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, Labels: maps.Clone(s.Labels), Annotations: maps.Clone(s.Annotations)}
	slice.Labels[discoveryv1.LabelServiceName] = s.Name
	slice.Labels[discoveryv1.LabelManagedBy] = "endpointslice-controller.k8s.io"
	yes := true
	endpoint := discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}}
	address := corev1.EndpointAddress{}
	if p == nil || family == corev1.IPv6Protocol {
		endpoint.Addresses = []string{m.address(family)}
	} else {
		endpoint.Addresses = []string{p.Status.PodIP}
	}
	if p != nil {
		endpoint.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
		endpoint.NodeName = &p.Spec.NodeName
		address.NodeName = &p.Spec.NodeName
	}
	address.IP, address.TargetRef = endpoint.Addresses[0], endpoint.TargetRef
	slice.Endpoints = []discoveryv1.Endpoint{endpoint}
	subset := corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{address}} //nolint:staticcheck // see above
	for i := range s.Spec.Ports {
		port := &s.Spec.Ports[i]
		number, ok := numberOf(port, p)
		if !ok {
			continue
		}
		if e.found == nil {
			e.found = map[int]bool{}
		}
		e.found[i] = true
		protocol := protocolOf(port.Protocol)
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &port.Name, Port: &number, Protocol: &protocol, AppProtocol: port.AppProtocol})
		subset.Ports = append(subset.Ports, corev1.EndpointPort{Name: port.Name, Port: number, Protocol: protocol, AppProtocol: port.AppProtocol})
	}
	e.endpoints.Subsets = append(e.endpoints.Subsets, subset)
	e.slices = append(e.slices, slice)
}

func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// numberOf returns the number that a port of a Service has at a Pod; false if the Pod has no port of its name.
func numberOf(port *corev1.ServicePort, p *corev1.Pod) (number int32, ok bool) {
	switch {
	case port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal > 0:
		return port.TargetPort.IntVal, true
	case port.TargetPort.Type == intstr.Int || p == nil:
		return port.Port, true
	}
	for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range list {
			for _, cp := range list[i].Ports {
				if cp.Name == port.TargetPort.StrVal && protocolOf(cp.Protocol) == protocolOf(port.Protocol) {
					return cp.ContainerPort, true
				}
			}
		}
	}
	return 0, false
}
