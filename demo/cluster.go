package main

import (
	"math"
	"time"
)

// cluster is the content of the pages of kubelet, kube-proxy and kube-state-metrics: one node with some pods. All values are functions of
// the time, so that the check knows what must have arrived.
type cluster struct {
	start time.Time
	pods  []pod
}

// pod is a pod of one container.
type pod struct {
	namespace, name, container, uid string
	owner                           string  // the Deployment; empty for none
	cpu                             float64 // cores, on average
	memory                          float64 // bytes, on average
	offset                          time.Duration
}

// housekeeping is how often cadvisor reads a container. Its timestamps are multiples of it.
const housekeeping = 10 * time.Second

func newCluster() *cluster {
	return &cluster{start: time.Now().Add(-6 * time.Hour).Truncate(time.Second), pods: []pod{
		{"kube-system", "coredns-5d78c9869d-2kq4b", "coredns", "0c9d6b1e-7a34-4f41-9a55-3f4b8d2e7c01", "coredns", 0.02, 30e6, 237 * time.Millisecond},
		{"kube-system", "kube-proxy-n4tzl", "kube-proxy", "1f2a7d80-55c1-4c39-8f0e-b6a1c0d9e402", "", 0.01, 42e6, 1819 * time.Millisecond},
		{"monitoring", "node-exporter-7w4qd", "node-exporter", "2b8e4c11-93d7-45aa-a1c2-d70f5e6b1803", "", 0.03, 18e6, 3461 * time.Millisecond},
		{"monitoring", "kube-state-metrics-6c4f-h8mmp", "kube-state-metrics", "3d5f9a22-20be-4e07-b4d3-e81a6f7c2904", "kube-state-metrics", 0.02, 25e6, 4903 * time.Millisecond},
		{"shop", "checkout-0", "checkout", "4e6a0b33-31cf-4f18-85e4-f92b708d3a05", "checkout", 0.35, 210e6, 6127 * time.Millisecond},
		{"shop", "checkout-1", "checkout", "5f7b1c44-42d0-4029-96f5-0a3c819e4b06", "checkout", 0.30, 190e6, 7549 * time.Millisecond},
		{"shop", "worker-0", "worker", "6a8c2d55-53e1-413a-a706-1b4d92af5c07", "worker", 0.80, 420e6, 8873 * time.Millisecond},
	}}
}

// observed is when cadvisor read the pod last.
func (p *pod) observed(now time.Time) time.Time {
	return now.Add(-p.offset).Truncate(housekeeping).Add(p.offset)
}

// cpuSeconds is the CPU time of the pod up to a moment. It grows at a rate that changes.
func (p *pod) cpuSeconds(start, at time.Time) float64 {
	t := at.Sub(start).Seconds()
	return round(p.cpu * (t + 60*math.Sin(t/120)))
}

// memoryBytes swings about the average.
func (p *pod) memoryBytes(at time.Time) float64 {
	return math.Round(p.memory * (1 + 0.1*math.Sin(float64(at.UnixMilli())/45_000+p.cpu)))
}

// id is the pod's cgroup.
func (p *pod) id() string { return "/kubepods/burstable/pod" + p.uid }

func (p *pod) image() string { return "registry.example/" + p.container + ":v1" }

// since is the time since the cluster's start, in seconds.
func (c *cluster) since(now time.Time) float64 { return now.Sub(c.start).Seconds() }

// count is the counter of an event that happens so many times a second.
func (c *cluster) count(now time.Time, perSecond float64) float64 {
	return math.Floor(c.since(now) * perSecond)
}

func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// process writes the families that every Go program has.
func (c *cluster) process(p *page, now time.Time, cores, memory float64) {
	p.begin("counter", "process_cpu_seconds_total", "CPU time that the process has used, in seconds.")
	p.add(round(c.since(now) * cores))
	p.begin("gauge", "process_resident_memory_bytes", "Resident memory of the process, in bytes.")
	p.add(math.Round(memory * (1 + 0.05*math.Sin(c.since(now)/60))))
	p.begin("gauge", "process_start_time_seconds", "When the process was started, in seconds since the epoch.")
	p.add(float64(c.start.Unix()))
	p.begin("gauge", "go_goroutines", "Goroutines that exist.")
	p.add(200 + math.Round(20*math.Sin(c.since(now)/30)))
}

// stateMetrics is a page like kube-state-metrics'.
func (c *cluster) stateMetrics(p *page, now time.Time) {
	p.begin("gauge", "kube_node_info", "What a node is.")
	p.add(1, "node", nodeName, "kubelet_version", "v1.36.3", "os_image", "demo")
	p.begin("gauge", "kube_node_status_condition", "A condition of a node.")
	for _, status := range []string{"true", "false", "unknown"} {
		p.add(is(status == "true"), "node", nodeName, "condition", "Ready", "status", status)
	}
	p.begin("gauge", "kube_node_status_allocatable", "What pods may use of a node.")
	p.add(4, "node", nodeName, "resource", "cpu", "unit", "core")
	p.add(8e9, "node", nodeName, "resource", "memory", "unit", "byte")
	p.begin("gauge", "kube_namespace_status_phase", "The phase of a namespace.")
	for _, ns := range []string{"kube-system", "monitoring", "shop"} {
		p.add(1, "namespace", ns, "phase", "Active")
		p.add(0, "namespace", ns, "phase", "Terminating")
	}
	c.podState(p, now)
	c.deploymentState(p)
}

func (c *cluster) podState(p *page, now time.Time) {
	p.begin("gauge", "kube_pod_info", "What a pod is.")
	for _, x := range c.pods {
		p.add(1, "namespace", x.namespace, "pod", x.name, "uid", x.uid, "node", nodeName, "host_ip", "127.0.0.1", "pod_ip", "127.0.0.1")
	}
	p.begin("gauge", "kube_pod_status_phase", "The phase of a pod.")
	for _, x := range c.pods {
		for _, phase := range []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"} {
			p.add(is(phase == "Running"), "namespace", x.namespace, "pod", x.name, "uid", x.uid, "phase", phase)
		}
	}
	p.begin("counter", "kube_pod_container_status_restarts_total", "How often a container was started again.")
	for _, x := range c.pods {
		p.add(c.count(now, x.cpu/3600), "namespace", x.namespace, "pod", x.name, "uid", x.uid, "container", x.container)
	}
	p.begin("gauge", "kube_pod_container_resource_limits", "What a container may use.")
	for _, x := range c.pods {
		p.add(1, "namespace", x.namespace, "pod", x.name, "uid", x.uid, "container", x.container, "node", nodeName, "resource", "cpu", "unit", "core")
		p.add(2*x.memory, "namespace", x.namespace, "pod", x.name, "uid", x.uid, "container", x.container, "node", nodeName, "resource", "memory", "unit", "byte")
	}
}

func (c *cluster) deploymentState(p *page) {
	have := map[string]float64{}
	for _, x := range c.pods {
		have[x.owner]++
	}
	for _, family := range []struct{ name, help string }{
		{"kube_deployment_spec_replicas", "How many pods a Deployment is to have."},
		{"kube_deployment_status_replicas", "How many pods a Deployment has."},
		{"kube_deployment_status_replicas_available", "How many pods of a Deployment are available."},
	} {
		p.begin("gauge", family.name, family.help)
		seen := map[string]bool{"": true}
		for _, x := range c.pods {
			if !seen[x.owner] {
				seen[x.owner] = true
				p.add(have[x.owner], "namespace", x.namespace, "deployment", x.owner)
			}
		}
	}
}

func is(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
