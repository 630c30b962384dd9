package conformance

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// testCase makes settings, a cluster, and monitors.
func (g *gen) testCase() *testCase {
	c := &testCase{Home: home, Objects: g.cluster()}
	classes := g.chance(0.4)
	kinds := []string{"ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig"}
	for i := range 1 + g.IntN(4) {
		kind := pick(g, kinds...)
		if of, _, _ := strings.Cut(g.must, "."); i == 0 && specTypes[of] != nil {
			kind = of
		}
		c.Objects = append(c.Objects, g.monitor(kind, i))
	}
	c.Settings = g.settings(classes)
	return c.clone()
}

var specTypes = map[string]reflect.Type{
	"ServiceMonitor": reflect.TypeFor[monitoringv1.ServiceMonitorSpec](),
	"PodMonitor":     reflect.TypeFor[monitoringv1.PodMonitorSpec](),
	"Probe":          reflect.TypeFor[monitoringv1.ProbeSpec](),
	"ScrapeConfig":   reflect.TypeFor[monitoringv1alpha1.ScrapeConfigSpec](),
}

// monitor makes one of a kind: all of its fields by their types and names, and then what keeps them plausible together.
func (g *gen) monitor(kind string, i int) object {
	version := "monitoring.coreos.com/v1"
	if kind == "ScrapeConfig" {
		version = "monitoring.coreos.com/v1alpha1"
	}
	ns := pick(g, namespaceNames...)
	if strings.HasPrefix(g.must, "monitors.scrapeClasses[].tlsConfig.") {
		ns = home // the operator knows Secrets of classes in its own namespace only
	}
	o := meta(kind, version, ns, fmt.Sprintf("m%d", i))
	o["metadata"].(dict)["labels"] = dict{"team": pick(g, "a", "b")}
	spec := g.object(specTypes[kind], kind)
	switch kind {
	case "Probe":
		g.plausibleProbe(spec)
	case "ScrapeConfig":
		g.plausibleScrapeConfig(spec)
	}
	g.plausible(spec)
	o["spec"] = spec
	return o
}

// object makes a struct of a type. Fields that are not optional are always there.
func (g *gen) object(t reflect.Type, at string) dict {
	out := dict{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			maps.Copy(out, g.object(deref(f.Type), at))
		case !strings.Contains(options, "omit") || g.wanted(f.Type, at+"."+name):
			if v := g.value(deref(f.Type), at+"."+name); v != nil {
				out[name] = v
			}
		}
	}
	return out
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// wanted decides whether an optional field is there. Some are more likely, since they matter.
func (g *gen) wanted(t reflect.Type, at string) bool {
	parent, field, _ := cutLast(at)
	_, parent, _ = cutLast(parent)
	switch {
	case g.leadsTo(at):
		return true
	case g.must != "" && (field == "scrapeClass" || field == "fallbackScrapeProtocol"):
		return g.chance(0.1)
	case strings.HasSuffix(field, "SDConfigs"), field == "staticConfigs":
		return false // plausibleScrapeConfig chooses
	case field == "endpoints", field == "podMetricsEndpoints", field == "targets", field == "prober", strings.HasPrefix(at, "Probe.targets"), strings.HasPrefix(at, "Probe.prober.url"):
		return true
	case field == "port" && !strings.Contains(at, "SDConfigs"):
		return g.chance(0.5)
	case field == "targetPort", field == "portNumber":
		return g.chance(0.25)
	case field == "relabelings", field == "metricRelabelings", field == "relabelingConfigs":
		return g.chance(0.3) || strings.HasSuffix(g.must, "attachMetadata.node")
	case field == "namespaceSelector":
		return g.chance(0.6) || g.must == "monitors.ignoreNamespaceSelectors"
	case field == "jobLabel", field == "targetLabels", field == "podTargetLabels":
		return g.chance(max(g.p, 0.2))
	case field == "scrapeClass":
		return g.chance(0.1)
	}
	if slices.Contains([]string{"authorization", "basicAuth", "oauth2", "tlsConfig"}, parent) {
		return g.chance(max(g.p, 0.4))
	}
	return g.chance(g.p)
}

// leadsTo tells whether the field that must be there is at a path, or below it. Paths have no brackets here.
func (g *gen) leadsTo(at string) bool {
	must := strings.ReplaceAll(g.must, "[]", "")
	return must == at || strings.HasPrefix(must, at+".")
}

func cutLast(s string) (string, string, bool) {
	i := strings.LastIndex(s, ".")
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// value makes a value of a type for a field; nil for none.
func (g *gen) value(t reflect.Type, at string) any {
	_, field, _ := cutLast(at)
	if v, ok := g.special(t, field, at); ok {
		return v
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.object(t, at)
	case reflect.Slice:
		n := 1 + g.IntN(2)
		out := []any{}
		for range n {
			out = append(out, g.value(deref(t.Elem()), at))
		}
		return out
	case reflect.Map:
		if t.Elem().Kind() == reflect.Slice {
			return dict{pick(g, "k1", "module"): []any{"v1", "v2"}, "k2": []any{g.text(field)}}
		}
		return dict{pick(g, "k1", "k2"): g.text(field)}
	case reflect.Bool:
		if g.leadsTo(at) { // not the default
			return !slices.Contains([]string{"filterRunning", "honorTimestamps", "followRedirects", "enableHttp2", "enableHTTP2", "enableCompression", "allowStale", "matchFirstNetwork"}, field)
		}
		return g.chance(0.5)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n := g.number(field); n != 0 || !g.leadsTo(at) {
			return n
		}
		return 7
	case reflect.String:
		return g.text(field)
	}
	panic(fmt.Sprintf("no value for %s of type %s", at, t))
}

var enums = map[reflect.Type][]string{
	reflect.TypeFor[monitoringv1.Scheme]():                         {"http", "https", "HTTP", "HTTPS"},
	reflect.TypeFor[monitoringv1.ScrapeProtocol]():                 {"PrometheusProto", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusText0.0.4", "PrometheusText1.0.0"},
	reflect.TypeFor[monitoringv1.TLSVersion]():                     {"TLS10", "TLS11", "TLS12", "TLS13"},
	reflect.TypeFor[monitoringv1.SelectorMechanism]():              {"RelabelConfig", "RoleSelector"},
	reflect.TypeFor[monitoringv1.ServiceDiscoveryRole]():           {"Endpoints", "EndpointSlice"},
	reflect.TypeFor[monitoringv1.NameValidationSchemeOptions]():    {"UTF8", "Legacy"},
	reflect.TypeFor[monitoringv1.NameEscapingSchemeOptions]():      {"AllowUTF8", "Underscores", "Dots", "Values"},
	reflect.TypeFor[monitoringv1.ByteSize]():                       {"1KB", "10MB", "1GiB", "500B"},
	reflect.TypeFor[monitoringv1.URL]():                            {"http://sd.example:4646/path", "https://sd.example"},
	reflect.TypeFor[monitoringv1alpha1.KubernetesRole]():           {"Pod", "Endpoints", "Ingress", "Service", "Node", "EndpointSlice"},
	reflect.TypeFor[monitoringv1alpha1.DNSRecordType]():            {"A", "AAAA", "MX", "NS", "SRV"},
	reflect.TypeFor[monitoringv1alpha1.AuthenticationMethodType](): {"OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"},
	reflect.TypeFor[monitoringv1alpha1.OpenStackRole]():            {"Instance", "Hypervisor", "LoadBalancer"},
	reflect.TypeFor[monitoringv1alpha1.OVHService]():               {"VPS", "DedicatedServer"},
	reflect.TypeFor[monitoringv1alpha1.ScalewayRole]():             {"Instance", "Baremetal"},
	reflect.TypeFor[monitoringv1alpha1.SDFile]():                   {"/none/a.json", "/none/*.yml"},
	reflect.TypeFor[monitoringv1alpha1.Target]():                   {"a.example:80", "b.example", "[fd00::1]:9100", "10.9.9.9:1"},
	reflect.TypeFor[monitoringv1.LabelName]():                      {"__address__", "__meta_kubernetes_namespace", "instance"},
}

// special makes values of types that have their own rules.
func (g *gen) special(t reflect.Type, field, at string) (any, bool) {
	switch t {
	case reflect.TypeFor[corev1.SecretKeySelector]():
		return g.secretKey(field), true
	case reflect.TypeFor[monitoringv1.SecretOrConfigMap]():
		if g.leadsTo(at+".configMap") || !g.leadsTo(at+".secret") && g.chance(0.4) {
			return dict{"configMap": dict{"name": "public", "key": keyFor(field)}}, true
		}
		return dict{"secret": g.secretKey(field)}, true
	case reflect.TypeFor[resource.Quantity]():
		return pick[any](g, "1.1", "2", "1100m"), true
	case reflect.TypeFor[intstr.IntOrString]():
		return pick[any](g, "http", "web", "metrics", "extra", 8080, 9090, 7070, 0, ""), true
	case reflect.TypeFor[metav1.LabelSelector]():
		return g.until(at, g.selector), true
	case reflect.TypeFor[monitoringv1.NamespaceSelector]():
		return g.until(at, g.namespaceSelector), true
	case reflect.TypeFor[[]monitoringv1.RelabelConfig]():
		out := []any{}
		for range 1 + g.IntN(3) {
			out = append(out, g.until(at, func() dict { return g.rule(field == "metricRelabelings") }))
		}
		return out, true
	case reflect.TypeFor[monitoringv1.Duration]():
		return g.duration(field), true
	case reflect.TypeFor[monitoringv1alpha1.Filter]():
		return dict{"name": pick(g, "label", "status", "name"), "values": some(g, "x", "y", "z")}, true
	case reflect.TypeFor[monitoringv1.ProxyConfig]():
		panic("embedded only")
	}
	if vs := enums[t]; vs != nil {
		return pick(g, vs...), true
	}
	switch field {
	case "targetLabels", "podTargetLabels":
		return some(g, labelKeys...), true
	case "proxyConnectHeader":
		return dict{"X-Auth": []any{g.secretKey("token"), g.secretKey("user")}}, true
	case "scrapeProtocols":
		return some(g, enums[t.Elem()]...), true
	}
	return nil, false
}

// until makes something at a path until it has what must be there.
func (g *gen) until(at string, f func() dict) (out dict) {
	for range 100 {
		out = f()
		rest, below := strings.CutPrefix(strings.ReplaceAll(g.must, "[]", ""), at+".")
		if !below {
			break
		}
		if key, _, _ := strings.Cut(rest, "."); out[key] != nil && out[key] != "" && out[key] != 0 {
			break
		}
	}
	return out
}

func (g *gen) namespaceSelector() dict {
	if g.must == "monitors.ignoreNamespaceSelectors" {
		return dict{"any": true}
	}
	switch g.IntN(4) {
	case 0:
		return dict{}
	case 1:
		return dict{"matchNames": some(g, namespaceNames...)}
	case 2:
		return dict{"any": true, "matchNames": some(g, namespaceNames...)}
	}
	return dict{"any": true}
}

func keyFor(field string) string {
	switch field {
	case "ca", "cert":
		return "crt"
	case "keySecret":
		return "key"
	case "username":
		return "user"
	case "clientId":
		return "id"
	case "password", "token", "user":
		return field
	}
	return "token"
}

func (g *gen) secretKey(field string) dict {
	out := dict{"name": "creds", "key": keyFor(field)}
	switch {
	case g.sure:
	case g.chance(0.004):
		out["name"] = "missing"
	case g.chance(0.004):
		out["key"] = "missing"
	case g.chance(0.004):
		out["key"] = "empty"
	}
	return out
}

// selector selects some app's labels, or something else.
func (g *gen) selector() dict {
	out := dict{}
	if g.chance(0.15) {
		return out
	}
	if len(g.apps) > 0 && g.chance(0.8) {
		a := pick(g, g.apps...)
		match := dict{}
		for _, k := range slices.Sorted(maps.Keys(a.labels)) {
			if g.chance(0.4) {
				match[k] = a.labels[k]
			}
		}
		if len(match) > 0 {
			out["matchLabels"] = match
		}
	}
	if g.chance(0.35) {
		var es []any
		for range 1 + g.IntN(2) {
			e := dict{"key": pick(g, labelKeys...), "operator": pick(g, "In", "NotIn", "Exists", "DoesNotExist")}
			if e["operator"] == "In" || e["operator"] == "NotIn" {
				e["values"] = some(g, labelValues...)
			}
			es = append(es, e)
		}
		out["matchExpressions"] = es
	}
	if g.chance(0.1) {
		out["matchLabels"] = dict{pick(g, labelKeys...): pick(g, labelValues...)}
	}
	return out
}

// Labels that rules read and write.
var (
	metaLabels = []string{
		"__address__", "__meta_kubernetes_namespace", "__meta_kubernetes_pod_name", "__meta_kubernetes_pod_node_name", "__meta_kubernetes_pod_ip",
		"__meta_kubernetes_service_label_app", "__meta_kubernetes_pod_label_tier", "__meta_kubernetes_pod_labelpresent_app", "__meta_kubernetes_node_label_zone",
		"__meta_kubernetes_endpointslice_endpoint_conditions_ready", "__meta_kubernetes_service_annotation_prometheus_io_scrape", "__meta_kubernetes_pod_container_name",
		"__meta_kubernetes_ingress_path", "__param_target", "__metrics_path__", "__scheme__", "__scrape_interval__", "job", "pod", "endpoint", "instance", "namespace",
		"__tmp_prometheus_job_name", "__meta_kubernetes_pod_phase",
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
	action := pick(g, "replace", "Replace", "", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "Uppercase", "keepequal", "dropequal", "DropEqual", "replace", "replace")
	if action != "" {
		r["action"] = action
	}
	switch strings.ToLower(action) {
	case "labelmap":
		r["regex"] = pick(g, "__meta_kubernetes_(?:pod|service)_label_(.+)", "__meta_kubernetes_node_label_(.+)", "(.+)_x")
		if g.chance(0.5) {
			r["replacement"] = pick(g, "l_$1", "${1}")
		}
	case "labeldrop":
		r["regex"] = pick(g, "pod|container", "x", "endpoint", "__meta_.*")
	case "labelkeep":
		r["regex"] = pick(g, "__.*|job|instance|namespace", "__.+")
	case "keepequal", "dropequal":
		r["sourceLabels"], r["targetLabel"] = some(g, sources...), pick(g, "pod", "job", "instance")
	case "hashmod":
		r["sourceLabels"], r["targetLabel"], r["modulus"] = some(g, sources...), pick(g, targetLabels...), pick(g, 1, 2, 7)
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
	switch {
	case g.chance(0.01):
		r["regex"] = "("
	case g.chance(0.01):
		delete(r, "targetLabel")
	case g.chance(0.01):
		r["modulus"] = 0
	}
	return r
}

func (g *gen) duration(field string) any {
	switch field {
	case "interval", "scrapeInterval":
		return pick(g, "5s", "15s", "30s", "1m", "90s", "1h")
	case "scrapeTimeout":
		return pick(g, "1s", "2s", "3s", "5s", "5s", "500ms", "10s", "40s")
	case "refreshInterval":
		return pick(g, "1m", "90s", "1h")
	}
	return pick(g, "30s", "2m")
}

func (g *gen) number(field string) any {
	switch field {
	case "port":
		return pick(g, 80, 9100)
	case "portNumber":
		return pick(g, 8080, 9090, 7070)
	case "modulus":
		return pick(g, 1, 2)
	case "nativeHistogramBucketLimit":
		return pick(g, 0, 100, 160)
	}
	return pick(g, 0, 1, 3, 100, 1000)
}

// text makes a string for a field by its name.
func (g *gen) text(field string) any {
	switch field {
	case "port":
		return pick(g, "http", "web", "metrics", "https-metrics", "web|http", "http.*")
	case "path", "metricsPath":
		return pick(g, "/m", "/metrics/x", "/probe", "/")
	case "jobLabel":
		return pick(g, labelKeys...)
	case "type":
		return pick(g, "Bearer", "Token", " Custom ", "Basic")
	case "bearerTokenFile", "caFile", "certFile", "keyFile":
		return "/var/run/" + field
	case "scrapeClass":
		return pick(g, "tls", "auth", "plain", "none")
	case "proxyUrl":
		return pick(g, "http://proxy.example:3128", "http://user:pass@proxy.example")
	case "noProxy":
		return pick(g, "10.0.0.0/8", "a.example,b.example")
	case "tokenUrl":
		return "https://auth.example/token"
	case "serverName":
		return "server.example"
	case "url":
		return pick(g, "prober.example:9115", "prober", "10.3.3.3:9115", "[fd00::9]:9115")
	case "server":
		return pick(g, "consul.example:8500", "consul")
	case "host":
		return pick(g, "unix:///var/run/docker.sock", "tcp://docker.example:2375")
	case "apiServer":
		return "https://kubernetes.example:6443"
	case "identityEndpoint", "apiURL", "endpoint":
		return "https://api.example/v3"
	case "tags", "services", "names", "static", "values":
		return pick(g, "one.example", "two.example:9100", "three")
	case "module":
		return pick(g, "http_2xx", "icmp")
	case "name":
		return pick(g, "module", "k1", "hostname")
	case "filter", "healthFilter":
		return `Service == "x"`
	}
	return pick(g, "u-", "w ", "é") + field
}
