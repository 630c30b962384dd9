package informers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"promrelay/informers/manifests"
	"promrelay/targets"
)

const (
	whyMonitor1 = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: cart, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}, endpoints: [{port: web}]MORE}
---
`
	whyService = `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {ports: [{name: web, port: 80, targetPort: 8080}, {name: admin, port: 81}]MORE}
---
`
	whyPods = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: cart, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}, podMetricsEndpoints: [{port: web}]MORE}
---
`
)

func with(text, more string) string { return strings.ReplaceAll(text, "MORE", more) }

func slice(more string) string {
	return "\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}\n" + more + "\n---\n"
}

func whyPod(more string) string {
	return "\napiVersion: v1\nkind: Pod\nmetadata: {name: cart-0, namespace: shop, labels: {app: cart}}\n" + more + "\n---\n"
}

// TestWhy has a true sentence for each way in which an accepted monitor can have no targets.
func TestWhy(t *testing.T) {
	monitor, service, pods := with(whyMonitor1, ""), with(whyService, ""), with(whyPods, "")
	for name, c := range map[string]struct{ objects, want string }{
		"no Service": {
			monitor, "there are no Services in namespace shop",
		},
		"no Service with these labels": {
			monitor + strings.ReplaceAll(service, "app: cart", "app: card"), "no Service in namespace shop matches its selector app=cart (1 Service there)",
		},
		"several namespaces": {
			with(whyMonitor1, ", namespaceSelector: {matchNames: [a, b]}") + service, "there are no Services in the namespaces a, b; shop/cart matches: namespaceSelector leaves namespace shop out",
		},
		"another namespace": {
			monitor + strings.ReplaceAll(service, "app: cart", "app: card") + strings.ReplaceAll(service, "namespace: shop", "namespace: b"),
			"no Service in namespace shop matches its selector app=cart (1 Service there); b/cart matches: namespaceSelector leaves namespace b out",
		},
		"other namespaces": {
			monitor + strings.ReplaceAll(service, "namespace: shop", "namespace: b") + strings.ReplaceAll(service, "namespace: shop", "namespace: c"),
			"there are no Services in namespace shop; b/cart, c/cart match: namespaceSelector leaves the namespaces b, c out",
		},
		"Pods of another namespace": {
			pods + strings.ReplaceAll(whyPod("status: {phase: Running, podIP: 10.0.0.1}"), "namespace: shop", "namespace: b"),
			"there are no Pods in namespace shop; b/cart-0 matches: namespaceSelector leaves namespace b out",
		},
		"any namespace": {
			with(whyMonitor1, ", namespaceSelector: {any: true}") + strings.ReplaceAll(service, "app: cart", "app: card"),
			"no Service in the cluster matches its selector app=cart (1 Service there)",
		},
		"no slice, as in a pull request": {
			monitor + service,
			"Service shop/cart is selected, and its port web 80 matches; the directory has no EndpointSlice of it, so that its Pods are not known",
		},
		"no slice, and no such port": {
			strings.ReplaceAll(monitor, "port: web", "port: metrics") + service,
			`Service shop/cart is selected, but of its ports (web 80, admin 81) none is called "metrics"; the directory has no EndpointSlice of it, so that its Pods are not known`,
		},
		"no slice, a regular expression": {
			strings.ReplaceAll(monitor, "port: web", "port: web|admin") + service, "and its ports web 80, admin 81 match",
		},
		"no slice, by target port": {
			strings.ReplaceAll(monitor, "port: web", "targetPort: 8080") + service, "and its port web 80 matches",
		},
		"no slice, no such target port": {
			strings.ReplaceAll(monitor, "port: web", "targetPort: 9090") + service, `none has the targetPort "9090"`,
		},
		"Endpoints alone": {
			monitor + service + "apiVersion: v1\nkind: Endpoints\nmetadata: {name: cart, namespace: shop}\nsubsets: [{addresses: [{ip: 10.0.0.1}], ports: [{name: web, port: 80}]}]\n",
			"Service shop/cart has Endpoints and no EndpointSlice: serviceDiscoveryRole: Endpoints takes them",
		},
		"no Endpoints": {
			with(whyMonitor1, ", serviceDiscoveryRole: Endpoints") + service,
			"Service shop/cart is selected, and its port web 80 matches; the directory has no Endpoints of it, so that its Pods are not known",
		},
		"empty Endpoints": {
			with(whyMonitor1, ", serviceDiscoveryRole: Endpoints") + service + "apiVersion: v1\nkind: Endpoints\nmetadata: {name: cart, namespace: shop}\n",
			"the Endpoints of Service shop/cart are empty: the Service has no selector, so that Kubernetes gives it no Pods",
		},
		"empty slice": {
			monitor + service + slice("addressType: IPv4\nports: [{name: web, port: 80}]"),
			"EndpointSlice shop/cart-1 of Service shop/cart is empty: the Service has no selector, so that Kubernetes gives it no Pods",
		},
		"slice without ports": {
			monitor + service + slice("addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]"), "EndpointSlice shop/cart-1 of Service shop/cart has no ports",
		},
		"another family": {
			monitor + with(whyService, ", ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv4, IPv6]") + slice("addressType: IPv6\nports: [{name: web, port: 80}]\nendpoints: [{addresses: [\"fd00::1\"]}]"),
			"EndpointSlice shop/cart-1 of Service shop/cart is of IPv6, and only the first family of the Service is scraped, IPv4",
		},
		"labels of the slice": {
			with(whyMonitor1, ", selectorMechanism: RoleSelector") + service + slice("addressType: IPv4\nports: [{name: web, port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]"),
			"EndpointSlice shop/cart-1 of Service shop/cart does not have the labels app=cart itself, which selectorMechanism RoleSelector asks for",
		},
		"another port": {
			monitor + service + slice("addressType: IPv4\nports: [{name: grpc, port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]"),
			`endpoints[0].port is "web"; the ports of Service shop/cart are grpc (80)`,
		},
		"other ports of two endpoints": {
			monitor + service + slice("addressType: IPv4\nports: [{name: grpc, port: 80}, {port: 81}]\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]"),
			`endpoints[0].port is "web"; the ports of Service shop/cart are 81 (without a name), grpc (80)`,
		},
		"another port of Endpoints": {
			with(whyMonitor1, ", serviceDiscoveryRole: Endpoints") + service + "apiVersion: v1\nkind: Endpoints\nmetadata: {name: cart, namespace: shop}\nsubsets: [{addresses: [{ip: 10.0.0.1}], ports: [{name: grpc, port: 80}]}]\n",
			`endpoints[0].port is "web"; the ports of Service shop/cart are grpc (80)`,
		},
		"another target port": {
			strings.ReplaceAll(monitor, "port: web", "targetPort: 8080") + service + slice("addressType: IPv4\nports: [{name: web, port: 80}, {name: admin, port: 81}]\nendpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: cart-0, namespace: shop}}]") +
				whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
			`endpoints[0].targetPort is "8080"; the container ports behind Service shop/cart are 81 (declared by no container), http (80)`,
		},
		"another target port by its name": {
			strings.ReplaceAll(monitor, "port: web", "targetPort: web") + service + slice("addressType: IPv4\nports: [{name: web, port: 80}]\nendpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: cart-0, namespace: shop}}]") +
				whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
			`endpoints[0].targetPort is "web"; the container ports behind Service shop/cart are http (80)`,
		},
		"another port of Pods": {
			pods + whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}, {containerPort: 81}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}") +
				strings.ReplaceAll(whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}, {containerPort: 81}]}]}\nstatus: {phase: Running, podIP: 10.0.0.2}"), "cart-0", "cart-1"),
			`podMetricsEndpoints[0].port is "web"; the ports of Pods shop/cart-0, shop/cart-1 are 81 (without a name), http (80)`,
		},
		"another port number of Pods": {
			strings.ReplaceAll(pods, "port: web", "portNumber: 8080") + whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
			`podMetricsEndpoints[0].portNumber is "8080"; the ports of Pod shop/cart-0 are http (80)`,
		},
		"another targetPort of Pods": {
			strings.ReplaceAll(pods, "port: web", "targetPort: 8080") + whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
			`podMetricsEndpoints[0].targetPort is "8080"; the ports of Pod shop/cart-0 are http (80)`,
		},
		"Pods without ports": {
			pods + whyPod("spec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
			`podMetricsEndpoints[0].port is "web"; the ports of Pod shop/cart-0 are none (container c)`,
		},
		"a relabeling of the monitor": {
			strings.ReplaceAll(monitor, "{port: web}", "{port: web, relabelings: [{action: replace, targetLabel: x}, {action: keep, sourceLabels: [__meta_kubernetes_service_name], regex: checkout}]}") + service +
				slice("addressType: IPv4\nports: [{name: web, port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]"),
			`the only target that it discovered was dropped: endpoints[0].relabelings[1]: keep where __meta_kubernetes_service_name matches "checkout"; source value is "cart"`,
		},
		"a relabeling beside the port": {
			strings.ReplaceAll(monitor, "{port: web}", "{port: web, relabelings: [{action: drop, sourceLabels: [service, namespace], regex: cart;shop}]}") + service +
				slice("addressType: IPv4\nports: [{name: a, port: 79}, {name: web, port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]"),
			`all 2 targets that it discovered were dropped, one of them by endpoints[0].relabelings[0]: drop where service;namespace matches "cart;shop"; source value is "cart;shop"`,
		},
		"ended Pod of a Service": {
			monitor + service + slice("addressType: IPv4\nports: [{name: web, port: 80}]\nendpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: cart-0, namespace: shop}}]") +
				whyPod("spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}\nstatus: {phase: Failed, podIP: 10.0.0.1}"),
			`endpoints[0].filterRunning is true: drop where __meta_kubernetes_pod_phase matches "(Failed|Succeeded)"; source value is "Failed"`,
		},
		"no Pod": {
			pods, "there are no Pods in namespace shop",
		},
		"pending Pod": {
			pods + whyPod("spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}\nstatus: {phase: Pending}"),
			"Pod shop/cart-0 is Pending and has no address",
		},
		"ended Pod": {
			pods + whyPod("spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}\nstatus: {phase: Succeeded, podIP: 10.0.0.1}"),
			"Pod shop/cart-0 is Succeeded, and filterRunning leaves it out",
		},
		"unknown Node": {
			with(whyPods, ", attachMetadata: {node: true}") + whyPod("spec: {nodeName: n9, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
			"Node n9 of Pod shop/cart-0 is not known, and attachMetadata.node leaves such Pods out",
		},
		"ScrapeConfig of nothing":  {scrapeConfigYAML("cart", "jobName: x"), "it names no targets: neither static ones nor any service discovery"},
		"empty static list":        {scrapeConfigYAML("cart", "staticConfigs: [{targets: []}]"), "its static targets are an empty list"},
		"Services, none there":     {scrapeConfigYAML("cart", "kubernetesSDConfigs: [{role: Service, namespaces: {names: [x]}}]"), "there are no Services in namespace x"},
		"Nodes that are not there": {scrapeConfigYAML("cart", "kubernetesSDConfigs: [{role: Node, selectors: [{role: Node, label: a=b}]}]") + "\n---\n" + nodeOf("node1", ""), "no Node in the cluster matches its selector a=b (1 Node there)"},
		"no Ingress": {`
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: cart, namespace: shop}
spec: {prober: {url: prober}, targets: {ingress: {selector: {matchLabels: {a: b}}}}}
`, "there are no Ingresses in namespace shop"},
		"no endpoints": {strings.ReplaceAll(monitor, "endpoints: [{port: web}]", "endpoints: []"), "it has no endpoints"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "monitors: {}", map[string]string{"all.yaml": c.objects})
			within(t, "all is worked off", w.d.Settled)
			for _, m := range w.d.Monitors() {
				if m.State != targets.Accepted || !strings.Contains(m.Why, c.want) {
					t.Errorf("%s: %s: %s\nwant %s", m.Owner, m.State, m.Reason+m.Why, c.want)
				}
				if len(m.Jobs) > 0 && m.Jobs[0].Why != m.Why {
					t.Errorf("its job says %s", m.Jobs[0].Why)
				}
			}
		})
	}
}

// TestIgnoredNamespaceSelectors are not what leaves a namespace out, and what selects all matches everywhere.
func TestIgnoredNamespaceSelectors(t *testing.T) {
	for name, c := range map[string]struct{ monitor, want string }{
		"any":      {with(whyMonitor1, ", namespaceSelector: {any: true}"), "there are no Services in namespace shop; b/cart matches: monitors.ignoreNamespaceSelectors leaves namespace b out"},
		"selector": {strings.ReplaceAll(with(whyMonitor1, ""), "matchLabels: {app: cart}", ""), "there are no Services in namespace shop"},
	} {
		w := newWorld(t, "monitors: {ignoreNamespaceSelectors: true}", map[string]string{"all.yaml": c.monitor + strings.ReplaceAll(with(whyService, ""), "namespace: shop", "namespace: b")})
		within(t, "all is worked off", w.d.Settled)
		if m := w.d.Monitors()[0]; m.Why != c.want {
			t.Errorf("%s: told %q, want %q", name, m.Why, c.want)
		}
	}
}

// TestWhyNot: there is no reason where there are targets, and a single job has its own reason.
func TestWhyNot(t *testing.T) {
	two := strings.ReplaceAll(with(whyMonitor1, ""), "[{port: web}]", "[{port: web}, {port: none}]")
	w := newWorld(t, "monitors: {}", map[string]string{
		"all.yaml": two + with(whyService, "") + slice("addressType: IPv4\nports: [{name: web, port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]"),
	})
	within(t, "all is worked off", w.d.Settled)
	m := w.d.Monitors()[0]
	if m.Why != "" || m.Jobs[0].Why != "" || m.Jobs[1].Why != `endpoints[1].port is "none"; the ports of Service shop/cart are web (80)` {
		t.Errorf("monitor %q, jobs %q and %q", m.Why, m.Jobs[0].Why, m.Jobs[1].Why)
	}
	// The reason is about the present, not the past.
	w.remove("all.yaml")
	w.write("other.yaml", two)
	within(t, "the reason changes", func() bool {
		all := w.d.Monitors()
		return len(all) == 1 && all[0].Why == "there are no Services in namespace shop"
	})
}

// TestWhyDiscoveryFindsNothing tells an empty answer from none.
func TestWhyDiscoveryFindsNothing(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[]"))
	}))
	defer srv.Close()
	w := newWorld(t, "monitors: {}", map[string]string{"a.yaml": scrapeConfigYAML("cart", "httpSDConfigs: [{url: "+srv.URL+"}]")})
	within(t, "the answer is told", func() bool {
		all := w.d.Monitors()
		return len(all) == 1 && all[0].Why == "http_sd_configs answered with no targets"
	})
}

// TestWhyObjectsAreNotKnown names what keeps them from being read.
func TestWhyObjectsAreNotKnown(t *testing.T) {
	w := newWorldOf(t, func(m *manifests.Directory) Backend {
		return &denying{Directory: m, denied: map[string]bool{"services": true}}
	}, "monitors: {}", map[string]string{"all.yaml": with(whyMonitor1, "")})
	within(t, "the reason is told", func() bool {
		all := w.d.Monitors()
		return len(all) == 1 && strings.HasPrefix(all[0].Why, "services are not known: the relay may not list and watch it")
	})
	if o := w.d.Monitors()[0].Owner; o != (targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "cart"}) {
		t.Errorf("of %s", o)
	}
}

// confined is a directory that acts as a cluster where the relay sees one namespace.
type confined struct{ *manifests.Directory }

func (confined) Namespaces() ([]string, string) { return []string{"shop"}, "shop" }

// TestWhyNodesAreNotKnown to a relay that is confined to namespaces.
func TestWhyNodesAreNotKnown(t *testing.T) {
	w := newWorldOf(t, func(m *manifests.Directory) Backend { return confined{m} }, "monitors: {}", map[string]string{
		"all.yaml": with(whyPods, ", attachMetadata: {node: true}") + whyPod("spec: {nodeName: n9, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}\nstatus: {phase: Running, podIP: 10.0.0.1}"),
	})
	within(t, "the reason is told", func() bool {
		all := w.d.Monitors()
		return len(all) == 1 && all[0].Why == "attachMetadata.node leaves Pod shop/cart-0 out, whose Node n9 is not known, nodes: the relay is confined to namespaces (kubernetes.namespaces)"
	})
}
