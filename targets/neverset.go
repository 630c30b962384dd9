package targets

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// NeverSet is about a label of discovery that a rule reads, and no target of the job has.
type NeverSet struct {
	Why  string // empty if all labels may be there
	Mend string // empty if no setting brings the label
}

// neverSet looks for such a label among those that a rule reads, itself or by the labels that earlier rules set from them. Discovered
// are the labels of a target.
func (j *Job) neverSet(rule int, discovered map[string]string) NeverSet {
	rules := j.Config.RelabelConfigs
	reads := slices.Clone(rules[rule].SourceLabels)
	for _, r := range rules[:rule] {
		if slices.Contains(rules[rule].SourceLabels, model.LabelName(r.TargetLabel)) {
			reads = append(reads, r.SourceLabels...)
		}
	}
	for _, l := range reads {
		label := string(l)
		if _, has := discovered[label]; has || len(j.Discoveries) == 0 || !strings.HasPrefix(label, "__meta_kubernetes_") {
			continue
		}
		if out := j.absent(label, discovered); out.Why != "" {
			return out
		}
	}
	return NeverSet{}
}

// absent says why a target lacks a label of an object of another kind.
func (j *Job) absent(label string, discovered map[string]string) NeverSet {
	sd := j.Discoveries[0]
	is := func(kind string) bool { return strings.HasPrefix(label, "__meta_kubernetes_"+kind+"_") }
	attached := slices.Contains([]string{RolePod, RoleEndpoints, RoleEndpointSlice}, sd.Role)
	switch {
	case is("node") && attached && !sd.Attach.Node:
		return NeverSet{fmt.Sprintf("nothing sets %s because %s is false", label, j.attachField("node")), fmt.Sprintf("set %s: true in %s", j.attachField("node"), j.Owner)}
	case is("namespace") && !sd.Attach.Namespace && j.Owner.Kind == ScrapeConfigBlock:
		return NeverSet{fmt.Sprintf("nothing sets %s because %s is false", label, j.attachField("namespace")), fmt.Sprintf("set %s: true in %s", j.attachField("namespace"), j.Owner)}
	case is("namespace") && !sd.Attach.Namespace:
		return NeverSet{Why: fmt.Sprintf("nothing sets %s: a %s cannot attach the labels of namespaces", label, j.Owner.Kind)}
	case is("pod") && (sd.Role == RoleEndpoints || sd.Role == RoleEndpointSlice) && discovered["__meta_kubernetes_pod_name"] == "":
		return NeverSet{Why: fmt.Sprintf("nothing sets %s because no Pod is known behind this address", label)}
	case is("node") && sd.Role != RoleNode, is("pod") && sd.Role != RolePod && !attached, is("service") && (sd.Role == RolePod || sd.Role == RoleNode || sd.Role == RoleIngress),
		is("ingress") && sd.Role != RoleIngress:
		return NeverSet{Why: fmt.Sprintf("nothing sets %s: targets of the role %s have no such labels", label, sd.Role)}
	}
	return NeverSet{}
}

// attachField is the setting that attaches the labels of a kind of objects.
func (j *Job) attachField(kind string) string {
	if j.Owner.Kind == ScrapeConfigBlock {
		return "attach_metadata." + kind
	}
	return "attachMetadata." + kind
}
