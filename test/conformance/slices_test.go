package conformance

import (
	"fmt"
	"maps"
	"slices"
)

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

// slices makes those of a Service: one of IPv4, one of IPv6 if it has two families, and now and then others.
func (g *gen) slices(a app, i int, endpoints []any, ports []port, dual bool) []object {
	labels := g.sliceLabels(a)
	slice := func(suffix, family string, endpoints []any) object {
		s := meta("EndpointSlice", "discovery.k8s.io/v1", a.namespace, a.name+suffix)
		s["metadata"].(dict)["labels"] = labels
		s["addressType"], s["endpoints"], s["ports"] = family, endpoints, g.slicePorts(ports)
		return s
	}
	out := []object{slice("-x", "IPv4", endpoints)}
	if dual {
		six := []any{dict{"addresses": []any{fmt.Sprintf("fd00:1::%d", i)}}}
		if g.chance(0.5) { // of the same pods
			for n, e := range endpoints {
				e := maps.Clone(e.(dict))
				e["addresses"] = []any{fmt.Sprintf("fd00:1:%d::%d", i, n)}
				six = append(six, e)
			}
		}
		out = append(out, slice("-y", "IPv6", six))
	}
	g.rarely(
		func() { // what is too much for one, and some that stands in both
			n := len(endpoints) / 2
			out[0]["endpoints"] = endpoints[:max(n, 1)*min(len(endpoints), 1)]
			out = append(out, slice("-z", "IPv4", endpoints[n:]))
		},
		func() {
			out = append(out, slice("-other", "IPv4", []any{dict{"addresses": []any{"203.0.113.1", "203.0.113.2"}, "conditions": dict{"ready": true}}}))
		},
		func() {
			out = append(out, slice("-fqdn", "FQDN", []any{dict{"addresses": []any{"a.example", "b.example"}, "conditions": dict{}}}))
		},
	)
	return out
}

// slicePorts are the ports of a slice.
func (g *gen) slicePorts(ports []port) any {
	all := endpointPorts(ports)
	one := all[0].(dict)
	var out any = all
	g.rarely(
		func() { one["port"] = nil }, // all ports
		func() { delete(one, "name") },
		func() { one["protocol"] = pick(g, "UDP", "SCTP") },
		func() { one["appProtocol"] = pick(g, "http", "kubernetes.io/h2c") },
		func() { out = append(all, dict{"name": "again", "port": 8080, "protocol": "TCP"}) },
		func() { delete(one, "protocol") },
	)
	if g.chance(0.01) {
		out = pick[any](g, nil, []any{}, []any{dict{}})
	}
	return out
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
		g.unusualEndpoint(e)
		out = append(out, e)
	}
	own := g.chance(0.8) // addresses are those of the pods, as in a cluster
	for i, p := range pods {
		ip := fmt.Sprintf("10.1.0.%d", i)
		if of, _ := p["status"].(dict)["podIP"].(string); own && of != "" && of[0] == '1' {
			ip = of
		}
		add(ip, dict{"kind": "Pod", "namespace": p.meta("namespace"), "name": p.meta("name")})
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

// unusualEndpoint gives an endpoint what few have.
func (g *gen) unusualEndpoint(e dict) {
	g.rarely(
		func() { delete(e, "conditions") },
		func() { e["conditions"] = dict{} },
		func() { e["conditions"] = dict{"ready": nil, "serving": true} },
		func() { e["addresses"] = append(slices.Clone(e["addresses"].([]any)), "10.1.1.1") },
		func() { e["deprecatedTopology"] = dict{"topology.kubernetes.io/region": "r1", "beta": ""} },
		func() { e["nodeName"] = "node9" }, // there is none
		func() { e["hints"] = dict{"forZones": []any{dict{"name": "z1"}}} },
	)
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
		for _, ip := range x["addresses"].([]any) {
			address := dict{"ip": ip}
			for _, k := range []string{"targetRef", "nodeName", "hostname"} {
				if v, ok := x[k]; ok {
					address[k] = v
				}
			}
			list := "addresses"
			if c, _ := x["conditions"].(dict); c["ready"] == false {
				list = "notReadyAddresses"
			}
			all, _ := subset[list].([]any)
			subset[list] = append(all, address)
		}
	}
	e["subsets"] = []any{subset}
	g.rarely(
		func() { subset["ports"].([]any)[0].(dict)["appProtocol"] = "http" },
		func() { subset["ports"].([]any)[0].(dict)["protocol"] = "UDP" },
		func() { delete(subset, "ports") },
		func() { e["subsets"] = []any{subset, subset} },
		func() { delete(e, "subsets") },
	)
	return e
}
