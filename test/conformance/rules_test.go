package conformance

import (
	"slices"
	"strings"
)

// Labels that rules read and write.
var (
	metaLabels = []string{
		"__address__", "__meta_kubernetes_namespace", "__meta_kubernetes_pod_name", "__meta_kubernetes_pod_node_name", "__meta_kubernetes_pod_ip",
		"__meta_kubernetes_service_label_app", "__meta_kubernetes_pod_label_tier", "__meta_kubernetes_pod_labelpresent_app", "__meta_kubernetes_node_label_zone",
		"__meta_kubernetes_endpointslice_endpoint_conditions_ready", "__meta_kubernetes_service_annotation_prometheus_io_scrape", "__meta_kubernetes_pod_container_name",
		"__meta_kubernetes_ingress_path", "__param_target", "__metrics_path__", "__scheme__", "__scrape_interval__", "job", "pod", "endpoint", "instance", "namespace",
		"__tmp_prometheus_job_name", "__meta_kubernetes_pod_phase",
		"__meta_kubernetes_endpoint_port_name", "__meta_kubernetes_endpoints_label_app",
	}
	sampleLabels  = []string{"__name__", "le", "code", "instance", "pod"}
	targetLabels  = []string{"x", "y", "job", "instance", "pod", "__metrics_path__", "__scheme__", "__param_k", "__address__", "namespace", "service.name", "__tmp_x", "__scrape_interval__", "__scrape_timeout__"}
	simpleRegexes = []string{"(.*)", "(.+)", "a.*", "([^:]+)(?::\\d+)?", "web|api", "true", "(?i)HTTP", "10.*", "__meta_kubernetes_(pod|service)_label_(.+)"}
)

// rule makes a relabel rule, nearly always a valid one.
func (g *gen) rule(metric bool) dict {
	if strings.HasSuffix(g.must, "attachMetadata.node") && !metric && g.chance(0.7) {
		return dict{"action": "labelmap", "regex": "__meta_kubernetes_node_label_(.+)"}
	}
	sources, r := metaLabels, dict{}
	if metric {
		sources = sampleLabels
	}
	// Rules that map labels of several kinds of objects to one name are left out: which of them counts is chance.
	action := pick(g, "replace", "Replace", "", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "Uppercase", "keepequal", "dropequal", "DropEqual", "replace", "replace")
	if action != "" {
		r["action"] = action
	}
	switch strings.ToLower(action) {
	case "labelmap":
		r["regex"] = pick(g, "__meta_kubernetes_pod_label_(.+)", "__meta_kubernetes_service_label_(.+)", "__meta_kubernetes_node_label_(.+)", "(.+)_x")
		if g.chance(0.2) {
			r["regex"] = pick(g, "__meta_kubernetes_endpoints_label_(.+)", "__meta_kubernetes_endpoint_(port_.+)", "__meta_kubernetes_(endpoints?_.+)")
		}
		if g.chance(0.5) {
			r["replacement"] = pick(g, "l_$1", "${1}")
		}
	case "labeldrop":
		r["regex"] = pick(g, "pod|container", "x", "endpoint", "__meta_.*")
	case "labelkeep":
		r["regex"] = pick(g, "__.*|job|instance|namespace", "__.+")
	case "keepequal", "dropequal":
		r["sourceLabels"], r["targetLabel"] = some(g, sources...), pick(g, "pod", "job", "instance")
		if !g.sure {
			g.rarely(
				func() { r["regex"], r["separator"], r["replacement"] = "(.*)", ";", "$1" }, // the defaults
				func() { r["separator"], r["replacement"] = ";", "$1" },
			)
		}
	case "hashmod":
		r["sourceLabels"], r["targetLabel"], r["modulus"] = some(g, sources...), pick(g, targetLabels...), pick(g, 1, 2, 7, 1<<33)
	case "lowercase", "uppercase":
		r["sourceLabels"], r["targetLabel"] = some(g, sources...), pick(g, targetLabels...)
	case "keep", "drop":
		r["sourceLabels"], r["regex"] = some(g, sources...), pick(g, simpleRegexes...)
	default:
		r["targetLabel"] = pick(g, targetLabels...)
		if g.chance(0.8) {
			r["sourceLabels"] = some(g, sources...)
		}
		if g.chance(0.6) {
			r["regex"] = pick(g, simpleRegexes...)
		}
		if g.chance(0.6) {
			r["replacement"] = pick(g, "", "v", "$1", "${1}-x", "$2", "10s", "https")
		}
	}
	if r["sourceLabels"] != nil && action != "keepequal" && strings.ToLower(action) != "dropequal" && g.chance(0.3) {
		r["separator"] = pick(g, "", ";", "-", "@@")
	}
	g.unusualRule(r, sources)
	switch {
	case g.sure:
	case g.chance(0.01):
		r["regex"] = "("
	case g.chance(0.01):
		delete(r, "targetLabel")
	case g.chance(0.01):
		r["modulus"] = 0
	case g.chance(0.01):
		r["sourceLabels"] = []any{"", "job"}
	case g.chance(0.01):
		r["separator"] = "/" // not with all actions
	case g.chance(0.005):
		r["targetLabel"] = pick(g, "", "${2", "a-b", "$$")
	}
	return r
}

// unusualRule gives a rule what few have.
func (g *gen) unusualRule(r dict, sources []string) {
	action := strings.ToLower(text(r["action"]))
	if r["sourceLabels"] != nil && g.chance(0.05) {
		all := []any{}
		for range 8 {
			all = append(all, pick(g, sources...))
		}
		r["sourceLabels"] = all
	}
	if (action == "" || action == "replace") && g.chance(0.08) {
		r["targetLabel"] = pick(g, "${1}_x", "l_$1", "$1", "__tmp_hash", "__tmp_disable_sharding", "a_${2}")
	}
}

// goodRule makes a rule without mistakes.
func (g *gen) goodRule(metric bool) dict {
	for {
		r := g.rule(metric) // g.sure sees to it
		needs := r["action"] != nil && slices.Contains([]string{"keep", "drop", "labelmap", "labeldrop", "labelkeep"}, r["action"].(string))
		if r["regex"] != "(" && r["modulus"] != 0 && (needs || r["targetLabel"] != nil) {
			return r
		}
	}
}
