package compare

import (
	"slices"
	"strings"
)

// why finds out why only one side has a target.
type why struct {
	prometheus []Target
	relay      Relay
}

// owner is the monitor of a job: Kind/namespace/name. It is false for a job of scrape_configs.
func owner(pool string) (string, bool) {
	parts := strings.Split(pool, "/")
	if len(parts) < 3 || !slices.Contains([]string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig"}, parts[0]) {
		return "", false
	}
	return strings.ToUpper(parts[0][:1]) + strings.Join(parts[:3], "/")[1:], true
}

// missing says why the relay does not have a target of Prometheus.
func (w why) missing(t Target) string {
	of, isMonitor := owner(t.Pool)
	m, known := w.relay.Monitors[of]
	switch {
	case isMonitor && !known:
		return "the relay does not select this monitor, or does not see it: look at the selectors of its block monitors"
	case isMonitor && m.Rejected:
		return "the relay rejects this monitor: " + m.Reason
	}
	for _, d := range w.relay.Dropped {
		if d.Pool == t.Pool && d.Discovered["__address__"] == t.Discovered["__address__"] && d.Discovered["__metrics_path__"] == t.Discovered["__metrics_path__"] {
			return "the relay drops it: " + d.Reason
		}
	}
	switch {
	case !isMonitor && !w.has(t.Pool):
		return "the relay has no such job: look at its scrape_configs"
	case m.Reason != "":
		return m.Reason
	}
	return "the relay has not discovered it"
}

// has reports whether the relay has a job.
func (w why) has(pool string) bool {
	if slices.ContainsFunc(w.relay.Targets, func(t Target) bool { return t.Pool == pool }) {
		return true
	}
	for _, m := range w.relay.Monitors {
		if slices.Contains(m.Pools, pool) {
			return true
		}
	}
	return false
}

// extra says why Prometheus does not have a target of the relay.
func (w why) extra(t Target) string {
	const condition = "__meta_kubernetes_endpointslice_endpoint_conditions_"
	switch {
	case slices.ContainsFunc(w.prometheus, func(p Target) bool { return p.Pool == t.Pool && p.at() == t.at() }):
		return "Prometheus has it once less"
	case t.Discovered[condition+"terminating"] == "true":
		return "its pod is terminating: with EndpointSlices such pods stay targets until they are gone (docs/fidelity.md)"
	case strings.HasPrefix(t.Pool, "nodes/"):
		return "the relay's block nodes scrapes it, and no monitor of Prometheus does"
	case !slices.ContainsFunc(w.prometheus, func(p Target) bool { return p.Pool == t.Pool }):
		return "Prometheus has no such job: its selectors differ, or another shard has it (give --prometheus for each)"
	}
	return "Prometheus has not discovered it, or another shard has it (give --prometheus for each)"
}
