package targets

import (
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/prometheus/model/relabel"
)

// Labels of the two roles, without the prefix "__meta_kubernetes_"; x stands for the name of a label or annotation.
var (
	ofEndpoints = []string{
		"endpoint_address_target_kind", "endpoint_address_target_name", "endpoint_hostname", "endpoint_node_name", "endpoint_port_name", "endpoint_port_protocol",
		"endpoint_ready", "endpoints_annotation_x", "endpoints_annotationpresent_x", "endpoints_label_x", "endpoints_labelpresent_x", "endpoints_name",
	}
	ofEndpointSlices = []string{
		"endpointslice_address_target_kind", "endpointslice_address_target_name", "endpointslice_address_type", "endpointslice_annotation_x",
		"endpointslice_endpoint_conditions_ready", "endpointslice_endpoint_hostname", "endpointslice_endpoint_node_name", "endpointslice_endpoint_zone",
		"endpointslice_label_x", "endpointslice_name", "endpointslice_port", "endpointslice_port_name", "endpointslice_port_protocol",
	}
)

// usesEndpoints reports whether rules use labels that only the role endpoints has.
func usesEndpoints(lists ...[]monitoringv1.RelabelConfig) bool {
	for _, r := range slices.Concat(lists...) {
		for _, s := range r.SourceLabels {
			if namesEndpoints(string(s)) {
				return true
			}
		}
		if namesEndpoints(r.Regex) || matchesEndpoints(r) {
			return true
		}
	}
	return false
}

func namesEndpoints(s string) bool {
	return strings.Contains(s, "__meta_kubernetes_endpoint_") || strings.Contains(s, "__meta_kubernetes_endpoints_")
}

// matchesEndpoints reports whether a rule that selects labels by name matches some of the role endpoints and none of the role
// endpointslice.
func matchesEndpoints(r monitoringv1.RelabelConfig) bool {
	if !slices.Contains([]relabel.Action{relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep}, relabel.Action(strings.ToLower(r.Action))) {
		return false
	}
	re, err := regexp.Compile("^(?s:" + r.Regex + ")$")
	if err != nil {
		return false
	}
	matches := func(name string) bool { return re.MatchString("__meta_kubernetes_" + name) }
	return slices.ContainsFunc(ofEndpoints, matches) && !slices.ContainsFunc(ofEndpointSlices, matches)
}
