package informers

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"promrelay/targets"
)

// whyDropped says why all targets that a job discovered were dropped.
func whyDropped(j *targets.JobStatus) string {
	other := slices.IndexFunc(j.Dropped, func(d targets.Dropped) bool { return !d.ByPort })
	switch {
	case other < 0:
		port := j.Job.Port
		return fmt.Sprintf("%s is %q; %s", port.From.Field, port.From.Value, portsOf(j.Dropped, port.Label))
	case len(j.Dropped) == 1:
		return "the only target that it discovered was dropped: " + j.Dropped[0].Reason
	}
	return fmt.Sprintf("all %d targets that it discovered were dropped, one of them by %s", len(j.Dropped), j.Dropped[other].Reason)
}

// portsOf lists the ports that a label of discovery names, of the first few objects. It groups objects with the same ports.
func portsOf(dropped []targets.Dropped, label string) string {
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
		if p := portOf(d.Discovered, label); !slices.Contains(ports[name], p) {
			ports[name] = append(ports[name], p)
		}
	}
	objects := map[string][]string{} // by their ports
	for name, all := range ports {
		slices.Sort(all)
		text := upTo(all, 3*maxNamed)
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
		out = append(out, "the "+what+of+" "+upTo(names, maxNamed)+" are "+text)
	}
	slices.Sort(out)
	return upTo(out, maxNamed)
}

// upTo joins the first n words and says how many more there are.
func upTo(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}

// portOf names the port of a target, as the rule of a label sees it.
func portOf(discovered map[string]string, label string) string {
	const container = "__meta_kubernetes_pod_container_"
	name, number := discovered[label], discovered["__meta_kubernetes_endpointslice_port"]
	if number == "" {
		_, number, _ = net.SplitHostPort(discovered[model.AddressLabel])
	}
	if strings.HasPrefix(label, container) {
		declared := discovered[container+"port_number"]
		switch {
		case declared == "" && number == "":
			return "none (container " + discovered[container+"name"] + ")"
		case declared == "":
			return number + " (declared by no container)"
		}
		name, number = discovered[container+"port_name"], declared
	}
	if name == "" {
		return number + " (without a name)"
	}
	return name + " (" + number + ")"
}
