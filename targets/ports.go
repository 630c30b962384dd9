package targets

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// port is a port that exists, as far as it is known.
type port struct {
	name, number string
	container    string // the port of the container, by name or number
}

// ofPorts says that all discovered targets of a job are at other ports than the one that a field names.
func ofPorts(from Objects, j *JobStatus) Step {
	rule := j.Job.Port
	text, known := portsOf(j.Dropped, rule.Label)
	out := Step{Name: StepEndpoints, Outcome: OutcomeBroken, Text: fmt.Sprintf("%s is %q; %s", rule.From.Field, rule.From.Value, text)}
	for _, d := range j.Dropped {
		if svc, ok := serviceOf(from, d.Discovered).(*corev1.Service); ok {
			known = append(known, portsOfService(svc, rule)...)
			break
		}
	}
	out.Mend = mendPort(j.Job, known)
	if unnamed := withoutName(from, j, known); unnamed != "" {
		out.Mend = unnamed
	}
	return out
}

// withoutName says how to have a port found that exists without a name, if no port has a name like the wanted one. It is empty if there
// is no such port. Of several ports without a name it prefers the one that a Service calls by the wanted name.
func withoutName(from Objects, j *JobStatus, known []port) string {
	field, v := j.Job.Port.From.Field, j.Job.Port.From.Value
	var names, numbers []string
	for _, p := range known {
		switch {
		case p.name != "":
			names = append(names, p.name)
		case !slices.Contains(numbers, p.number):
			numbers = append(numbers, cmp.Or(p.container, p.number))
		}
	}
	_, err := strconv.Atoi(v)
	if !strings.HasSuffix(field, ".port") || err == nil || len(numbers) == 0 || nearest(v, names) != "" {
		return ""
	}
	called := ""
	if by, number := namedByService(from, j, v); slices.Contains(numbers, number) {
		numbers, called = []string{number}, fmt.Sprintf(" (%s calls it %s)", by, v)
	}
	at := field[:strings.LastIndexByte(field, '.')+1]
	if len(numbers) == 1 {
		return fmt.Sprintf("give port %s the name %s%s, or set %s in %s", numbers[0], v, called, byNumber(j.Job, at, numbers[0]), j.Job.Owner)
	}
	return fmt.Sprintf("give one of the ports %s the name %s, or set %s in %s", UpTo(numbers, 3*maxNamed), v, byNumber(j.Job, at, "its number"), j.Job.Owner)
}

// namedByService returns the Service that calls a port of a dropped Pod by a name, and the number of the port.
func namedByService(from Objects, j *JobStatus, name string) (service, number string) {
	for _, d := range j.Dropped[:min(len(j.Dropped), maxNamed)] {
		ns := d.Discovered["__meta_kubernetes_namespace"]
		pod := from.Get(RolePod, ns+"/"+d.Discovered["__meta_kubernetes_pod_name"])
		if pod == nil {
			continue
		}
		for o := range from.All(RoleService, []string{ns}) {
			svc, ok := o.(*corev1.Service)
			if !ok || len(svc.Spec.Selector) == 0 || !k8slabels.SelectorFromSet(svc.Spec.Selector).Matches(k8slabels.Set(pod.GetLabels())) {
				continue
			}
			for i := range svc.Spec.Ports {
				if p := &svc.Spec.Ports[i]; p.Name == name {
					return "Service " + keyOf(svc), targetPort(p)
				}
			}
		}
	}
	return "", ""
}

// portsOfService are the ports that a Service names. For a rule of container ports they are the names of its ports, and their target
// ports.
func portsOfService(svc *corev1.Service, rule *PortRule) (out []port) {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		to := targetPort(p)
		if !strings.Contains(rule.Label, "_container_") {
			out = append(out, port{p.Name, fmt.Sprint(p.Port), to})
			continue
		}
		out = append(out, port{name: p.Name, number: fmt.Sprint(p.Port)})
		if _, err := strconv.Atoi(to); err == nil {
			out = append(out, port{number: to, container: to})
		} else {
			out = append(out, port{name: to, container: to})
		}
	}
	return out
}

// portsOf lists the ports that a label of discovery names, of the first few objects. It groups objects with the same ports.
func portsOf(dropped []Dropped, label string) (text string, known []port) {
	ports := map[string][]string{} // by object
	kind := "Pod"
	for _, d := range dropped {
		name := d.Discovered["__meta_kubernetes_service_name"]
		if name == "" {
			name = d.Discovered["__meta_kubernetes_pod_name"]
		} else {
			kind = "Service"
		}
		name = d.Discovered["__meta_kubernetes_namespace"] + "/" + name
		p, shown := portOf(d.Discovered, label)
		if !slices.Contains(ports[name], shown) {
			ports[name] = append(ports[name], shown)
		}
		if !slices.Contains(known, p) {
			known = append(known, p)
		}
	}
	objects := map[string][]string{} // by their ports
	for name, all := range ports {
		slices.Sort(all)
		text := UpTo(all, 3*maxNamed)
		objects[text] = append(objects[text], name)
	}
	what := "ports of "
	if kind == "Service" && strings.Contains(label, "_container_") {
		what = "container ports behind "
	}
	var out []string
	for text, names := range objects {
		slices.Sort(names)
		of := kind
		if len(names) > 1 {
			of += "s"
		}
		out = append(out, "the "+what+of+" "+UpTo(names, maxNamed)+" are "+text)
	}
	slices.Sort(out)
	return UpTo(out, maxNamed), known
}

// portOf names the port of a target, as the rule of a label sees it.
func portOf(discovered map[string]string, label string) (p port, shown string) {
	const container = "__meta_kubernetes_pod_container_"
	p.name, p.number = discovered[label], discovered["__meta_kubernetes_endpointslice_port"]
	if p.number == "" {
		_, p.number, _ = net.SplitHostPort(discovered[model.AddressLabel])
	}
	if strings.HasPrefix(label, container) {
		declared := discovered[container+"port_number"]
		switch {
		case declared == "" && p.number == "":
			return port{}, "none (container " + discovered[container+"name"] + ")"
		case declared == "":
			return port{}, p.number + " (declared by no container)"
		}
		p.name, p.number, p.container = discovered[container+"port_name"], declared, declared
	}
	if p.name == "" {
		return p, p.number + " (without a name)"
	}
	return p, p.name + " (" + p.number + ")"
}

// mendPort says which port to name in place of the one that a job names.
func mendPort(j *Job, known []port) string {
	field, v := j.Port.From.Field, j.Port.From.Value
	in := " in " + j.Owner.String()
	at, byName := field[:strings.LastIndexByte(field, '.')+1], strings.HasSuffix(field, ".port")
	_, err := strconv.Atoi(v)
	number := err == nil
	var names, numbers []string
	for _, p := range known {
		switch {
		case byName && number && p.name != "" && (p.number == v || p.container == v):
			return fmt.Sprintf("%s takes the name of a port, not its number: set %s: %s%s", field, field, p.name, in)
		case !byName && p.name == v && p.container == "":
			return fmt.Sprintf("%s is the name of the Service's port: set %sport: %s in place of targetPort%s", v, at, v, in)
		}
		if p.name != "" && !slices.Contains(names, p.name) && (byName || p.container != "") {
			names = append(names, p.name)
		}
		if n := p.number; n != "" && !slices.Contains(numbers, n) && p.container != "" {
			numbers = append(numbers, n)
		}
	}
	if !byName && number {
		names = numbers
	}
	near := nearest(v, names)
	switch {
	case byName && number && len(names) > 0:
		return fmt.Sprintf("%s takes the name of a port, not its number: set it to %s%s", field, oneOf(names), in)
	case byName && number:
		return fmt.Sprintf("%s takes the name of a port, not its number, and the port has no name: give it one, or set %s", field, byNumber(j, at, v)+in)
	case near != "":
		return fmt.Sprintf("set %s: %s%s", field, near, in)
	case len(names) > 0:
		return fmt.Sprintf("set %s to %s%s", field, oneOf(names), in)
	case byName:
		return fmt.Sprintf("give the port the name %s, or set %s", v, byNumber(j, at, "its number")+in)
	}
	return fmt.Sprintf("declare the port %s in the container of the Pod, or correct %s%s", v, field, in)
}

// byNumber is the field that takes the number of a port.
func byNumber(j *Job, at, number string) string {
	if j.Owner.Kind == PodMonitor {
		return at + "portNumber: " + number
	}
	return at + "targetPort: " + number
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + UpTo(words, 3*maxNamed)
}

// ofDrops says why all targets that a job discovered were dropped.
func ofDrops(from Objects, j *JobStatus) Step {
	other := slices.IndexFunc(j.Dropped, func(d Dropped) bool { return !d.ByPort })
	if other < 0 {
		return ofPorts(from, j)
	}
	out := Step{Name: StepTargets, Outcome: OutcomeBroken, Mend: j.Dropped[other].mend(j.Job), Facts: dropFacts(j.Dropped)}
	if len(j.Dropped) == 1 {
		out.Text = "the only target that it discovered was dropped: " + j.Dropped[0].Reason
	} else {
		out.Text = fmt.Sprintf("all %d targets that it discovered were dropped, one of them by %s", len(j.Dropped), j.Dropped[other].Reason)
	}
	return out
}

// dropFacts counts dropped targets by their reason.
func dropFacts(all []Dropped) (out []string) {
	n := map[string]int{}
	for _, d := range all {
		n[d.Reason]++
	}
	reasons := sortedKeys(n)
	slices.SortStableFunc(reasons, func(a, b string) int { return n[b] - n[a] })
	for i, r := range reasons {
		if i == 3*maxNamed {
			return append(out, fmt.Sprintf("and %d more reasons", len(reasons)-i))
		}
		out = append(out, fmt.Sprintf("%s dropped: %s", counted(n[r], [2]string{"target", "targets"}), r))
	}
	return out
}

// mend says what to change so that a target is not dropped.
func (d Dropped) mend(j *Job) string {
	of := " of " + j.Owner.String()
	switch {
	case d.Yielded:
		return "" // as configured
	case d.Origin.Field == "" && d.Rule >= 0:
		return "look at rule " + strconv.Itoa(d.Rule) + of
	case strings.HasSuffix(d.Origin.Field, "filterRunning"):
		pod := d.Discovered["__meta_kubernetes_namespace"] + "/" + d.Discovered["__meta_kubernetes_pod_name"]
		return mendEnded(corev1.PodPhase(d.Discovered["__meta_kubernetes_pod_phase"]), pod, d.Origin.Field)
	case d.NeverSet.Mend != "":
		return d.NeverSet.Mend + ", or remove " + d.Origin.Field
	case d.Rule >= 0:
		return "change or remove " + d.Origin.Field + of
	case j.Owner.Kind == NodesBlock:
		return "give the Node an InternalIP: its status.addresses come from the cloud provider or from --node-ip of the kubelet"
	}
	return "correct this value in " + j.Owner.String() + ", or the relabelings that set it"
}
