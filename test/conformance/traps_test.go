package conformance

import (
	"slices"
	"strings"
)

// traps tell whether a random case meets one of the traps of the operator's semantics: those of testdata/traps.
var traps = map[string]func(c *testCase, r *result) bool{
	"01-target-port-not-in-service": func(_ *testCase, r *result) bool {
		return r.target(func(job string, t target) bool {
			return strings.HasPrefix(job, "serviceMonitor/") && slices.Contains([]string{"extra", "7070"}, t.Labels["endpoint"])
		})
	},
	"02-no-port": func(c *testCase, r *result) bool {
		return c.endpoint(r, "ServiceMonitor", func(e dict) bool { return e["port"] == nil && e["targetPort"] == nil })
	},
	"03-target-port-0": func(_ *testCase, r *result) bool {
		return r.target(func(_ string, t target) bool { return t.Labels["endpoint"] == "0" })
	},
	"04-not-ready": func(c *testCase, r *result) bool {
		return r.target(func(job string, t target) bool {
			return strings.HasPrefix(job, "serviceMonitor/") && c.address(func(e dict) bool {
				ready, _ := e["conditions"].(dict)
				return ready != nil && ready["ready"] == false && strings.HasPrefix(t.Labels["__address__"], e["addresses"].([]any)[0].(string)+":")
			})
		})
	},
	"05-ghost-pod": func(_ *testCase, r *result) bool {
		return r.target(func(_ string, t target) bool { return strings.HasPrefix(t.Labels["__address__"], "10.1.0.100:") })
	},
	"06-unknown-service": func(_ *testCase, r *result) bool {
		return r.target(func(job string, t target) bool {
			return strings.HasPrefix(job, "serviceMonitor/") && t.Labels["job"] == ""
		})
	},
	"07-extra-ports-have-no-endpoint-labels": func(_ *testCase, r *result) bool {
		return r.target(func(job string, t target) bool {
			return strings.HasPrefix(job, "serviceMonitor/") && strings.HasSuffix(t.Labels["__address__"], ":7070")
		})
	},
	"08-values-are-regular-expressions": func(c *testCase, r *result) bool {
		return c.monitorWith(r, func(_ object, spec dict) bool {
			sel, _ := spec["selector"].(dict)
			labels, _ := sel["matchLabels"].(dict)
			for _, v := range labels {
				if v == "a.b" {
					return true
				}
			}
			return false
		})
	},
	"09-names-are-sanitised": func(c *testCase, r *result) bool {
		return c.monitorWith(r, func(_ object, spec dict) bool {
			sel, _ := spec["selector"].(dict)
			labels, _ := sel["matchLabels"].(dict)
			return labels["app.kubernetes.io/name"] != nil || labels["app_kubernetes_io_name"] != nil
		})
	},
	"10-port-is-a-regular-expression": func(_ *testCase, r *result) bool {
		return r.target(func(_ string, t target) bool { return strings.ContainsAny(t.Labels["endpoint"], "|*") })
	},
	"11-port-number": func(c *testCase, r *result) bool {
		return c.endpoint(r, "PodMonitor", func(e dict) bool { return e["portNumber"] != nil && e["port"] == nil })
	},
	"12-pods-without-port": func(_ *testCase, r *result) bool {
		return r.target(func(job string, t target) bool {
			return strings.HasPrefix(job, "podMonitor/") && t.Labels["__address__"] != "" && !strings.Contains(t.Labels["__address__"], ":")
		})
	},
	"13-timeouts": func(c *testCase, r *result) bool {
		return c.endpoint(r, "ServiceMonitor", func(e dict) bool { return e["interval"] == "5s" && e["scrapeTimeout"] == nil })
	},
	"14-limit-0": func(c *testCase, r *result) bool {
		return c.Settings["sampleLimit"] != nil && c.monitorWith(r, func(_ object, spec dict) bool { return spec["sampleLimit"] == float64(0) })
	},
	"15-override-honor-timestamps": func(c *testCase, r *result) bool {
		return c.Settings["overrideHonorTimestamps"] == true && c.monitorWith(r, func(o object, spec dict) bool {
			return o.kind() == "ScrapeConfig" && spec["honorTimestamps"] == nil
		})
	},
	"16-enforced-namespace": func(c *testCase, r *result) bool {
		return c.Settings["enforcedNamespaceLabel"] != nil && c.monitorWith(r, func(o object, spec dict) bool {
			return o.kind() == "ScrapeConfig" && spec["relabelings"] == nil
		})
	},
	"17-order-of-rules": func(c *testCase, r *result) bool {
		return c.Settings["scrapeClasses"] != nil && c.monitorWith(r, func(o object, spec dict) bool {
			return o.kind() == "ScrapeConfig" && spec["jobName"] != nil
		})
	},
	"18-hashmod": func(c *testCase, r *result) bool {
		return c.rules(r, func(rule dict) bool { return strings.EqualFold(text(rule["action"]), "hashmod") })
	},
	"19-empty-replacement-and-separator": func(c *testCase, r *result) bool {
		return c.rules(r, func(rule dict) bool { return rule["replacement"] == "" || rule["separator"] == "" })
	},
	"20-probes": func(_ *testCase, r *result) bool {
		return r.target(func(job string, t target) bool {
			return strings.HasPrefix(job, "probe/") && t.Labels["__param_target"] == ""
		})
	},
	"21-scrape-class-tls-and-authorization": func(c *testCase, r *result) bool {
		return c.Settings["scrapeClasses"] != nil && c.monitorWith(r, func(_ object, spec dict) bool { return strings.Contains(string(must(spec)), `"tlsConfig"`) })
	},
	"22-empty-bearer-token-secret": func(c *testCase, _ *result) bool {
		return slices.ContainsFunc(c.Objects, func(o object) bool {
			return o.monitor() && strings.Contains(string(must(o)), `"bearerTokenSecret":{"key":""}`)
		})
	},
	"23-one-bad-endpoint": func(c *testCase, r *result) bool {
		return slices.ContainsFunc(c.Objects, func(o object) bool {
			spec, _ := o["spec"].(dict)
			es, _ := spec["endpoints"].([]any)
			return o.monitor() && len(es) > 1 && strings.HasPrefix(r.Monitors[o.name()], "endpoints[")
		})
	},
	"24-labels-that-are-empty": func(c *testCase, r *result) bool {
		return c.monitorWith(r, func(_ object, spec dict) bool { return spec["jobLabel"] != nil || spec["podTargetLabels"] != nil })
	},
	"25-kubelet": func(_ *testCase, r *result) bool { // addresses of nodes, and slices of the other family
		return r.target(func(_ string, t target) bool {
			return t.Labels["node"] == "node0" || strings.HasPrefix(t.Labels["__address__"], "[fd00:1::")
		})
	},
}

func text(v any) string { s, _ := v.(string); return s }

// target tells whether a job has such a target.
func (r *result) target(f func(job string, t target) bool) bool {
	for name, j := range r.Jobs {
		if slices.ContainsFunc(j.Targets, func(t target) bool { return f(name, t) }) {
			return true
		}
	}
	return false
}

// monitorWith tells whether such a monitor is accepted.
func (c *testCase) monitorWith(r *result, f func(o object, spec dict) bool) bool {
	return slices.ContainsFunc(c.Objects, func(o object) bool {
		spec, ok := o["spec"].(dict)
		reason, selected := r.Monitors[o.name()]
		return ok && o.monitor() && selected && reason == "" && f(o, spec)
	})
}

// endpoint tells whether an accepted monitor has such an endpoint, with targets.
func (c *testCase) endpoint(r *result, kind string, f func(dict) bool) bool {
	return c.monitorWith(r, func(o object, spec dict) bool {
		for _, list := range []string{"endpoints", "podMetricsEndpoints"} {
			es, _ := spec[list].([]any)
			for _, e := range es {
				if o.kind() == kind && f(e.(dict)) {
					return r.target(func(job string, _ target) bool {
						return strings.Contains(job, "/"+o.meta("namespace")+"/"+o.meta("name")+"/")
					})
				}
			}
		}
		return false
	})
}

// address tells whether a slice has such an endpoint.
func (c *testCase) address(f func(dict) bool) bool {
	return slices.ContainsFunc(c.Objects, func(o object) bool {
		es, _ := o["endpoints"].([]any)
		return slices.ContainsFunc(es, func(e any) bool { return f(e.(dict)) })
	})
}

// rules tells whether an accepted monitor has such a rule.
func (c *testCase) rules(r *result, f func(dict) bool) bool {
	var find func(v any) bool
	find = func(v any) bool {
		switch v := v.(type) {
		case dict:
			if (v["targetLabel"] != nil || v["action"] != nil) && f(v) {
				return true
			}
			for _, x := range v {
				if find(x) {
					return true
				}
			}
		case []any:
			return slices.ContainsFunc(v, find)
		}
		return false
	}
	return c.monitorWith(r, func(_ object, spec dict) bool { return find(spec) })
}
