package targets

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// whyNoSlices says why the EndpointSlices of a Service give no targets.
func (s *search) whyNoSlices(svc *corev1.Service) Step {
	all := s.Slices(keyOf(svc))
	if len(all) == 0 {
		return s.whyNoSlice(svc)
	}
	var reason Step
	for _, slice := range all {
		reason = s.whySlice(svc, slice)
		if len(slice.Endpoints) > 0 { // prefer the reason of one that has endpoints
			break
		}
	}
	return reason
}

func (s *search) whySlice(svc *corev1.Service, slice *discoveryv1.EndpointSlice) Step {
	name := "EndpointSlice " + keyOf(slice) + " of Service " + keyOf(svc)
	if sel, ok := s.selectors[RoleEndpointSlice]; ok && !s.Matches(sel, slice) {
		return Step{
			Text: fmt.Sprintf("%s does not have the labels %s itself, which selectorMechanism RoleSelector asks for", name, sel.Labels),
			Mend: "take selectorMechanism out of " + s.owner() + ", or give the Service these labels, which Kubernetes copies to its slices",
		}
	}
	policy := svc.Spec.IPFamilyPolicy
	dual := policy != nil && (*policy == corev1.IPFamilyPolicyPreferDualStack || *policy == corev1.IPFamilyPolicyRequireDualStack)
	if dual && len(svc.Spec.IPFamilies) > 0 && string(slice.AddressType) != string(svc.Spec.IPFamilies[0]) { // nonPrimaryIPFamilySlice of Prometheus
		return Step{
			Text: fmt.Sprintf("%s is of %s, and only the first family of the Service is scraped, %s", name, slice.AddressType, svc.Spec.IPFamilies[0]),
			Mend: "set spec.ipFamilies of the Service so that " + string(slice.AddressType) + " comes first",
		}
	}
	addresses := 0
	for i := range slice.Endpoints {
		addresses += len(slice.Endpoints[i].Addresses)
	}
	switch {
	case len(slice.Endpoints) == 0:
		return s.noPodBehind(svc, name+" is empty")
	case addresses == 0:
		return Step{Text: name + " has endpoints without addresses", Mend: "look who writes this EndpointSlice"}
	case len(slice.Ports) == 0:
		return Step{Text: name + " has no ports", Mend: "give the Service a port, with the name that " + s.owner() + " names"}
	}
	return Step{Text: name + " gives no targets"}
}

// noPodBehind says why no Pod is behind a Service.
func (s *search) noPodBehind(svc *corev1.Service, begin string) Step {
	if len(svc.Spec.Selector) == 0 {
		return Step{
			Text: begin + ": the Service has no selector, so that Kubernetes gives it no Pods",
			Mend: "give Service " + keyOf(svc) + " a selector, or make its EndpointSlices with addresses by hand",
		}
	}
	if s.Off(RolePod) != "" {
		return Step{Text: begin + ": no Pod is behind the Service"}
	}
	want := k8slabels.SelectorFromSet(svc.Spec.Selector)
	var match []string
	for o := range s.All(RolePod, []string{svc.Namespace}) {
		if p, ok := o.(*corev1.Pod); ok && want.Matches(k8slabels.Set(p.Labels)) {
			match = append(match, p.Name+" ("+podState(p)+")")
		}
	}
	slices.Sort(match)
	if len(match) > 0 {
		return Step{
			Text: fmt.Sprintf("%s: the Pods that the Service selects have no address: %s", begin, UpTo(match, maxNamed)),
			Mend: "look why these Pods do not run: kubectl -n " + svc.Namespace + " describe pod",
		}
	}
	out := Step{
		Text: fmt.Sprintf("%s: no Pod is behind the Service, its selector %s matches none in namespace %s", begin, want, svc.Namespace),
		Mend: fmt.Sprintf("start the Pods, or correct spec.selector of Service %s", keyOf(svc)),
	}
	if n := nearestObject(want, s.All(RolePod, []string{svc.Namespace}), svc.Name); n != nil {
		out.Text += fmt.Sprintf("; the closest Pod, %s, %s", keyOf(n.object), n.has())
		out.Mend = n.mend("spec.selector of Service "+keyOf(svc), "Pod "+keyOf(n.object)+" (in its template)")
	}
	return out
}

// podState says in a few words whether a Pod is ready.
func podState(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue && p.Status.Phase == corev1.PodRunning {
			return "not ready"
		}
	}
	if p.Status.Phase == "" {
		return "no phase yet"
	}
	return string(p.Status.Phase)
}

// whyNoSlice is whyNoSlices for a Service that has none. It also says which of the ports would be scraped, because manifests in a
// pull request have Services and no slices.
func (s *search) whyNoSlice(svc *corev1.Service) Step {
	name := "Service " + keyOf(svc)
	endpoints := Step{
		Text: name + " has Endpoints and no EndpointSlice: serviceDiscoveryRole: Endpoints takes them", Mend: "set serviceDiscoveryRole: Endpoints in " + s.owner(),
	}
	switch {
	case s.FromFiles() && s.Get(RoleEndpoints, keyOf(svc)) != nil:
		return endpoints
	case s.FromFiles():
		ports, mend := s.ports(svc)
		return Step{Text: name + " is selected, " + ports + "; the directory has no EndpointSlice of it, so that its Pods are not known", Mend: mend}
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return Step{
			Text: fmt.Sprintf("%s is of type ExternalName (%s): such a Service has no EndpointSlices and no Pods", name, svc.Spec.ExternalName),
			Mend: "scrape " + svc.Spec.ExternalName + " by a ScrapeConfig with staticConfigs",
		}
	case len(svc.Spec.Selector) > 0:
		return s.noPodBehind(svc, name+" has no EndpointSlice")
	}
	return Step{
		Text: name + " has no EndpointSlice, and no selector by which Kubernetes would make one. If it has Endpoints alone, serviceDiscoveryRole: Endpoints takes them",
		Mend: "give the Service a selector, or set serviceDiscoveryRole: Endpoints in " + s.owner(),
	}
}

// whyNoEndpoints says why the Endpoints of a Service give no targets.
func (s *search) whyNoEndpoints(svc *corev1.Service) Step {
	name := "Service " + keyOf(svc)
	e, _ := s.Get(RoleEndpoints, keyOf(svc)).(*corev1.Endpoints) //nolint:staticcheck // the role endpoints reads them
	if e == nil {
		if s.FromFiles() {
			ports, mend := s.ports(svc)
			return Step{Text: name + " is selected, " + ports + "; the directory has no Endpoints of it, so that its Pods are not known", Mend: mend}
		}
		return s.noPodBehind(svc, name+" has no Endpoints")
	}
	if sel, ok := s.selectors[RoleEndpoints]; ok && !s.Matches(sel, e) {
		return Step{
			Text: fmt.Sprintf("the Endpoints of %s do not have the labels %s themselves, which selectorMechanism RoleSelector asks for", name, sel.Labels),
			Mend: "take selectorMechanism out of " + s.owner(),
		}
	}
	for i := range e.Subsets {
		if len(e.Subsets[i].Ports) == 0 && len(e.Subsets[i].Addresses)+len(e.Subsets[i].NotReadyAddresses) > 0 {
			return Step{Text: "the Endpoints of " + name + " have no ports", Mend: "give the Service a port"}
		}
	}
	return s.noPodBehind(svc, "the Endpoints of "+name+" are empty")
}

// ports says which ports of a Service the job would scrape, and what to change if none.
func (s *search) ports(svc *corev1.Service) (text, mend string) {
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
		return "but it has no ports", "give the Service a port"
	case len(match) == 1:
		return "and its port " + match[0] + " matches", ""
	case len(match) > 1:
		return "and its ports " + strings.Join(match, ", ") + " match", ""
	}
	return fmt.Sprintf("but of its ports (%s) none %s", strings.Join(all, ", "), portDemand(rule)), mendPort(s.job, portsOfService(svc, rule))
}

// portValue is the value that a port rule's label has for a Service's port, as far as the Service says.
func portValue(p *corev1.ServicePort, label string) string {
	if !strings.Contains(label, "_container_") {
		return p.Name
	}
	return targetPort(p)
}

func targetPort(p *corev1.ServicePort) string {
	if p.TargetPort.StrVal == "" && p.TargetPort.IntVal == 0 {
		return fmt.Sprint(p.Port)
	}
	return p.TargetPort.String()
}

func portDemand(rule *PortRule) string {
	what := "is called"
	if strings.Contains(rule.Label, "_container_") {
		what = "has the targetPort"
	}
	return fmt.Sprintf("%s %q", what, rule.Regex.String())
}

// serviceOf returns the Service that discovered labels name, nil if it is not known.
func serviceOf(from Objects, discovered map[string]string) metav1.Object {
	name := discovered["__meta_kubernetes_service_name"]
	if name == "" {
		return nil
	}
	return from.Get(RoleService, discovered["__meta_kubernetes_namespace"]+"/"+name)
}
