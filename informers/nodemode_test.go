package informers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"promrelay/config"
	"promrelay/informers/manifests"
	"promrelay/targets"
)

const nodeModeObjects = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: web, namespace: shop}
spec: {selector: {}, podMetricsEndpoints: [{port: web}], attachMetadata: {node: true}}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web, namespace: shop}
spec: {selector: {}, endpoints: [{port: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: web, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: web, port: 80}]
endpoints: [{addresses: [10.0.0.1], nodeName: n1, targetRef: {kind: Pod, name: p1, namespace: shop}}]
`

func podOn(name, node, ip string) string {
	return fmt.Sprintf("\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop}\nspec: {nodeName: %q, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: %s}\n",
		name, node, ip)
}

func nodeNamed(name, labels, ip string) string {
	return fmt.Sprintf("\n---\napiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {%s}}\nstatus: {addresses: [{type: InternalIP, address: %s}]}\n", name, labels, ip)
}

// relayOf runs a Discovery on the directory of a world, in node mode unless node is empty. It returns it once it has settled.
func (w *world) relayOf(cfg, node string) *Discovery {
	w.t.Helper()
	c, err := config.Load([]byte("manifests:\n  directory: "+w.dir+"\n"+cfg), w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := manifests.New(w.dir, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := New(Options{Backend: m, Node: node})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.Apply(c); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(w.t.Context(), nil) }()
	w.t.Cleanup(func() {
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	within(w.t, "it settles", d.Settled)
	return d
}

// scraped are the targets of all jobs: the job, the Pod or Node, and the URL.
func scraped(d *Discovery) (out []string) {
	for _, m := range d.Monitors() {
		for _, j := range m.Jobs {
			for _, t := range d.Targets(j.Job.Name) {
				out = append(out, fmt.Sprintf("%s %s%s %s", j.Job.Name, t.Labels.Get("pod"), t.Labels.Get("node"), t.URL))
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestNodeMode divides the targets, and follows a Pod that comes, a Node that changes sides, and one that goes.
func TestNodeMode(t *testing.T) {
	const cfg = "nodes: {probes: {enabled: false}, cadvisor: {enabled: false}}\nmonitors: {}\nnode_mode: {selector: side!=central}\n"
	w := newWorld(t, "", map[string]string{
		"objects.yaml": nodeModeObjects, "pods.yaml": podOn("p1", "n1", "10.0.0.1") + podOn("p2", "n2", "10.0.0.2") + podOn("p0", "", "10.0.0.9"),
		"n1.yaml": nodeNamed("n1", "", "192.168.0.1"), "n2.yaml": nodeNamed("n2", "side: central", "192.168.0.2"),
	})
	central, n1, n2 := w.relayOf(cfg, ""), w.relayOf(cfg, "n1"), w.relayOf(cfg, "n2")
	are := func(name string, d *Discovery, want ...string) {
		t.Helper()
		within(t, name, func() bool {
			return d.Settled() && slices.Equal(scraped(d), want) || !strings.Contains(t.Name(), "TestNodeMode")
		})
		if got := scraped(d); !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	const service = "serviceMonitor/shop/web/0 p1 http://10.0.0.1:80/metrics"
	are("central", central,
		"nodes/kube-proxy n2 http://192.168.0.2:10249/metrics", "nodes/kubelet n2 https://192.168.0.2:10250/metrics",
		"podMonitor/shop/web/0 p2 http://10.0.0.2:80/metrics", service)
	are("n1", n1, "nodes/kube-proxy n1 http://127.0.0.1:10249/metrics", "nodes/kubelet n1 https://192.168.0.1:10250/metrics", "podMonitor/shop/web/0 p1 http://10.0.0.1:80/metrics")
	are("n2", n2)
	if why := n2.Off()["node mode"]; !strings.Contains(why, "node_mode.selector (side!=central) leaves Node n2 out") {
		t.Errorf("n2 says %q", why)
	}
	if off := n1.Off(); len(off) != 0 {
		t.Errorf("n1 says %q", off)
	}

	w.write("n2.yaml", nodeNamed("n2", "", "192.168.0.2"))
	w.write("more.yaml", podOn("p3", "n2", "10.0.0.3"))
	are("central, both covered", central, service)
	are("n2, covered", n2, "nodes/kube-proxy n2 http://127.0.0.1:10249/metrics", "nodes/kubelet n2 https://192.168.0.2:10250/metrics",
		"podMonitor/shop/web/0 p2 http://10.0.0.2:80/metrics", "podMonitor/shop/web/0 p3 http://10.0.0.3:80/metrics")
	for _, m := range central.Monitors() {
		for _, j := range m.Jobs {
			if m.Owner.Kind != targets.ServiceMonitor && (j.Elsewhere < 2 || !strings.Contains(j.Why, "relays in node mode scrape all of its")) {
				t.Errorf("%s: %d elsewhere, %q", j.Job.Name, j.Elsewhere, j.Why)
			}
		}
	}

	w.remove("n2.yaml")
	are("n2, gone", n2)
	if why := n2.Off()["node mode"]; !strings.Contains(why, `Node "n2" does not exist`) {
		t.Errorf("n2 says %q", why)
	}
	for _, m := range n2.Monitors() {
		if m.Owner.Kind == targets.PodMonitor && m.Why == "" {
			t.Errorf("%s has no reason", m.Owner)
		}
	}
	are("n1 to the end", n1, "nodes/kube-proxy n1 http://127.0.0.1:10249/metrics", "nodes/kubelet n1 https://192.168.0.1:10250/metrics", "podMonitor/shop/web/0 p1 http://10.0.0.1:80/metrics")
}

// TestNodeModeWatches: a relay in node mode asks for the objects of its Node alone, and for few resources.
func TestNodeModeWatches(t *testing.T) {
	for cfg, want := range map[string]string{
		"monitors: {}\nnode_mode: {}\n":                                                                           "nodes metadata.name=n1, podmonitors , pods spec.nodeName=n1",
		"nodes: {}\nmonitors: {}\nnode_mode: {covers: [nodes]}\n":                                                 "nodes metadata.name=n1",
		"monitors: {podMonitorNamespaceSelector: {matchLabels: {a: b}}, podMonitorSelector: {}}\nnode_mode: {}\n": "namespaces , nodes metadata.name=n1, podmonitors , pods spec.nodeName=n1",
	} {
		w := newWorld(t, "", map[string]string{"objects.yaml": nodeModeObjects, "n1.yaml": nodeNamed("n1", "", "192.168.0.1")})
		d := w.relayOf(cfg, "n1")
		var got []string
		for name, watch := range d.watched {
			if watch.why() == "" {
				got = append(got, name+" "+watch.only.String())
			}
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: watches %q, want %q", cfg, got, want)
		}
	}
}

// TestNodeModeWithoutBlock is refused: the central relay would not know what to leave.
func TestNodeModeWithoutBlock(t *testing.T) {
	c, err := config.Load([]byte("monitors: {}\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(c); err == nil || !strings.Contains(err.Error(), "--kubernetes.node-name=n1 needs the block node_mode") {
		t.Errorf("got %v", err)
	}
}
