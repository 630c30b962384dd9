//go:build linux

package cluster_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
)

// How soon a change in the cluster must show, and a changed Secret.
const (
	reactionLimit = time.Second
	secretLimit   = 10 * time.Second
	attempts      = 3
)

// reaction is a change and what it should bring about. Both are told the number of the attempt, so that each attempt
// changes something anew; prepare brings about what the change needs.
type reaction struct {
	prepare func(t *testing.T, attempt int)
	change  func(t *testing.T, attempt int)
	effect  func(t *testing.T, attempt int) bool
}

// within demands the effect in time in at least one of the attempts, since the machine may be busy.
func (r reaction) within(t *testing.T, limit time.Duration) {
	t.Helper()
	for attempt := range attempts {
		if r.prepare != nil {
			r.prepare(t, attempt)
		}
		if r.effect(t, attempt) {
			t.Fatal("the effect is there before the change")
		}
		start := time.Now()
		r.change(t, attempt)
		for !r.effect(t, attempt) {
			if time.Since(start) > 2*limit+10*time.Second {
				t.Fatalf("no effect after %s", time.Since(start))
			}
			time.Sleep(5 * time.Millisecond)
		}
		took := time.Since(start)
		t.Logf("took %s", took.Round(time.Millisecond))
		if took < limit {
			return
		}
	}
	t.Errorf("took longer than %s each time", limit)
}

// reactions are changes of every kind of object that the relay watches, by name. Each works in a namespace of its own.
func reactions(c *cluster.Cluster, r *relay, ip string) map[string]reaction {
	apply := func(manifest string, pairs ...string) func(*testing.T, int) {
		return func(t *testing.T, attempt int) {
			c.Apply(t, fill(fill(manifest, pairs...), "NUMBER", strconv.Itoa(attempt), "ADDRESS", ip)) // a name may hold NUMBER
		}
	}
	// found looks for a target of a job with labels; NUMBER in them is that of the attempt.
	found := func(job string, labels ...string) func(*testing.T, int) bool {
		return func(t *testing.T, attempt int) bool {
			number := strconv.Itoa(attempt)
			var want []string
			for _, l := range labels {
				want = append(want, fill(l, "NUMBER", number))
			}
			return r.target(t, fill(job, "NUMBER", number), want...) != nil
		}
	}
	in := func(namespace string) []string { return []string{"NS", namespace, "NAME", "app-NUMBER"} }
	ready := func(namespace, manifests string) string { return fill(namespaceOf+"---"+manifests, in(namespace)...) }
	const pair = serviceOf + "---" + sliceOf
	const job = "/app-NUMBER/0"
	return map[string]reaction{
		"monitor arrives": {
			prepare: apply(ready("r-monitor", pair)),
			change:  apply(monitorOf, in("r-monitor")...),
			effect:  found("serviceMonitor/r-monitor"+job, "service", "app-NUMBER"),
		},
		"monitor changes": {
			prepare: apply(ready("r-path", pair+"---"+monitorOf)),
			change:  apply(fill(monitorOf, "port: metrics", "port: metrics, path: /new"), in("r-path")...),
			effect: func(t *testing.T, attempt int) bool {
				one := r.target(t, fmt.Sprintf("serviceMonitor/r-path/app-%d/0", attempt))
				return one != nil && one.ScrapeURL == "http://"+ip+":9090/new"
			},
		},
		"service arrives after its slice": {
			prepare: apply(ready("r-service", sliceOf+"---"+monitorOf)),
			change:  apply(serviceOf, in("r-service")...),
			effect:  found("serviceMonitor/r-service"+job, "service", "app-NUMBER"),
		},
		"slice arrives": {
			prepare: apply(ready("r-slice", serviceOf+"---"+monitorOf)),
			change:  apply(sliceOf, in("r-slice")...),
			effect:  found("serviceMonitor/r-slice"+job, "service", "app-NUMBER"),
		},
		"slice loses its endpoint": {
			prepare: func(t *testing.T, attempt int) {
				apply(ready("r-empty", pair+"---"+monitorOf))(t, attempt)
				cluster.WaitFor(t, "the target", 10*time.Second, func() error {
					if !found("serviceMonitor/r-empty"+job)(t, attempt) {
						return fmt.Errorf("none yet")
					}
					return nil
				})
			},
			change: apply(fill(sliceOf, "[{addresses: [ADDRESS]}]", "[]"), in("r-empty")...),
			effect: func(t *testing.T, attempt int) bool { return !found("serviceMonitor/r-empty"+job)(t, attempt) },
		},
		"pod changes its label": {
			prepare: apply(ready("r-pod", serviceOf+"---"+podSliceOf+"---"+monitorOf+"---"+fill(podOf, "RELEASE", "old"))),
			change:  apply(podOf, append(in("r-pod"), "RELEASE", "new-NUMBER")...),
			effect:  found("serviceMonitor/r-pod"+job, "pod", "app-NUMBER", "release", "new-NUMBER"),
		},
		"pod arrives after its slice": {
			prepare: apply(ready("r-late", serviceOf+"---"+podSliceOf+"---"+monitorOf)),
			change:  apply(fill(podOf, "RELEASE", "1"), in("r-late")...),
			effect:  found("serviceMonitor/r-late"+job, "pod", "app-NUMBER", "release", "1"),
		},
		"pod of a PodMonitor runs": {
			prepare: apply(ready("r-running", fill(podOf, "RELEASE", "1")+"---"+podMonitorOf)),
			change:  func(t *testing.T, attempt int) { runPod(t, c, "r-running", fmt.Sprintf("app-%d", attempt), ip) },
			effect:  found("podMonitor/r-running"+job, "pod", "app-NUMBER"),
		},
		"PodMonitor arrives": {
			prepare: func(t *testing.T, attempt int) {
				apply(ready("r-podmonitor", fill(podOf, "RELEASE", "1")))(t, attempt)
				runPod(t, c, "r-podmonitor", fmt.Sprintf("app-%d", attempt), ip)
			},
			change: apply(podMonitorOf, in("r-podmonitor")...),
			effect: found("podMonitor/r-podmonitor"+job, "pod", "app-NUMBER"),
		},
		"Probe arrives": {
			prepare: apply(fill(namespaceOf, "NS", "r-probe")),
			change:  apply(probeOf, in("r-probe")...),
			effect:  found("probe/r-probe/app-NUMBER", "instance", "page.example"),
		},
		"ScrapeConfig arrives": {
			prepare: apply(fill(namespaceOf, "NS", "r-config")),
			change:  apply(scrapeConfigOf, in("r-config")...),
			effect:  found("scrapeConfig/r-config/app-NUMBER", "instance", net.JoinHostPort(ip, exporterPort)),
		},
		"namespace changes its label": {
			prepare: apply(fill(namespaceOf, "NS}", "r-off-NUMBER, labels: {promrelay-test: off-limits}}") +
				"---" + fill(pair+"---"+monitorOf, "NS", "r-off-NUMBER", "NAME", "app")),
			change: apply(namespaceOf, "NS", "r-off-NUMBER"),
			effect: found("serviceMonitor/r-off-NUMBER/app/0", "service", "app"),
		},
		"node arrives": {
			change: func(t *testing.T, attempt int) { makeNode(t, c, fmt.Sprintf("arrives-%d", attempt), "a") },
			effect: found("nodes/kubelet", "node", "arrives-NUMBER"),
		},
		"node changes its label": {
			prepare: func(t *testing.T, attempt int) {
				makeNode(t, c, fmt.Sprintf("changes-%d", attempt), "old")
				apply(ready("r-node", serviceOf+"---"+
					fill(sliceOf, "[ADDRESS]}", "[ADDRESS], nodeName: changes-NUMBER}")+"---"+
					fill(monitorOf, "spec:", "spec:\n  attachMetadata: {node: true}", "port: metrics",
						"port: metrics, relabelings: [{sourceLabels: [__meta_kubernetes_node_label_zone], targetLabel: zone}]")))(t, attempt)
			},
			change: func(t *testing.T, attempt int) { labelNode(t, c, fmt.Sprintf("changes-%d", attempt), "new") },
			effect: found("serviceMonitor/r-node"+job, "zone", "new"),
		},
	}
}

func makeNode(t *testing.T, c *cluster.Cluster, name, zone string) {
	t.Helper()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"zone": zone}},
		Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 1}}, // nobody is there
		},
	}
	if _, err := c.Client().CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatalf("make node %s: %v", name, err)
	}
}

func labelNode(t *testing.T, c *cluster.Cluster, name, zone string) {
	t.Helper()
	node, err := c.Client().CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err == nil {
		node.Labels["zone"] = zone
		_, err = c.Client().CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatalf("label node %s: %v", name, err)
	}
}
