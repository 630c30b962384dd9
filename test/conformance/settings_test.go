package conformance

import "strings"

// settings makes the block monitors.
func (g *gen) settings(classes bool) dict {
	s := dict{"scrapeInterval": pick(g, "30s", "30s", "30s", "10s", "1m")}
	if g.chance(0.005) {
		s["scrapeInterval"] = pick(g, "", "x", "1d")
	}
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
	add("scrapeTimeout", pick(g, "5s", "10s", "9s", "1m"))
	for _, limit := range []string{"Sample", "Target", "Label", "LabelNameLength", "LabelValueLength"} {
		add(strings.ToLower(limit[:1])+limit[1:]+"Limit", pick(g, 0, 10, 500))
		add("enforced"+limit+"Limit", pick(g, 0, 50, 200))
	}
	add("keepDroppedTargets", pick(g, 0, 10, 500))
	add("enforcedKeepDroppedTargets", pick(g, 0, 50, 200))
	add("bodySizeLimit", pick(g, "5MB", "1KB", "0"))
	add("enforcedBodySizeLimit", pick(g, "1MB", "2GB", "0"))
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
	if g.chance(0.1) {
		s["serviceDiscoveryRole"] = pick(g, "Endpoints", "EndpointSlice")
	}
	add("nameValidationScheme", pick(g, "UTF8", "Legacy"))
	add("nameEscapingScheme", pick(g, "Underscores", "Dots", "Values", "AllowUTF8"))
	add("scrapeFailureLogFile", "/var/log/failures")
	add("externalLabels", g.externalLabels())
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

// externalLabels are those of all series. HOME is a variable that both sides have.
func (g *gen) externalLabels() dict {
	out := dict{"cluster": pick(g, "c1", "a$b", "$$", "${HOME}", "$HOME/x", "${NONE}", "$1", "100$", "", "é")}
	g.rarely(
		func() { out[pick(g, "a.b", "é", "0x", "a b", "__x", "job")] = "y" },
		func() { out["__name__"] = "y" },
	)
	return out
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
	all := dict{
		"name": "all", "tlsConfig": dict{"caFile": "/all/ca"}, "authorization": dict{"type": "All", "credentialsFile": "/all/token"},
		"relabelings": []any{g.goodRule(false), g.goodRule(false)}, "metricRelabelings": []any{g.goodRule(true)}, "attachMetadata": dict{"node": true}, "fallbackScrapeProtocol": "OpenMetricsText1.0.0",
	}
	out = append(out, all)
	g.rarely(func() { all["attachMetadata"] = dict{} })
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
	if g.chance(0.03) {
		return g.mistakenClasses(out)
	}
	return out
}

// mistakenClasses are classes that no configuration comes of.
func (g *gen) mistakenClasses(classes []any) []any {
	first, second := classes[0].(dict), classes[1].(dict)
	switch g.IntN(3) { // the API server sees to it that names are unique
	case 0:
		first["default"], second["default"] = true, true
	case 1:
		first["relabelings"] = []any{dict{"action": "replace", "regex": "("}}
	case 2:
		second["tlsConfig"] = dict{"minVersion": "TLS13", "maxVersion": "TLS10"}
	}
	return classes
}
