package conformance

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
)

var scrapeConfigType = reflect.TypeFor[monitoringv1alpha1.ScrapeConfigSpec]()

// plausibleScrapeConfig chooses a few lists of service discovery.
func (g *gen) plausibleScrapeConfig(spec dict) {
	spec["staticConfigs"] = g.value(field(scrapeConfigType, "staticConfigs"), "ScrapeConfig.staticConfigs")
	g.unusualStatic(spec["staticConfigs"].([]any))
	if g.chance(0.3) {
		delete(spec, "staticConfigs")
	}
	if g.chance(0.3) {
		spec["kubernetesSDConfigs"] = g.value(field(scrapeConfigType, "kubernetesSDConfigs"), "ScrapeConfig.kubernetesSDConfigs")
	}
	for n := 0.6; g.chance(n); n /= 2 {
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

// unusualStatic gives targets labels that mean something, and strange addresses.
func (g *gen) unusualStatic(configs []any) {
	for _, c := range configs {
		c := c.(dict)
		if g.chance(0.2) {
			c["labels"] = dict{
				pick(g, "__address__", "job", "__scheme__", "__param_x", "__metrics_path__", "instance", "namespace", "a.b"): pick(g, "x", "https", ""),
			}
			g.rarely(
				func() { c["labels"].(dict)["__scrape_interval__"] = pick(g, "7s", "0s", "x", "1h") },
				func() { c["labels"].(dict)["__scrape_timeout__"] = pick(g, "1s", "2h", "") },
				func() { c["labels"].(dict)[pick(g, "", "0x", "__name__", "a b")] = "x" },
			)
		}
		if g.chance(0.03) {
			c["targets"] = []any{pick(g, "", "/", "a/b", "a:b:c", "[::1]", "é.example:1"), "a.example:80"}
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
	case "ec2SDConfigs", "lightSailSDConfigs":
		if at := "ScrapeConfig." + name; g.leadsTo(at+".accessKey") || g.leadsTo(at+".secretKey") { // one alone is nothing
			sd["accessKey"], sd["secretKey"] = g.secretKey("token"), g.secretKey("token")
		}
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
		g.rarely(func() { ns["names"] = some(g, home, "shop", "", "nowhere", "shop") })
	}
	allowed := map[string][]string{
		"Pod": {"Pod", "Node"}, "Service": {"Service"}, "Endpoints": {"Endpoints", "Service", "Pod"},
		"EndpointSlice": {"EndpointSlice", "Service", "Pod"}, "Node": {"Node"}, "Ingress": {"Ingress"},
	}[sd["role"].(string)]
	for key, none := range map[string]string{"label": "zone=z9", "field": "metadata.name=nobody"} {
		if g.leadsTo("ScrapeConfig.kubernetesSDConfigs.selectors." + key) { // there are always nodes, and none of these
			sd["role"], sd["selectors"] = "Node", []any{dict{"role": "Node", key: none}}
			return
		}
	}
	if sd["selectors"] == nil {
		return
	}
	var out []any
	for _, role := range allowed {
		if !g.chance(0.5) {
			continue
		}
		s := dict{"role": role}
		if g.chance(0.7) {
			s["label"] = pick(g, "app=web", "tier", "app in (web,api)", "app!=db", "zone=z1", "(")
			if s["label"] == "(" && g.chance(0.9) {
				s["label"] = "tier"
			}
		}
		if g.chance(0.4) {
			s["field"] = g.fieldSelector(role)
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

// fieldSelector selects by the fields that an API server knows for a role, now and then by another.
func (g *gen) fieldSelector(role string) string {
	all := []string{
		"metadata.name=app0", "metadata.name=app0-x", "metadata.name=node0", "metadata.name!=app0", "metadata.namespace=shop", "metadata.namespace!=default,metadata.name!=app0",
	}
	switch role {
	case "Pod":
		all = append(all, "spec.nodeName=node0", "status.phase=Running", "status.phase!=Failed", "spec.restartPolicy=Always", "spec.schedulerName!=x",
			"spec.serviceAccountName=", "status.podIP=10.0.0.0", "spec.hostNetwork=false", "status.nominatedNodeName=")
	case "Service":
		all = append(all, "spec.clusterIP=10.96.0.1", "spec.type=ClusterIP", "spec.type!=ExternalName")
	case "Node":
		all = []string{"metadata.name=node0", "metadata.name!=node0", "spec.unschedulable=false"}
	}
	if g.chance(0.03) {
		return pick(g, "metadata.uid=x", "spec.type=ClusterIP", "spec.nodeName=node0", "a b", "x", "metadata.name")
	}
	return pick(g, all...)
}
