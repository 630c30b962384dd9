//go:build linux

package cluster_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"promrelay/test/cluster"
)

// watched are the resources that the relay watches as soon as it reads monitors, each by one watch.
var watched = map[string]int{
	"servicemonitors.monitoring.coreos.com": 1,
	"podmonitors.monitoring.coreos.com":     1,
	"probes.monitoring.coreos.com":          1,
	"scrapeconfigs.monitoring.coreos.com":   1,
	"endpointslices.discovery.k8s.io":       1,
	"services":                              1,
	"pods":                                  1,
	"nodes":                                 1,
	"namespaces":                            1,
}

const (
	manyNamespaces = 50
	manyMonitors   = 300
)

// TestWatches counts the relay's watches at the API server, by its audit log and by its metrics, with one monitor and
// with 300 in 50 namespaces.
func TestWatches(t *testing.T) {
	t.Parallel()
	e := startExporter(t, 4000)
	c := cluster.Start(t, cluster.Options{Audit: true})
	kubeconfig := install(t, c)
	c.Apply(t, app("many-0", "app", e.ip))
	before := c.Watches(t)
	r := startRelay(t, startReceiver(t),
		fmt.Sprintf("kubernetes: {kubeconfig: %s}\nmonitors: {scrapeInterval: 30s}\n", kubeconfig))
	targets(t, r, 1)
	mustWatch(t, c, before, 1, watched)

	start := time.Now()
	for n := range manyNamespaces {
		namespace := fmt.Sprintf("many-%d", n)
		c.Apply(t, app(namespace, "app", e.ip))
		for m := 1; m < manyMonitors/manyNamespaces; m++ {
			// Their forms differ: the selector of namespaces, attached metadata, the name of the port.
			monitor := fill(monitorOf, "NS", namespace, "{name: NAME,", fmt.Sprintf("{name: app-%d,", m), "NAME", "app",
				"spec:", "spec:"+[]string{"", "\n  namespaceSelector: {matchNames: [" + namespace + "]}", "\n  attachMetadata: {node: true}"}[m%3])
			c.Apply(t, monitor)
		}
	}
	t.Logf("made %d monitors in %s", manyMonitors, time.Since(start).Round(time.Millisecond))
	targets(t, r, manyMonitors)
	mustWatch(t, c, before, manyMonitors, watched)

	// What is watched only while something asks for it; the shipped role lets it.
	onDemand := maps.Clone(watched)
	onDemand["endpoints"], onDemand["ingresses.networking.k8s.io"] = 1, 1
	asking := fill(strings.ReplaceAll(monitorOf, "spec:", "spec:\n  serviceDiscoveryRole: Endpoints"), "NS", "many-0", "{name: NAME,", "{name: old-role,", "NAME", "app") +
		"---" + fill(strings.ReplaceAll(probeOf, "staticConfig: {static: [page.example]}", "ingress: {selector: {}}"), "NS", "many-0", "NAME", "ingress", "ADDRESS", e.ip)
	c.Apply(t, asking)
	mustWatch(t, c, before, manyMonitors+2, onDemand)
	c.Delete(t, asking)
	mustWatch(t, c, before, manyMonitors, watched)

	requests := c.Requests(t, cluster.AuditFilter{Agent: relayAgent})
	t.Logf("requests in all: %v", requests)
	for request, n := range requests {
		if verb, _, _ := strings.Cut(request, " "); verb == "list" || (verb == "watch" && n > 2) {
			t.Errorf("%d requests %q", n, request)
		}
	}
	onlyForbidden(t, c, relayUser)
}

// targets waits until there are so many targets in all, and none is more or less.
func targets(t *testing.T, r *relay, number int) {
	t.Helper()
	cluster.WaitFor(t, "targets", 20*time.Second, func() error {
		if n := len(r.targets(t, "")); n != number {
			return fmt.Errorf("%d targets, want %d", n, number)
		}
		return nil
	})
}

// mustWatch waits until the relay has these watches. What the API server's metrics count beyond those of before is the
// same, but for its own, which come and go.
func mustWatch(t *testing.T, c *cluster.Cluster, before cluster.Watches, monitors int, want map[string]int) {
	t.Helper()
	var audited, counted cluster.Watches
	cluster.WaitFor(t, "watches", 20*time.Second, func() error {
		audited, counted = c.OpenWatches(t, cluster.AuditFilter{User: relayUser, Agent: relayAgent}), c.Watches(t).Since(before)
		if err := same(audited, want); err != nil {
			return fmt.Errorf("by the audit log: %w", err)
		}
		if err := same(counted, want); err != nil {
			return fmt.Errorf("by the metrics: %w", err)
		}
		return nil
	})
	t.Logf("%d monitors: %d watches of the relay, %d more at the API server: %v", monitors, audited.Total(), counted.Total(), audited.Resources())
}
