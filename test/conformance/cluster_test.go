package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// gen makes random cases. The same seed makes the same case.
type gen struct {
	*rand.Rand
	p    float64 // how likely a field that may be left out is there
	sure bool    // Secrets are there
	must string  // a field that is there: "PodMonitor.podMetricsEndpoints[].port"; empty for none
	apps []app
}

// app is a workload: its objects have labels and ports that monitors may name.
type app struct {
	namespace, name string
	labels          map[string]any
}

func newGen(seed uint64) *gen {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 0x70726f6d72656c61)), must: allFields[seed%uint64(len(allFields))]}
	g.p = []float64{0.03, 0.08, 0.2, 0.4}[g.IntN(4)]
	return g
}

func (g *gen) chance(p float64) bool { return g.Float64() < p }

func pick[T any](g *gen, from ...T) T { return from[g.IntN(len(from))] }

// some picks a few of the values, at least one.
func some[T any](g *gen, from ...T) []any {
	out := []any{}
	for _, i := range g.Perm(len(from))[:1+g.IntN(min(3, len(from)))] {
		out = append(out, from[i])
	}
	return out
}

type dict = map[string]any

func meta(kind, version, ns, name string) object {
	m := dict{"name": name}
	if ns != "" {
		m["namespace"] = ns
	}
	return object{"apiVersion": version, "kind": kind, "metadata": m}
}

var namespaceNames = []string{home, "shop", "infra"}

// Labels that objects have and monitors ask for. Some names are one when they are sanitised, and some values only as regular expressions.
var (
	labelKeys   = []string{"app", "app.kubernetes.io/name", "app_kubernetes_io_name", "tier", "release", "9lives"}
	labelValues = []string{"web", "api", "a.b", "a-b", "db", ""}
	portNames   = []string{"http", "web", "metrics", "https-metrics"}
	portNumbers = []int{8080, 9090, 9100, 10250}
)

func (g *gen) labels() dict {
	out := dict{}
	for _, k := range labelKeys {
		if g.chance(0.5) {
			out[k] = pick(g, labelValues...)
		}
	}
	return out
}

// cluster makes the objects that monitors may find.
func (g *gen) cluster() (out []object) {
	for _, name := range namespaceNames {
		ns := meta("Namespace", "v1", "", name)
		ns["metadata"].(dict)["labels"] = dict{"kubernetes.io/metadata.name": name, "team": pick(g, "a", "b")}
		out = append(out, ns)
	}
	for i := range 1 + g.IntN(3) {
		out = append(out, g.node(i))
	}
	for i := range 1 + g.IntN(3) {
		a := app{namespace: pick(g, namespaceNames...), name: fmt.Sprintf("app%d", i), labels: g.labels()}
		if i > 0 && g.chance(0.2) && g.apps[0].namespace != a.namespace {
			a.name = "app0" // in another namespace
		}
		g.apps = append(g.apps, a)
		out = append(out, g.workload(a, i)...)
	}
	ingresses := g.IntN(3)
	if strings.Contains(g.must, "ingress.namespaceSelector") {
		ingresses = 4
	}
	for i := range ingresses {
		out = append(out, g.ingress(i))
	}
	if g.chance(0.1) {
		for _, a := range g.apps {
			out = append(out, g.owners(a)...)
		}
	}
	for _, ns := range namespaceNames {
		out = append(out, g.credentials(ns)...)
	}
	return out
}

// rarely calls each function with a small chance.
func (g *gen) rarely(what ...func()) {
	for _, do := range what {
		if g.chance(0.05) {
			do()
		}
	}
}

func (g *gen) node(i int) object {
	n := meta("Node", "v1", "", fmt.Sprintf("node%d", i))
	m := n["metadata"].(dict)
	m["labels"] = dict{"kubernetes.io/hostname": m["name"], "zone": pick(g, "z1", "z2")}
	m["annotations"] = dict{"note": pick(g, "x", "y")}
	addresses := []any{dict{"type": "InternalIP", "address": fmt.Sprintf("192.168.0.%d", i)}}
	if g.chance(0.3) {
		addresses = append(addresses, dict{"type": "InternalIP", "address": fmt.Sprintf("fd00::%d", i)})
	}
	if g.chance(0.3) {
		addresses = append(addresses, dict{"type": "ExternalIP", "address": fmt.Sprintf("198.51.100.%d", i)})
	}
	if g.chance(0.5) {
		addresses = append(addresses, dict{"type": "Hostname", "address": m["name"]})
	}
	n["spec"] = dict{"providerID": fmt.Sprintf("cloud://%d", i)}
	status := dict{
		"addresses":       addresses,
		"daemonEndpoints": dict{"kubeletEndpoint": dict{"Port": pick(g, 10250, 10255)}},
		"conditions":      []any{dict{"type": "Ready", "status": pick(g, "True", "Unknown")}},
	}
	n["status"] = status
	g.rarely(
		func() { delete(m, "labels") },
		func() { delete(m, "annotations") },
		func() { delete(status, "addresses") },
		func() { delete(status, "daemonEndpoints") },
		func() { status["addresses"] = []any{dict{"type": "ExternalIP", "address": "198.51.100.9"}} },
		func() { n["spec"] = dict{"unschedulable": true} },
	)
	return n
}

// port is one of a workload: its name and number.
type port struct {
	name   string
	number int
}

// workload makes a Service with its slices, Endpoints and pods; some of them may be missing.
func (g *gen) workload(a app, i int) (out []object) {
	var ports []port
	for _, n := range g.Perm(len(portNames))[:1+g.IntN(3)] {
		ports = append(ports, port{portNames[n], portNumbers[n]})
	}
	if g.chance(0.1) {
		ports[0].name = ""
	}
	dual := g.chance(0.25)
	if g.chance(0.9) {
		out = append(out, g.service(a, ports, dual))
	}
	var pods []object
	for n := range g.IntN(4) {
		pods = append(pods, g.pod(a, fmt.Sprintf("%s-%d", a.name, n), fmt.Sprintf("10.0.%d.%d", i, n), ports))
	}
	out = append(out, pods...)
	endpoints := g.addresses(a, pods)
	out = append(out, g.slices(a, i, endpoints, ports, dual)...)
	return append(out, g.endpoints(a, endpoints, ports))
}

func (g *gen) service(a app, ports []port, dual bool) object {
	s := meta("Service", "v1", a.namespace, a.name)
	m := s["metadata"].(dict)
	m["labels"] = a.labels
	m["annotations"] = dict{"prometheus.io/scrape": pick(g, "true", "false")}
	var ps []any
	for _, p := range ports {
		if g.chance(0.8) || len(ps) == 0 { // others are container ports only
			ps = append(ps, dict{"name": p.name, "port": 80 + len(ps), "targetPort": p.number, "protocol": "TCP"})
		}
	}
	spec := dict{"ports": ps, "type": pick(g, "ClusterIP", "ExternalName", "LoadBalancer"), "clusterIP": "10.96.0.1"}
	if spec["type"] == "ExternalName" {
		spec["externalName"] = "example.com"
	}
	if dual {
		spec["ipFamilies"], spec["ipFamilyPolicy"] = []any{"IPv4", "IPv6"}, pick(g, "PreferDualStack", "RequireDualStack")
		if g.chance(0.5) {
			spec["ipFamilies"] = []any{"IPv6", "IPv4"}
		}
	}
	s["spec"] = spec
	g.rarely(
		func() { spec["clusterIP"] = "None" },
		func() {
			spec["ports"] = append(ps, dict{"name": "udp", "port": 53, "targetPort": "dns", "protocol": "UDP"})
		},
		func() { delete(spec, "ports") },
		func() { delete(m, "labels") },
		func() { m["annotations"] = dict{"a/long": strings.Repeat("x", 300), "lines": "one\ntwo\n"} },
		func() { spec["ipFamilies"] = []any{"IPv6"} },
		func() { spec["ipFamilyPolicy"] = "SingleStack" },
		func() {
			s["status"] = dict{"loadBalancer": dict{"ingress": []any{dict{"ip": "203.0.113.7"}, dict{"hostname": "lb.example"}}}}
		},
	)
	return s
}
