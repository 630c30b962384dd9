//go:build linux

package cluster_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"promrelay/test/cluster"
)

const (
	podsOnNode = 20
	// centralPods are those that no relay in node mode covers: two on node-4, which the selector leaves out, and one on a Node that does
	// not exist.
	centralPods = 3
)

// TestNodeMode runs a relay in node mode on each of three Nodes, with the role that deploy/ ships, and the central one. Together they
// have the targets of one relay without node mode, with the same labels, and none twice, also after the labels of a Node change.
func TestNodeMode(t *testing.T) {
	c := cluster.Start(t, cluster.Options{Audit: true})
	c.ApplyFiles(t, shippedNamespace, shippedDaemonSet)
	kubeconfig := install(t, c)
	to := startReceiver(t)
	podsOfNodes(t, c)

	config := func(account, kubeconfig, block string) string {
		return everything(kubeconfig) + fmt.Sprintf("nodes: {authorization: {credentials_file: %s}, insecure_skip_verify: true}\n%s", tokenFile(t, c, account), block)
	}
	const divided = "node_mode: {selector: zone=on}\n"
	whole := startRelay(t, startReceiver(t), config("promrelay", kubeconfig, ""))
	halves := map[string]*relay{"central": startRelay(t, to, config("promrelay", kubeconfig, divided))}
	ofNode := c.ServiceAccountKubeconfig(t, "promrelay", "promrelay-node")
	for n := 1; n <= 3; n++ {
		node := fmt.Sprintf("node-%d", n)
		halves[node] = startRelayOn(t, node, to, config("promrelay-node", ofNode, divided))
	}
	targets(t, whole, 3*podsOnNode+centralPods+4*pagesOfNode)
	perNode := podsOnNode + pagesOfNode
	divides(t, whole, halves, map[string]int{"central": centralPods + pagesOfNode, "node-1": perNode, "node-2": perNode, "node-3": perNode})
	for node := range halves {
		if node != "central" {
			watchesNode(t, c, node)
		}
	}
	cluster.WaitFor(t, "all pages to be scraped", 15*time.Second, func() error {
		if n := len(to.Select("__name__", "app_up")); n != 3*podsOnNode+centralPods {
			return fmt.Errorf("%d Pods in the receiver", n)
		}
		return nil
	})
	for node, r := range halves {
		t.Logf("%s: %d targets, resident memory %s", node, len(r.targets(t, "")), residentMemory(t, r))
	}

	labelNode(t, c, "node-3", "off")
	divides(t, whole, halves, map[string]int{"central": centralPods + pagesOfNode + perNode, "node-1": perNode, "node-2": perNode, "node-3": 0})
	for request := range c.Requests(t, cluster.AuditFilter{User: relayUser + "-node"}) {
		if strings.HasPrefix(request, "list ") {
			t.Errorf("a relay in node mode sent %q", request)
		}
	}
	onlyForbidden(t, c, relayUser)
	onlyForbidden(t, c, relayUser+"-node")
}

// pagesOfNode is how many targets the block nodes makes of a Node: /metrics, cadvisor and probes of the kubelet, and kube-proxy.
const pagesOfNode = 4

// podsOfNodes makes four Nodes, and Pods on them and elsewhere, which a PodMonitor selects.
func podsOfNodes(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	c.Apply(t, fill(namespaceOf, "NS", "shop"), fill(strings.Replace(podMonitorOf, "app: NAME", "release: a", 1), "NS", "shop", "NAME", "pods"))
	pods := map[string]int{"node-1": podsOnNode, "node-2": podsOnNode, "node-3": podsOnNode, "node-4": centralPods - 1, "gone": 1}
	number := 7200
	for node, n := range pods {
		if node != "gone" {
			makeNode(t, c, node, map[bool]string{true: "on", false: "off"}[node != "node-4"])
		}
		for i := range n {
			e, name := startExporter(t, number), fmt.Sprintf("%s-%d", node, i)
			number++
			c.Apply(t, fill(strings.Replace(podOf, "spec: {", "spec: {nodeName: "+node+", ", 1), "NS", "shop", "NAME", name, "RELEASE", "a"))
			runPod(t, c, "shop", name, e.ip)
		}
	}
}

// divides waits until each relay has so many targets, and all of them together have those of the whole, each once.
func divides(t *testing.T, whole *relay, halves map[string]*relay, number map[string]int) {
	t.Helper()
	// Labels that are not of the scrape alone, in order: fmt sorts the keys of maps.
	key := func(one target) string { return fmt.Sprint(one.ScrapePool, one.Labels) }
	cluster.WaitFor(t, "the targets to be divided", 20*time.Second, func() error {
		by := map[string]string{}
		for name, r := range halves {
			all := r.targets(t, "")
			if len(all) != number[name] {
				return fmt.Errorf("%s has %d targets, want %d", name, len(all), number[name])
			}
			for _, one := range all {
				if other, twice := by[key(one)]; twice {
					return fmt.Errorf("%s and %s have %s", name, other, key(one))
				}
				by[key(one)] = name
			}
		}
		for _, one := range whole.targets(t, "") {
			if by[key(one)] == "" {
				return fmt.Errorf("nobody has %s", key(one))
			}
			delete(by, key(one))
		}
		if len(by) > 0 {
			return fmt.Errorf("one relay alone would not have %v", by)
		}
		return nil
	})
}

// watchesNode demands the watches of a relay in node mode in the audit log: of its Node and the Pods there by field selectors, each once.
func watchesNode(t *testing.T, c *cluster.Cluster, node string) {
	t.Helper()
	got := map[string]int{}
	for _, e := range c.AuditEvents(t, cluster.AuditFilter{User: relayUser + "-node", Verb: "watch"}) {
		if e.Stage != "RequestReceived" {
			continue
		}
		uri, err := url.Parse(e.RequestURI)
		if err != nil {
			t.Fatal(err)
		}
		selector := uri.Query().Get("fieldSelector")
		if r := e.ObjectRef.Resource; (r == "pods" || r == "nodes") && (selector == "" || strings.HasSuffix(selector, "="+node)) {
			got[r+" "+selector]++
		}
	}
	if err := same(got, map[string]int{"pods spec.nodeName=" + node: 1, "nodes metadata.name=" + node: 1}); err != nil {
		t.Errorf("watches of the relay on %s: %v", node, err)
	}
}

var residentBytes = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`)

// residentMemory is what a relay says of its process.
func residentMemory(t *testing.T, r *relay) string {
	t.Helper()
	found := residentBytes.FindSubmatch(r.get(t, "/metrics"))
	var bytes float64
	if found == nil {
		t.Fatal("the relay does not say how much memory it uses")
	}
	if _, err := fmt.Sscan(string(found[1]), &bytes); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
}
