package conformance

import (
	"fmt"
	"strings"
)

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
	m["labels"], m["uid"] = labels, "uid-"+name
	m["annotations"] = dict{"prometheus.io/path": "/m"}
	if g.chance(0.5) {
		m["ownerReferences"] = []any{dict{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": a.name, "uid": "u", "controller": true}}
	}
	spec := dict{"containers": g.containers(ports)}
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
	g.unusualPod(p, name)
	return p
}

func (g *gen) containers(ports []port) []any {
	var ps []any
	for _, x := range ports {
		if g.chance(0.85) {
			ps = append(ps, dict{"name": x.name, "containerPort": x.number, "protocol": "TCP"})
		}
	}
	if g.chance(0.3) {
		ps = append(ps, dict{"name": "extra", "containerPort": 7070, "protocol": pick(g, "TCP", "UDP")})
	}
	out := []any{dict{"name": "main", "image": "main:1", "ports": ps}}
	if g.chance(0.3) {
		sidecar := dict{"name": "sidecar", "image": "sidecar:1"}
		out = append(out, sidecar)
		g.rarely(
			func() { sidecar["ports"] = []any{dict{"name": "side", "containerPort": 8080}} }, // another container's number
			func() { sidecar["ports"] = []any{dict{"name": "http", "containerPort": 8443}} }, // another container's name
			func() { sidecar["ports"] = []any{dict{"containerPort": 9443, "protocol": "SCTP"}} },
			func() { sidecar["ports"] = ps },
		)
	}
	return out
}

// unusualPod gives a pod what few have.
func (g *gen) unusualPod(p object, name string) {
	m, spec, status := p["metadata"].(dict), p["spec"].(dict), p["status"].(dict)
	owner := func(kind, version string, controller any) {
		m["ownerReferences"] = []any{
			dict{"apiVersion": "v1", "kind": "Other", "name": "other", "uid": "v"},
			dict{"apiVersion": version, "kind": kind, "name": "owner", "uid": "u", "controller": controller},
		}
	}
	g.rarely(
		func() { spec["hostNetwork"], status["podIP"] = true, status["hostIP"] },
		func() {
			status["podIP"], status["podIPs"] = "fd00:2::1", []any{dict{"ip": "fd00:2::1"}, dict{"ip": "10.0.9.9"}}
		},
		func() {
			spec["initContainers"] = []any{dict{"name": "native", "image": "native:1", "restartPolicy": "Always", "ports": []any{dict{"name": "metrics", "containerPort": 9100}}}}
		},
		func() { delete(m, "annotations") },
		func() {
			m["annotations"] = dict{"lines": "one\ntwo\n", "long": strings.Repeat("é", 200), "a.b/c-d": ""}
		},
		func() { m["labels"].(dict)["long"] = strings.Repeat("v", 63) },
		func() { m["deletionTimestamp"] = "2026-01-02T03:04:05Z" },
		func() { status["phase"] = "Unknown" },
		func() { delete(status, "conditions") },
		func() {
			status["conditions"] = []any{dict{"type": "PodScheduled", "status": "True"}, dict{"type": "Ready", "status": "Unknown"}}
		},
		func() {
			status["containerStatuses"] = []any{dict{"name": "sidecar", "containerID": "containerd://s"}, dict{"name": "main", "containerID": "containerd://" + name}}
			status["initContainerStatuses"] = []any{dict{"name": "init", "containerID": "containerd://i"}, dict{"name": "native", "containerID": "containerd://n"}}
		},
		func() { delete(status, "containerStatuses") },
		func() { owner("Job", "batch/v1", true) },
		func() { owner("DaemonSet", "apps/v1", true) },
		func() { owner("ReplicaSet", "apps/v1", false) },
		func() { owner("ReplicaSet", "apps/v1", nil) },
		func() { delete(m, "uid") },
		func() { delete(m, "labels") },
	)
}

// owners are what pods name as theirs.
func (g *gen) owners(a app) []object {
	set := meta("ReplicaSet", "apps/v1", a.namespace, a.name)
	set["metadata"].(dict)["ownerReferences"] = []any{dict{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d-" + a.name, "uid": "d", "controller": true}}
	job := meta("Job", "batch/v1", a.namespace, a.name)
	job["metadata"].(dict)["ownerReferences"] = []any{dict{"apiVersion": "batch/v1", "kind": "CronJob", "name": "c-" + a.name, "uid": "c", "controller": true}}
	return []object{set, job}
}
