package conformance

import (
	"maps"
	"slices"
	"strings"
)

// plausible removes most mistakes for which a monitor is rejected: a few are enough.
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
	if g.chance(0.02) {
		spec["targets"] = dict{}
		return
	}
	if g.chance(0.97) {
		g.oneOf(targets, 0.05, "staticConfig", "ingress")
	}
	if static, ok := targets["staticConfig"].(dict); ok {
		static["static"] = some(g, "http://a.example", "b.example:80", "c.example/x y")
		if static["labels"] != nil {
			static["labels"] = dict{pick(g, "namespace", "env", "service.name", "0x", "job", "__param_target"): pick(g, "prod", "")}
			if g.chance(0.05) {
				static["labels"] = dict{pick(g, "a b", "", "é", "__name__"): "x"}
			}
		}
		if g.chance(0.02) {
			static["static"] = []any{}
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
