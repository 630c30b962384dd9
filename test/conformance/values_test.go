package conformance

import (
	"maps"
	"math"
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

var enums = map[reflect.Type][]string{
	reflect.TypeFor[monitoringv1.Scheme]():                         {"http", "https", "HTTP", "HTTPS"},
	reflect.TypeFor[monitoringv1.ScrapeProtocol]():                 {"PrometheusProto", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusText0.0.4", "PrometheusText1.0.0"},
	reflect.TypeFor[monitoringv1.TLSVersion]():                     {"TLS10", "TLS11", "TLS12", "TLS13"},
	reflect.TypeFor[monitoringv1.SelectorMechanism]():              {"RelabelConfig", "RoleSelector"},
	reflect.TypeFor[monitoringv1.ServiceDiscoveryRole]():           {"Endpoints", "EndpointSlice"},
	reflect.TypeFor[monitoringv1.NameValidationSchemeOptions]():    {"UTF8", "Legacy"},
	reflect.TypeFor[monitoringv1.NameEscapingSchemeOptions]():      {"AllowUTF8", "Underscores", "Dots", "Values"},
	reflect.TypeFor[monitoringv1.ByteSize]():                       {"1KB", "10MB", "1GiB", "500B", "0", "0B", "1.5MB"},
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
		return g.secretOrConfigMap(field, at), true
	case reflect.TypeFor[resource.Quantity]():
		return pick[any](g, "1.1", "2", "1100m"), true
	case reflect.TypeFor[intstr.IntOrString]():
		return pick[any](g, "http", "web", "metrics", "extra", "extra", 8080, 9090, 7070, 0, ""), true
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
		return g.labelNames(), true
	case "proxyConnectHeader":
		return dict{"X-Auth": []any{g.secretKey("token"), g.secretKey("user")}}, true
	case "scrapeProtocols":
		return some(g, enums[t.Elem()]...), true
	}
	return nil, false
}

// until repeats a draw until the result has the field that it must have.
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

// labelNames are those that targets get from objects: also ones that they have anyway.
func (g *gen) labelNames() []any {
	out := some(g, labelKeys...)
	g.rarely(
		func() { out = append(out, pick(g, "job", "instance", "pod", "namespace", "endpoint", "__address__")) },
		func() { out = append(out, out[0]) },
	)
	if g.chance(0.01) {
		out = append(out, "")
	}
	return out
}

func (g *gen) secretOrConfigMap(field, at string) dict {
	secret, configMap := dict{"secret": g.secretKey(field)}, dict{"configMap": dict{"name": "public", "key": g.mistakenKey(keyFor(field))}}
	switch {
	case g.leadsTo(at + ".secret"):
		return secret
	case g.leadsTo(at + ".configMap"):
		return configMap
	case g.chance(0.01):
		return dict{"secret": secret["secret"], "configMap": configMap["configMap"]}
	case g.chance(0.01):
		return dict{}
	case g.chance(0.4):
		return configMap
	}
	return secret
}

func (g *gen) namespaceSelector() dict {
	switch {
	case g.must == "monitors.ignoreNamespaceSelectors":
		return dict{"any": true}
	case strings.HasSuffix(g.must, ".namespaceSelector.matchNames") && g.chance(0.8):
		return dict{"matchNames": namespaceNames}
	}
	if g.chance(0.05) {
		return dict{"any": g.chance(0.3), "matchNames": some(g, home, "shop", "nowhere", "", "shop")}
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
	out := dict{"name": "creds", "key": g.mistakenKey(keyFor(field))}
	switch {
	case g.sure:
	case g.chance(0.004):
		out["name"] = "missing"
	case g.chance(0.002):
		out["name"] = pick(g, "", "a/b", "..", "Upper")
	case g.chance(0.01):
		out["optional"] = true
	}
	return out
}

// mistakenKey is a key of a Secret or ConfigMap, now and then not the one that is meant.
func (g *gen) mistakenKey(key string) string {
	switch {
	case g.sure:
	case key == "crt" && g.chance(0.05):
		return "bundle"
	case g.chance(0.004):
		return "missing"
	case g.chance(0.004):
		return "empty"
	case g.chance(0.008):
		return pick(g, "junk", "other", "", "crt", "key")
	}
	return key
}

// selector selects some app's labels, or something else.
func (g *gen) selector() dict {
	out := dict{}
	if g.chance(0.15) || strings.Contains(g.must, "ingress.namespaceSelector") {
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
			if g.chance(0.02) {
				g.mistakenExpression(e)
			}
			es = append(es, e)
		}
		out["matchExpressions"] = es
	}
	if g.chance(0.1) {
		out["matchLabels"] = dict{pick(g, labelKeys...): pick(g, labelValues...)}
	}
	if g.chance(0.005) {
		out["matchLabels"] = pick(g, dict{"a b!": "x"}, dict{"app": "a b"}, dict{"": "x"}, dict{"app": strings.Repeat("x", 64)})
	}
	return out
}

// mistakenExpression makes an expression what an API server takes, since it looks at types alone.
func (g *gen) mistakenExpression(e dict) {
	switch g.IntN(4) {
	case 0:
		e["operator"] = pick(g, "in", "Foo", "")
	case 1:
		delete(e, "values")
	case 2:
		e["values"] = []any{"a b", "web"}
	case 3:
		e["key"] = pick(g, "a b!", "", "a/b/c")
	}
}

func (g *gen) duration(field string) any {
	if g.chance(0.015) {
		return pick(g, "0", "0s", "", "1d12h", "1h30m", "1w", "5", "-1s", "1.5s")
	}
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
	if g.chance(0.03) {
		return pick(g, -1, math.MaxInt32)
	}
	return pick(g, 0, 1, 3, 100, 1000)
}

// unusualTexts are values that few people write, by field.
var unusualTexts = map[string][]string{
	"port":        {"", "(", "a;b", "(?i)HTTP"},
	"path":        {"", "m", "/a b?c=d#e", "/é"},
	"metricsPath": {"", "m", "/a b?c=d#e", "/é"},
	"jobLabel":    {"", "a b", "é", "job"},
	"type":        {"", "basic", "  "},
	"proxyUrl":    {"::bad", "proxy", "socks5://proxy.example"},
	"noProxy":     {""},
	"tokenUrl":    {"", "token", "http://[::1"},
	"url":         {"", "http://x", "x:99999", "a b", "prober:9115/path", "[::1"},
	"module":      {"", "a b&c"},
	"jobName":     {"", "a$1b", "${1}", "$$"},
	"serverName":  {""},
	"scrapeClass": {"All"},
}

// text makes a string for a field by its name.
func (g *gen) text(field string) any {
	if unusual := unusualTexts[field]; unusual != nil && g.chance(0.02) {
		return pick(g, unusual...)
	}
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
		return pick(g, "tls", "auth", "plain", "all", "none", "")
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
