package conformance

import (
	"embed"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

//go:embed testdata/pki
var pki embed.FS

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
	alike(out)
	return out
}

// alike takes away a label whose name is another's when sanitised: which of the two counts is chance, in Prometheus too.
func alike(labels dict) {
	if labels["app.kubernetes.io/name"] != nil {
		delete(labels, "app_kubernetes_io_name")
	}
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
		g.apps = append(g.apps, a)
		out = append(out, g.workload(a, i)...)
	}
	for i := range g.IntN(3) {
		out = append(out, g.ingress(i))
	}
	for _, ns := range namespaceNames {
		out = append(out, g.credentials(ns)...)
	}
	return out
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
	n["status"] = dict{
		"addresses":       addresses,
		"daemonEndpoints": dict{"kubeletEndpoint": dict{"Port": pick(g, 10250, 10255)}},
		"conditions":      []any{dict{"type": "Ready", "status": pick(g, "True", "Unknown")}},
	}
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
	slice := meta("EndpointSlice", "discovery.k8s.io/v1", a.namespace, a.name+"-x")
	labels := g.sliceLabels(a)
	slice["metadata"].(dict)["labels"] = labels
	slice["addressType"] = "IPv4"
	slice["endpoints"] = endpoints
	slice["ports"] = endpointPorts(ports)
	out = append(out, slice)
	if dual {
		six := object(dict{})
		for k, v := range slice {
			six[k] = v
		}
		six["metadata"] = dict{"name": a.name + "-y", "namespace": a.namespace, "labels": labels}
		six["addressType"] = "IPv6"
		six["endpoints"] = []any{dict{"addresses": []any{fmt.Sprintf("fd00:1::%d", i)}}}
		out = append(out, six)
	}
	return append(out, g.endpoints(a, endpoints, ports))
}

func (g *gen) sliceLabels(a app) dict {
	labels := dict{"kubernetes.io/service-name": a.name}
	if g.chance(0.7) { // the controller copies those of the Service
		for k, v := range a.labels {
			labels[k] = v
		}
	}
	if g.chance(0.05) {
		delete(labels, "kubernetes.io/service-name")
	}
	return labels
}

func (g *gen) service(a app, ports []port, dual bool) object {
	s := meta("Service", "v1", a.namespace, a.name)
	s["metadata"].(dict)["labels"] = a.labels
	s["metadata"].(dict)["annotations"] = dict{"prometheus.io/scrape": pick(g, "true", "false")}
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
	return s
}

func (g *gen) pod(a app, name, ip string, ports []port) object {
	p := meta("Pod", "v1", a.namespace, name)
	m := p["metadata"].(dict)
	labels := dict{}
	for k, v := range a.labels {
		labels[k] = v
	}
	if g.chance(0.5) {
		labels[pick(g, labelKeys...)] = pick(g, labelValues...)
	}
	alike(labels)
	m["labels"], m["uid"] = labels, "uid-"+name
	m["annotations"] = dict{"prometheus.io/path": "/m"}
	if g.chance(0.5) {
		m["ownerReferences"] = []any{dict{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": a.name, "uid": "u", "controller": true}}
	}
	var ps []any
	for _, x := range ports {
		if g.chance(0.85) {
			ps = append(ps, dict{"name": x.name, "containerPort": x.number, "protocol": "TCP"})
		}
	}
	if g.chance(0.3) {
		ps = append(ps, dict{"name": "extra", "containerPort": 7070, "protocol": pick(g, "TCP", "UDP")})
	}
	containers := []any{dict{"name": "main", "image": "main:1", "ports": ps}}
	if g.chance(0.3) {
		containers = append(containers, dict{"name": "sidecar", "image": "sidecar:1"})
	}
	spec := dict{"containers": containers}
	if g.chance(0.2) {
		spec["initContainers"] = []any{dict{"name": "init", "image": "init:1", "ports": []any{dict{"name": "http", "containerPort": 6060}}}}
	}
	if g.chance(0.85) {
		spec["nodeName"] = fmt.Sprintf("node%d", g.IntN(3))
	}
	status := dict{
		"phase":  pick(g, "Running", "Running", "Running", "Pending", "Failed", "Succeeded", ""),
		"hostIP": "192.168.0.1", "conditions": []any{dict{"type": "Ready", "status": pick(g, "True", "False")}},
		"containerStatuses": []any{dict{"name": "main", "containerID": "containerd://" + name}},
	}
	if g.chance(0.9) {
		status["podIP"] = ip
	}
	p["spec"], p["status"] = spec, status
	return p
}

// addresses are the endpoints of a slice: pods, some that are no more, nodes, and some that refer to nothing.
func (g *gen) addresses(a app, pods []object) []any {
	out := []any{}
	add := func(ip string, ref dict) {
		e := dict{"addresses": []any{ip}, "conditions": dict{"ready": g.chance(0.7), "serving": g.chance(0.7), "terminating": g.chance(0.2)}}
		if ref != nil {
			e["targetRef"] = ref
		}
		if g.chance(0.7) {
			e["nodeName"] = fmt.Sprintf("node%d", g.IntN(3))
		}
		if g.chance(0.3) {
			e["hostname"] = "host"
		}
		if g.chance(0.3) {
			e["zone"] = "z1"
		}
		out = append(out, e)
	}
	for i, p := range pods {
		add(fmt.Sprintf("10.1.0.%d", i), dict{"kind": "Pod", "namespace": p.meta("namespace"), "name": p.meta("name")})
	}
	if g.chance(0.2) {
		add("10.1.0.100", dict{"kind": "Pod", "namespace": a.namespace, "name": "ghost"})
	}
	if g.chance(0.2) {
		add("192.168.0.0", dict{"kind": "Node", "name": "node0"})
	}
	if g.chance(0.2) {
		add("203.0.113.1", nil)
	}
	return out
}

func endpointPorts(ports []port) []any {
	out := []any{}
	for _, p := range ports {
		out = append(out, dict{"name": p.name, "port": p.number, "protocol": "TCP"})
	}
	return out
}

// endpoints makes the Endpoints of the same addresses.
func (g *gen) endpoints(a app, from []any, ports []port) object {
	e := meta("Endpoints", "v1", a.namespace, a.name)
	e["metadata"].(dict)["labels"] = a.labels
	subset := dict{"ports": endpointPorts(ports)}
	for _, x := range from {
		x := x.(dict)
		address := dict{"ip": x["addresses"].([]any)[0]}
		for _, k := range []string{"targetRef", "nodeName", "hostname"} {
			if v, ok := x[k]; ok {
				address[k] = v
			}
		}
		list := "addresses"
		if x["conditions"].(dict)["ready"] == false {
			list = "notReadyAddresses"
		}
		all, _ := subset[list].([]any)
		subset[list] = append(all, address)
	}
	e["subsets"] = []any{subset}
	return e
}

func (g *gen) ingress(i int) object {
	o := meta("Ingress", "networking.k8s.io/v1", pick(g, namespaceNames...), fmt.Sprintf("ingress%d", i))
	o["metadata"].(dict)["labels"] = g.labels()
	var rules []any
	for n := range 1 + g.IntN(2) {
		rule := dict{}
		if g.chance(0.8) {
			rule["host"] = fmt.Sprintf("host%d.example", n)
		}
		if g.chance(0.8) {
			rule["http"] = dict{"paths": []any{
				dict{"path": pick(g, "/", "/a", ""), "pathType": "Prefix", "backend": dict{"service": dict{"name": "app0", "port": dict{"number": 80}}}},
				dict{"path": "/b", "pathType": "Prefix", "backend": dict{"service": dict{"name": "app0", "port": dict{"number": 80}}}},
			}}
		}
		rules = append(rules, rule)
	}
	spec := dict{"rules": rules}
	if g.chance(0.4) {
		spec["tls"] = []any{dict{"hosts": some(g, "host0.example", "*.example")}}
	}
	if g.chance(0.4) {
		spec["ingressClassName"] = "nginx"
	}
	o["spec"] = spec
	return o
}

// credentials are the Secrets and ConfigMaps that monitors of a namespace refer to.
func (g *gen) credentials(ns string) []object {
	secret := meta("Secret", "v1", ns, "creds")
	secret["data"] = dict{
		"user": encode([]byte("user")), "password": encode([]byte("s3cret " + ns)), "token": encode([]byte("t0ken")), "id": encode([]byte("client")),
		"crt": encode(file("client.crt")), "key": encode(file("client.key")), "other": encode(file("other.key")), "empty": "",
		"uuid": encode([]byte("6170692e-7363-616c-6577-61792e636f6d")),
	}
	cm := meta("ConfigMap", "v1", ns, "public")
	cm["data"] = dict{"id": "client-of-map", "crt": string(file("client.crt")), "junk": "no certificate"}
	return []object{secret, cm}
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func file(name string) []byte {
	b, err := pki.ReadFile("testdata/pki/" + name)
	if err != nil {
		panic(err)
	}
	return b
}
