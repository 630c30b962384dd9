package conformance

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
)

// plausible takes away most of what would have a monitor rejected: a few such mistakes are enough.
func (g *gen) plausible(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			g.plausible(x)
		}
	case dict:
		g.oneOf(v, 0.02, "basicAuth", "oauth2", "authorization", "bearerTokenSecret", "bearerTokenFile")
		g.plausibleProxy(v)
		g.plausibleTLS(v)
		if a, ok := v["authorization"].(dict); ok && a["credentials"] == nil && g.chance(0.8) {
			a["credentials"] = g.secretKey("token")
		}
		if v["port"] != nil && v["bearerTokenSecret"] == nil && g.chance(0.02) {
			v["bearerTokenSecret"] = dict{"key": ""} // as old clients leave it
		}
		if a, ok := v["authorization"].(dict); ok && a["type"] == "Basic" && g.chance(0.8) {
			delete(a, "type")
		}
		if a, ok := v["basicAuth"].(dict); ok && g.chance(0.95) {
			a["username"], a["password"] = g.secretKey("username"), g.secretKey("password")
		}
		for _, interval := range []string{"interval", "scrapeInterval"} {
			if v["scrapeTimeout"] != nil && g.chance(0.9) {
				v["scrapeTimeout"] = pick(g, "1s", "3s", "5s")
			} else if v[interval] == "5s" && g.chance(0.3) {
				v["scrapeTimeout"] = "5s"
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) { // in their order: each draws random numbers
			g.plausible(v[k])
		}
	}
}

// oneOf leaves at most one of the keys, unless a mistake is wanted.
func (g *gen) oneOf(m dict, mistake float64, keys ...string) {
	if g.chance(mistake) {
		return
	}
	var have []string
	for _, k := range keys {
		if m[k] != nil {
			have = append(have, k)
		}
	}
	if len(have) > 1 {
		keep := pick(g, have...)
		for _, k := range have {
			if slices.Contains(strings.Split(strings.ReplaceAll(g.must, "[]", ""), "."), k) {
				keep = k
			}
		}
		for _, k := range have {
			if k != keep {
				delete(m, k)
			}
		}
	}
}

func (g *gen) plausibleProxy(m dict) {
	if g.chance(0.03) {
		return
	}
	g.oneOf(m, 0, "proxyUrl", "proxyFromEnvironment")
	if m["proxyUrl"] == nil {
		if m["noProxy"] != nil && g.chance(0.5) {
			delete(m, "proxyFromEnvironment")
			m["proxyUrl"] = g.text("proxyUrl")
		} else {
			delete(m, "noProxy")
		}
	}
	if m["proxyConnectHeader"] != nil && m["proxyUrl"] == nil {
		m["proxyFromEnvironment"] = true
	}
}

func (g *gen) plausibleTLS(m dict) {
	t, ok := m["tlsConfig"].(dict)
	if !ok || g.chance(0.03) {
		return
	}
	g.oneOf(t, 0, "ca", "caFile")
	g.oneOf(t, 0, "cert", "certFile")
	g.oneOf(t, 0, "keySecret", "keyFile")
	if (t["cert"] != nil || t["certFile"] != nil) && t["keySecret"] == nil && t["keyFile"] == nil {
		t["keySecret"] = g.secretKey("keySecret")
	}
	if (t["keySecret"] != nil || t["keyFile"] != nil) && t["cert"] == nil && t["certFile"] == nil {
		t["cert"] = dict{"secret": g.secretKey("cert")}
	}
	if low, high := t["minVersion"], t["maxVersion"]; low != nil && high != nil && low.(string) > high.(string) {
		t["minVersion"], t["maxVersion"] = high, low
	}
}

func (g *gen) plausibleProbe(spec dict) {
	targets := spec["targets"].(dict)
	if g.chance(0.97) {
		g.oneOf(targets, 0.05, "staticConfig", "ingress")
	}
	if static, ok := targets["staticConfig"].(dict); ok {
		static["static"] = some(g, "http://a.example", "b.example:80", "c.example/x y")
		if static["labels"] != nil {
			static["labels"] = dict{pick(g, "namespace", "env", "service.name", "0x"): pick(g, "prod", "")}
		}
	}
	if ps, ok := spec["params"].([]any); ok {
		for i, p := range ps { // names are unique, the API server sees to that
			p.(dict)["name"] = []string{"module", "k1", "hostname"}[i]
			if g.chance(0.2) {
				delete(p.(dict), "values")
			}
		}
	}
}

var scrapeConfigType = reflect.TypeFor[monitoringv1alpha1.ScrapeConfigSpec]()

// plausibleScrapeConfig chooses one or two lists of service discovery.
func (g *gen) plausibleScrapeConfig(spec dict) {
	spec["staticConfigs"] = g.value(field(scrapeConfigType, "staticConfigs"), "ScrapeConfig.staticConfigs")
	if g.chance(0.3) {
		delete(spec, "staticConfigs")
	}
	if g.chance(0.3) {
		spec["kubernetesSDConfigs"] = g.value(field(scrapeConfigType, "kubernetesSDConfigs"), "ScrapeConfig.kubernetesSDConfigs")
	}
	if g.chance(0.6) {
		var lists []string
		for i := range scrapeConfigType.NumField() {
			name, _, _ := strings.Cut(scrapeConfigType.Field(i).Tag.Get("json"), ",")
			if strings.HasSuffix(name, "SDConfigs") && name != "kubernetesSDConfigs" {
				lists = append(lists, name)
			}
		}
		name := pick(g, lists...)
		spec[name] = g.value(field(scrapeConfigType, name), "ScrapeConfig."+name)
	}
	for _, name := range slices.Sorted(maps.Keys(spec)) {
		if strings.HasSuffix(name, "SDConfigs") {
			for _, sd := range spec[name].([]any) {
				g.plausibleSD(name, sd.(dict))
			}
		}
	}
}

func field(t reflect.Type, name string) reflect.Type {
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name {
			return t.Field(i).Type
		}
	}
	panic("no field " + name)
}

func (g *gen) plausibleSD(name string, sd dict) {
	switch name {
	case "kubernetesSDConfigs":
		g.plausibleKubernetes(sd)
	case "dnsSDConfigs":
		if sd["type"] != nil && sd["type"] != "SRV" && g.chance(0.9) {
			sd["port"] = 80
		}
	case "hetznerSDConfigs":
		sd["role"] = pick(g, "hcloud", "Hcloud", "robot", "Robot")
	case "dockerSwarmSDConfigs":
		sd["role"] = pick(g, "Services", "Tasks", "Nodes")
	case "scalewaySDConfigs":
		sd["accessKey"], sd["projectID"] = "SCWXXXXXXXXXXXXXXXXX", "11111111-1111-1111-1111-111111111112"
		sd["secretKey"] = dict{"name": "creds", "key": "uuid"}
	case "azureSDConfigs":
		if m := sd["authenticationMethod"]; m != nil && m != "OAuth" { // the operator does not read what they refer to
			for _, k := range []string{"authorization", "basicAuth", "oauth2", "proxyConnectHeader", "clientSecret"} {
				if !g.leadsTo("ScrapeConfig.azureSDConfigs." + k) {
					delete(sd, k)
				} else {
					delete(sd, "authenticationMethod")
				}
			}
		}
		if sd["authenticationMethod"] == nil || sd["authenticationMethod"] == "OAuth" {
			sd["tenantID"], sd["clientID"], sd["clientSecret"] = "t", "c", g.secretKey("token")
		}
		if strings.HasPrefix(g.must, "ScrapeConfig.azureSDConfigs[].") && !g.leadsTo("ScrapeConfig.azureSDConfigs.environment") {
			delete(sd, "environment") // takes credentials away
		}
		if sd["environment"] != nil {
			sd["environment"] = pick(g, "AzurePublicCloud", "AzureChinaCloud")
		}
	case "openstackSDConfigs":
		if sd["availability"] != nil {
			sd["availability"] = pick(g, "Public", "admin", "internal")
		}
	case "puppetDBSDConfigs", "nomadSDConfigs", "kumaSDConfigs", "eurekaSDConfigs":
		if sd["server"] != nil {
			sd["server"] = "http://server.example:4646"
		}
		if sd["url"] != nil {
			sd["url"] = "https://puppet.example"
		}
	case "httpSDConfigs":
		sd["url"] = pick(g, "http://sd.example/targets", "https://sd.example/x", "sd.example")
	}
	if g.chance(0.9) { // without an API server that is another, credentials are refused
		if sd["oauth2"] != nil {
			delete(sd, "basicAuth")
		}
	}
}

func (g *gen) plausibleKubernetes(sd dict) {
	if rest, ok := strings.CutPrefix(g.must, "ScrapeConfig.kubernetesSDConfigs[]."); ok && !slices.ContainsFunc([]string{"role", "namespaces", "selectors", "attachMetadata"}, func(s string) bool { return strings.HasPrefix(rest, s) }) {
		sd["apiServer"] = g.text("apiServer")
		if ns, ok := sd["namespaces"].(dict); ok {
			delete(ns, "ownNamespace")
		}
	} else if g.chance(0.95) {
		delete(sd, "apiServer")
	}
	if sd["apiServer"] == nil && g.chance(0.97) {
		for _, k := range []string{"authorization", "basicAuth", "oauth2", "tlsConfig", "proxyUrl", "noProxy", "proxyFromEnvironment", "proxyConnectHeader", "followRedirects", "enableHTTP2"} {
			delete(sd, k)
		}
	}
	if ns, ok := sd["namespaces"].(dict); ok && ns["names"] != nil {
		ns["names"] = some(g, namespaceNames...)
	}
	allowed := map[string][]string{
		"Pod": {"Pod", "Node"}, "Service": {"Service"}, "Endpoints": {"Endpoints", "Service", "Pod"},
		"EndpointSlice": {"EndpointSlice", "Service", "Pod"}, "Node": {"Node"}, "Ingress": {"Ingress"},
	}[sd["role"].(string)]
	if sd["selectors"] == nil {
		return
	}
	var out []any
	for _, role := range allowed {
		if !g.chance(0.5) {
			continue
		}
		s := dict{"role": role}
		if g.leadsTo("ScrapeConfig.kubernetesSDConfigs.selectors.label") {
			s["label"] = "zone=z9"
			out = append(out, s)
			continue
		}
		if g.chance(0.7) {
			s["label"] = pick(g, "app=web", "tier", "app in (web,api)", "app!=db", "zone=z1", "(")
			if s["label"] == "(" && g.chance(0.9) {
				s["label"] = "tier"
			}
		}
		if g.chance(0.4) {
			s["field"] = "metadata.name=" + pick(g, "app0", "app0-x", "node0")
			if role == "Pod" {
				s["field"] = pick(g, "spec.nodeName=node0", "status.phase=Running", "status.phase!=Failed")
			}
		}
		out = append(out, s)
	}
	if len(out) > 0 && slices.Contains(allowed, "Pod") && g.chance(0.02) {
		out = append(out, dict{"role": "Ingress"})
	}
	if sd["selectors"] = out; len(out) == 0 {
		delete(sd, "selectors")
	}
}

// settings makes the block monitors.
func (g *gen) settings(classes bool) dict {
	s := dict{"scrapeInterval": pick(g, "30s", "30s", "30s", "10s", "1m")}
	for _, kind := range []string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig"} {
		s[kind+"Selector"], s[kind+"NamespaceSelector"] = dict{}, dict{}
		if g.chance(0.05) {
			s[kind+"Selector"] = g.teams()
		}
		switch {
		case g.chance(0.05):
			s[kind+"NamespaceSelector"] = g.teams()
		case g.chance(0.02):
			delete(s, kind+"NamespaceSelector")
		case g.chance(0.02):
			delete(s, kind+"Selector")
		}
	}
	add := func(key string, v any) {
		if of := "monitors." + key; g.chance(g.p*0.6) || g.must == of || strings.HasPrefix(g.must, of+"[") || strings.HasPrefix(g.must, of+".") {
			s[key] = v
		}
	}
	add("scrapeTimeout", pick(g, "5s", "10s", "9s"))
	for _, limit := range []string{"Sample", "Target", "Label", "LabelNameLength", "LabelValueLength"} {
		add(strings.ToLower(limit[:1])+limit[1:]+"Limit", pick(g, 0, 10, 500))
		add("enforced"+limit+"Limit", pick(g, 0, 50, 200))
	}
	add("keepDroppedTargets", pick(g, 0, 10, 500))
	add("enforcedKeepDroppedTargets", pick(g, 0, 50, 200))
	add("bodySizeLimit", pick(g, "5MB", "1KB"))
	add("enforcedBodySizeLimit", pick(g, "1MB", "2GB"))
	add("enforcedNamespaceLabel", pick(g, "namespace", "ns", "service.name"))
	if must := strings.HasPrefix(g.must, "monitors.excludedFromEnforcement"); must || s["enforcedNamespaceLabel"] != nil && g.chance(0.5) {
		if must {
			s["enforcedNamespaceLabel"] = "ns"
		}
		var out []any
		for _, ns := range some(g, namespaceNames...) {
			r := dict{"group": "monitoring.coreos.com", "resource": pick(g, "servicemonitors", "podmonitors", "probes", "scrapeconfigs"), "namespace": ns}
			if g.chance(0.5) {
				r["name"] = pick(g, "m0", "m1")
			}
			if g.leadsTo("monitors.excludedFromEnforcement.name") {
				r["name"] = "nobody" // without it, all of the namespace
			}
			out = append(out, r)
		}
		s["excludedFromEnforcement"] = out
	}
	for _, k := range []string{
		"ignoreNamespaceSelectors", "overrideHonorLabels", "overrideHonorTimestamps", "convertClassicHistogramsToNHCB", "scrapeNativeHistograms", "scrapeClassicHistograms",
	} {
		add(k, g.chance(0.8))
	}
	add("arbitraryFSAccessThroughSMs", dict{"deny": true})
	add("podTargetLabels", some(g, labelKeys...))
	add("scrapeProtocols", some(g, "PrometheusProto", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusText0.0.4", "PrometheusText1.0.0"))
	add("serviceDiscoveryRole", pick(g, "Endpoints", "EndpointSlice"))
	add("nameValidationScheme", pick(g, "UTF8", "Legacy"))
	add("nameEscapingScheme", pick(g, "Underscores", "Dots", "Values", "AllowUTF8"))
	add("scrapeFailureLogFile", "/var/log/failures")
	add("externalLabels", dict{"cluster": "c1"})
	if classes || strings.HasPrefix(g.must, "monitors.scrapeClasses") {
		s["scrapeClasses"] = g.classes()
	}
	for _, kind := range []string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig"} {
		for _, x := range []string{"Selector", "NamespaceSelector"} {
			if at := "monitors." + kind + x; g.leadsTo(at) {
				s[kind+x] = g.until(at, g.teams)
			}
		}
	}
	return s
}

func (g *gen) teams() dict {
	if g.chance(0.5) {
		return dict{"matchLabels": dict{"team": "a"}}
	}
	return dict{"matchExpressions": []any{dict{"key": "team", "operator": pick(g, "In", "NotIn"), "values": []any{"a"}}}}
}

func (g *gen) classes() []any {
	const at = "monitors.scrapeClasses"
	g.sure = true // else the operator refuses all
	defer func() { g.sure = false }()
	out := []any{
		dict{
			"name":              "plain",
			"relabelings":       []any{g.until(at+".relabelings", func() dict { return g.goodRule(false) })},
			"metricRelabelings": []any{g.until(at+".metricRelabelings", func() dict { return g.goodRule(true) })},
		},
		dict{"name": "tls", "tlsConfig": dict{"caFile": "/class/ca", "serverName": "class.example", "insecureSkipVerify": true}},
		dict{"name": "auth", "authorization": dict{"credentialsFile": "/class/token"}},
	}
	if g.chance(0.3) {
		out[1].(dict)["tlsConfig"] = dict{"certFile": "/class/crt", "keyFile": "/class/key", "minVersion": "TLS12", "maxVersion": "TLS13"}
	}
	if g.leadsTo(at+".tlsConfig.ca") || g.leadsTo(at+".tlsConfig.cert") || g.leadsTo(at+".tlsConfig.keySecret") {
		of := pick(g, "secret", "configMap")
		if _, field, _ := cutLast(g.must); field == "secret" || field == "configMap" {
			of = field
		}
		ref := dict{of: dict{"name": map[string]string{"secret": "creds", "configMap": "public"}[of], "key": "crt"}}
		out[1].(dict)["tlsConfig"] = dict{"ca": ref, "cert": ref, "keySecret": g.secretKey("keySecret")}
	}
	if g.chance(0.5) {
		out[2].(dict)["authorization"] = dict{"type": "Custom", "credentialsFile": "/class/other"}
	}
	if g.chance(0.3) || g.leadsTo(at+".attachMetadata") {
		out[0].(dict)["attachMetadata"] = dict{"node": true}
	}
	if g.chance(0.3) || g.leadsTo(at+".fallbackScrapeProtocol") {
		out[0].(dict)["fallbackScrapeProtocol"] = "PrometheusText0.0.4"
	}
	def := g.IntN(6)
	if rest, ok := strings.CutPrefix(g.must, at+"[]."); ok && rest != "name" {
		def = map[bool]int{true: 1, false: 0}[strings.HasPrefix(rest, "tlsConfig")]
		if strings.HasPrefix(rest, "authorization") {
			def = 2
		}
	}
	if def < len(out) {
		out[def].(dict)["default"] = true
	}
	return out
}

// goodRule makes a rule without mistakes.
func (g *gen) goodRule(metric bool) dict {
	for {
		r := g.rule(metric)
		needs := r["action"] != nil && slices.Contains([]string{"keep", "drop", "labelmap", "labeldrop", "labelkeep"}, r["action"].(string))
		if r["regex"] != "(" && r["modulus"] != 0 && (needs || r["targetLabel"] != nil) {
			return r
		}
	}
}
