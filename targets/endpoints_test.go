package targets

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
)

func TestUsesEndpoints(t *testing.T) {
	for name, tt := range map[string]struct {
		rule monitoringv1.RelabelConfig
		want bool
	}{
		"a source":              {monitoringv1.RelabelConfig{SourceLabels: []monitoringv1.LabelName{"x", "__meta_kubernetes_endpoint_ready"}}, true},
		"a source of slices":    {monitoringv1.RelabelConfig{SourceLabels: []monitoringv1.LabelName{"__meta_kubernetes_endpointslice_name"}}, false},
		"the name of one":       {monitoringv1.RelabelConfig{Action: "labeldrop", Regex: "__meta_kubernetes_endpoints_label_team"}, true},
		"a choice of prefixes":  {monitoringv1.RelabelConfig{Action: "LabelMap", Regex: "__meta_kubernetes_(pod|endpoint)_(.+)"}, true},
		"labels of either":      {monitoringv1.RelabelConfig{Action: "labelmap", Regex: "__meta_kubernetes_endpoint(s|slice)_label_(.+)"}, false},
		"all that begin alike":  {monitoringv1.RelabelConfig{Action: "labelmap", Regex: "__meta_kubernetes_endpoint.*"}, false},
		"everything":            {monitoringv1.RelabelConfig{Action: "labelkeep", Regex: "(.+)"}, false},
		"values, and not names": {monitoringv1.RelabelConfig{Action: "keep", Regex: ".*_(pod|endpoint)_ready"}, false},
		"no regular expression": {monitoringv1.RelabelConfig{Action: "labelmap", Regex: "("}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := usesEndpoints(nil, []monitoringv1.RelabelConfig{tt.rule}); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestSelectable(t *testing.T) {
	for _, tt := range []struct {
		role  promk8s.Role
		field string
		want  string
	}{
		{"pod", "spec.nodeName=a,status.phase!=Failed", ""},
		{"endpointslice", "metadata.name=a", ""},
		{"endpointslice", "", ""},
		{"pod", "spec.foo!=x", `selectors: role pod: the API server does not select by the field "spec.foo", only by ` +
			"metadata.name, metadata.namespace, spec.hostNetwork, spec.nodeName, spec.restartPolicy, spec.schedulerName, spec.serviceAccountName, status.nominatedNodeName, status.phase, status.podIP"},
		{"ingress", "spec.x=y", `selectors: role ingress: the API server does not select by the field "spec.x", only by metadata.name, metadata.namespace`},
	} {
		sd := &promk8s.SDConfig{Role: tt.role, Selectors: []promk8s.SelectorConfig{{Role: tt.role, Field: tt.field}}}
		_, err := ownCluster(sd, "")
		if got := text(err); got != tt.want {
			t.Errorf("role %s, field %s: error %q, want %q", tt.role, tt.field, got, tt.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
