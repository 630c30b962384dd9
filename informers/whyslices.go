package informers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// whyNoSlices says why the EndpointSlices of a Service give no targets.
func (s *search) whyNoSlices(svc *corev1.Service) string {
	name := "Service " + objects.Key(svc)
	of := s.d.watched["endpointslices"]
	keys := of.indexed(objects.ByService, objects.Key(svc))
	if len(keys) == 0 {
		return s.whyNoSlice(svc, name)
	}
	reason := ""
	for _, key := range keys {
		obj, ok, err := of.GetByKey(key)
		slice, is := obj.(*discoveryv1.EndpointSlice)
		if !ok || err != nil || !is {
			continue
		}
		why := s.whySlice(svc, slice, "EndpointSlice "+key+" of "+name)
		if reason = why; len(slice.Endpoints) > 0 { // prefer the reason of one that has endpoints
			break
		}
	}
	if reason == "" {
		return name + " has no EndpointSlice any more"
	}
	return reason
}

func (s *search) whySlice(svc *corev1.Service, slice *discoveryv1.EndpointSlice, name string) string {
	if sel, ok := s.selectors[targets.RoleEndpointSlice]; ok && !matches(sel, slice) {
		return fmt.Sprintf("%s does not have the labels %s itself, which selectorMechanism RoleSelector asks for", name, sel.Labels)
	}
	policy := svc.Spec.IPFamilyPolicy
	dual := policy != nil && (*policy == corev1.IPFamilyPolicyPreferDualStack || *policy == corev1.IPFamilyPolicyRequireDualStack)
	if dual && len(svc.Spec.IPFamilies) > 0 && string(slice.AddressType) != string(svc.Spec.IPFamilies[0]) { // nonPrimaryIPFamilySlice of Prometheus
		return fmt.Sprintf("%s is of %s, and only the first family of the Service is scraped, %s", name, slice.AddressType, svc.Spec.IPFamilies[0])
	}
	addresses := 0
	for i := range slice.Endpoints {
		addresses += len(slice.Endpoints[i].Addresses)
	}
	switch {
	case len(slice.Endpoints) == 0:
		return name + " is empty: no Pod is behind the Service"
	case addresses == 0:
		return name + " has endpoints without addresses"
	case len(slice.Ports) == 0:
		return name + " has no ports"
	}
	return name + " gives no targets"
}

// whyNoSlice is whyNoSlices for a Service that has none. It also says which of the ports would be scraped, because manifests in a
// pull request have Services and no slices.
func (s *search) whyNoSlice(svc *corev1.Service, name string) string {
	if s.d.isDirectory() {
		why := name + " is selected, " + s.ports(svc) + "; the directory has no EndpointSlice of it, so that its Pods are not known"
		if s.hasEndpoints(svc) {
			why = name + " has Endpoints and no EndpointSlice: serviceDiscoveryRole: Endpoints takes them"
		}
		return why
	}
	return name + " has no EndpointSlice. If it has Endpoints alone, serviceDiscoveryRole: Endpoints takes them"
}

func (s *search) hasEndpoints(svc *corev1.Service) bool {
	return s.d.directory().Has("endpoints", objects.Key(svc))
}

// whyNoEndpoints says why the Endpoints of a Service give no targets.
func (s *search) whyNoEndpoints(svc *corev1.Service) string {
	name := "Service " + objects.Key(svc)
	obj, ok, err := s.d.watched["endpoints"].GetByKey(objects.Key(svc))
	e, is := obj.(*corev1.Endpoints) //nolint:staticcheck // the role endpoints reads them
	if !ok || err != nil || !is {
		if s.d.isDirectory() {
			return name + " is selected, " + s.ports(svc) + "; the directory has no Endpoints of it, so that its Pods are not known"
		}
		return name + " has no Endpoints"
	}
	if sel, ok := s.selectors[targets.RoleEndpoints]; ok && !matches(sel, e) {
		return fmt.Sprintf("the Endpoints of %s do not have the labels %s themselves, which selectorMechanism RoleSelector asks for", name, sel.Labels)
	}
	for i := range e.Subsets {
		if len(e.Subsets[i].Ports) == 0 && len(e.Subsets[i].Addresses)+len(e.Subsets[i].NotReadyAddresses) > 0 {
			return "the Endpoints of " + name + " have no ports"
		}
	}
	return "the Endpoints of " + name + " are empty: no Pod is behind it"
}

// ports says which ports of a Service the job would scrape.
func (s *search) ports(svc *corev1.Service) string {
	rule := s.job.Port
	var match, all []string
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		shown := strings.TrimSpace(fmt.Sprintf("%s %d", p.Name, p.Port))
		all = append(all, shown)
		if rule == nil || rule.Regex.MatchString(portValue(p, rule.Label)) {
			match = append(match, shown)
		}
	}
	switch {
	case len(all) == 0:
		return "but it has no ports"
	case len(match) == 1:
		return "and its port " + match[0] + " matches"
	case len(match) > 1:
		return "and its ports " + strings.Join(match, ", ") + " match"
	}
	return fmt.Sprintf("but of its ports (%s) none %s", strings.Join(all, ", "), portDemand(rule))
}

// portValue is the value that a port rule's label has for a Service's port, as far as the Service says.
func portValue(p *corev1.ServicePort, label string) string {
	if !strings.Contains(label, "_container_") {
		return p.Name
	}
	if p.TargetPort.StrVal == "" && p.TargetPort.IntVal == 0 {
		return fmt.Sprint(p.Port)
	}
	return p.TargetPort.String()
}

func portDemand(rule *targets.PortRule) string {
	what := "is called"
	if strings.Contains(rule.Label, "_container_") {
		what = "has the targetPort"
	}
	return fmt.Sprintf("%s %q", what, rule.Regex.String())
}
