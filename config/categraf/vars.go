package categraf

import (
	"os"
	"slices"
	"strings"
)

// What a variable stands for if it differs from node to node. Both are valid as a host of a URL.
const (
	nodeName = "node-name.categraf.invalid"
	nodeIP   = "node-ip.categraf.invalid"
)

// metaLabels are the labels of the role node that hold these.
var metaLabels = map[string]string{nodeName: "__meta_kubernetes_node_name", nodeIP: "__meta_kubernetes_node_address_InternalIP"}

// vars are what variables stand for.
type vars map[string]string

// variables returns the variables of a workload, or those that are usual.
func variables(w *workload) vars {
	v := vars{"hostname": nodeName, "ip": nodeIP}
	if w == nil {
		for _, name := range []string{"HOSTNAME", "NODE_NAME", "NODENAME", "K8S_NODE_NAME"} {
			v[name] = nodeName
		}
		for _, name := range []string{"HOSTIP", "HOST_IP", "NODE_IP", "NODEIP"} {
			v[name] = nodeIP
		}
		return v
	}
	v["HOSTNAME"] = nodeName // of a pod with the host's network; else the manifest sets it
	for _, c := range w.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			switch e.ValueFrom.FieldRef.FieldPath {
			case "spec.nodeName":
				v[e.Name] = nodeName
			case "status.hostIP":
				v[e.Name] = nodeIP
			case "":
				v[e.Name] = e.Value
			}
		}
	}
	return v
}

// text is a value whose variables were looked up.
type text struct {
	value   string
	unknown []string // variables that stand for nothing known
}

func (v vars) expand(s string) (out text) {
	out.value = os.Expand(s, func(name string) string {
		if to, ok := v[name]; ok {
			return to
		}
		out.unknown = append(out.unknown, name)
		return ""
	})
	return out
}

// dynamic reports whether the value differs from node to node.
func (t text) dynamic() bool {
	return strings.Contains(t.value, nodeName) || strings.Contains(t.value, nodeIP)
}

// set is the rule that gives a label this value.
func (t text) set(label string) rule {
	r := rule{TargetLabel: label}
	value := strings.ReplaceAll(t.value, "$", "$$")
	for i, part := range []string{nodeName, nodeIP} {
		if !strings.Contains(value, part) {
			continue
		}
		r.SourceLabels = append(r.SourceLabels, metaLabels[part])
		value = strings.ReplaceAll(value, part, []string{"${1}", "${2}"}[min(i, len(r.SourceLabels)-1)])
	}
	switch {
	case len(r.SourceLabels) == 2:
		r.Regex = "(.*);(.*)"
	case value == "${1}":
		return r // the default of regex and replacement
	}
	r.Replacement = &value
	return r
}

// rule is a relabel rule.
type rule struct {
	SourceLabels []string `yaml:"source_labels,flow,omitempty"`
	Regex        string   `yaml:"regex,omitempty"`
	TargetLabel  string   `yaml:"target_label,omitempty"`
	Replacement  *string  `yaml:"replacement,omitempty"`
	Action       string   `yaml:"action,omitempty"`
}

func (r rule) equal(o rule) bool {
	return slices.Equal(r.SourceLabels, o.SourceLabels) && r.Regex == o.Regex && r.TargetLabel == o.TargetLabel && r.Action == o.Action &&
		(r.Replacement == nil) == (o.Replacement == nil) && (r.Replacement == nil || *r.Replacement == *o.Replacement)
}
