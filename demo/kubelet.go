package main

import (
	"math"
	"net/http"
	"time"
)

var (
	quick = []float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 10}
	slow  = []float64{0.5, 1, 2, 5, 10, 20, 60}
)

// kubelet serves the four pages of a kubelet to clients with the token.
func (c *cluster) kubelet() http.Handler {
	mux := http.NewServeMux()
	for path, write := range map[string]func(*page, time.Time){
		"/metrics": c.kubeletOwn, "/metrics/cadvisor": c.cadvisor, "/metrics/probes": c.probes, "/metrics/resource": c.resource,
	} {
		mux.HandleFunc("GET "+path, serve(write))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+kubeletToken {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// kubeletOwn is the kubelet's page about itself.
func (c *cluster) kubeletOwn(p *page, now time.Time) {
	p.begin("gauge", "kubernetes_build_info", "What was built.")
	p.add(1, "git_version", "v1.36.3", "major", "1", "minor", "36")
	p.begin("gauge", "kubelet_node_name", "The node's name.")
	p.add(1, "node", nodeName)
	p.begin("gauge", "kubelet_running_pods", "Pods that run.")
	p.add(float64(len(c.pods)))
	p.begin("gauge", "kubelet_running_containers", "Containers, by state.")
	p.add(float64(len(c.pods)), "container_state", "running")
	p.add(2, "container_state", "exited")
	p.begin("counter", "kubelet_runtime_operations_total", "Operations of the container runtime, by type.")
	for i, op := range []string{"container_status", "list_containers", "list_podsandbox", "version"} {
		p.add(c.count(now, 1/float64(i+1)), "operation_type", op)
	}
	p.begin("counter", "kubelet_runtime_operations_errors_total", "Operations of the container runtime that were errors, by type.")
	p.add(c.count(now, 0.001), "operation_type", "container_status")
	p.begin("histogram", "kubelet_pleg_relist_duration_seconds", "How long it takes to list the pods anew.")
	p.histogram(c.count(now, 1), quick)
	p.begin("histogram", "kubelet_pod_worker_duration_seconds", "How long it takes to sync a pod, by type.")
	p.histogram(c.count(now, 0.1), quick, "operation_type", "sync")
	p.begin("histogram", "kubelet_pod_start_duration_seconds", "How long it takes until a pod runs.")
	p.histogram(c.count(now, 0.01), slow)
	p.begin("gauge", "kubelet_volume_stats_capacity_bytes", "Size of a volume, in bytes.")
	p.add(10e9, "namespace", "shop", "persistentvolumeclaim", "worker-data")
	p.begin("gauge", "kubelet_volume_stats_available_bytes", "What is free of a volume, in bytes.")
	p.add(math.Round(4e9+1e9*math.Sin(c.since(now)/300)), "namespace", "shop", "persistentvolumeclaim", "worker-data")
	p.begin("counter", "rest_client_requests_total", "Requests to the API server, by answer.")
	p.add(c.count(now, 0.5), "code", "200", "method", "GET", "host", "127.0.0.1:6443")
	p.add(c.count(now, 0.2), "code", "200", "method", "PATCH", "host", "127.0.0.1:6443")
	c.process(p, now, 0.08, 95e6)
}

// cadvisor gives each line the time at which the container was read, as cadvisor does.
func (c *cluster) cadvisor(p *page, now time.Time) {
	p.begin("gauge", "cadvisor_version_info", "What was built, without a timestamp.")
	p.add(1, "cadvisorRevision", "", "cadvisorVersion", "", "dockerVersion", "", "kernelVersion", "demo", "osVersion", "demo")
	for _, f := range []struct {
		typ, name, help string
		value           func(x *pod, at time.Time) float64
	}{
		{"counter", "container_cpu_cfs_periods_total", "Periods in which the container might have run.", func(x *pod, at time.Time) float64 { return c.count(at, 10) }},
		{"counter", "container_cpu_cfs_throttled_periods_total", "Periods in which the container was held back.", func(x *pod, at time.Time) float64 { return c.count(at, x.cpu) }},
		{"gauge", "container_memory_rss", "Anonymous memory, in bytes.", func(x *pod, at time.Time) float64 { return math.Round(0.8 * x.memoryBytes(at)) }},
		{"gauge", "container_memory_usage_bytes", "Memory in use, page cache included, in bytes.", func(x *pod, at time.Time) float64 { return math.Round(1.3 * x.memoryBytes(at)) }},
		{"gauge", "container_memory_working_set_bytes", "Memory that cannot be freed, in bytes.", (*pod).memoryBytes},
		{"gauge", "container_spec_memory_limit_bytes", "Memory that may be used, in bytes.", func(x *pod, _ time.Time) float64 { return 2 * x.memory }},
		{"gauge", "container_start_time_seconds", "When the container was started, in seconds since the epoch.", func(*pod, time.Time) float64 { return float64(c.start.Unix()) }},
		{"gauge", "container_last_seen", "When the container was seen, in seconds since the epoch.", func(_ *pod, at time.Time) float64 { return float64(at.Unix()) }},
	} {
		p.begin(f.typ, f.name, f.help)
		for i := range c.pods {
			x := &c.pods[i]
			at := x.observed(now)
			p.addAt(at, f.value(x, at), x.labels()...)
		}
	}
	p.begin("counter", "container_cpu_usage_seconds_total", "CPU time that the container has used, in seconds.")
	for i := range c.pods {
		x := &c.pods[i]
		at := x.observed(now)
		p.addAt(at, x.cpuSeconds(c.start, at), append(x.labels(), "cpu", "total")...)
	}
	for _, f := range []struct{ name, help string }{
		{"container_network_receive_bytes_total", "Bytes that the pod has received."},
		{"container_network_transmit_bytes_total", "Bytes that the pod has sent."},
	} {
		p.begin("counter", f.name, f.help)
		for i := range c.pods {
			x := &c.pods[i]
			at := x.observed(now)
			p.addAt(at, c.count(at, 1e5*x.cpu), "id", x.id(), "image", "pause", "interface", "eth0", "name", x.uid[:8], "namespace", x.namespace, "pod", x.name)
		}
	}
	machine := now.Truncate(5 * time.Minute)
	p.begin("gauge", "machine_cpu_cores", "Cores of the machine.")
	p.addAt(machine, 4, "machine_id", "demo")
	p.begin("gauge", "machine_memory_bytes", "Memory of the machine, in bytes.")
	p.addAt(machine, 8e9, "machine_id", "demo")
}

// labels are the labels of cadvisor.
func (p *pod) labels() []string {
	return []string{"container", p.container, "id", p.id() + "/" + p.container, "image", p.image(), "name", p.uid[:8], "namespace", p.namespace, "pod", p.name}
}

// probes is the page of the results of the containers' probes.
func (c *cluster) probes(p *page, now time.Time) {
	p.begin("counter", "prober_probe_total", "Probes, by result.")
	for _, x := range c.pods {
		for _, typ := range []string{"Liveness", "Readiness"} {
			p.add(c.count(now, 0.1), "container", x.container, "namespace", x.namespace, "pod", x.name, "pod_uid", x.uid, "probe_type", typ, "result", "successful")
			p.add(c.count(now, x.cpu/1000), "container", x.container, "namespace", x.namespace, "pod", x.name, "pod_uid", x.uid, "probe_type", typ, "result", "failed")
		}
	}
	p.begin("histogram", "prober_probe_duration_seconds", "How long probes take.")
	for _, x := range c.pods {
		p.histogram(c.count(now, 0.1), quick, "container", x.container, "namespace", x.namespace, "pod", x.name, "probe_type", "Readiness")
	}
}

// resource is the page that metrics-server reads.
func (c *cluster) resource(p *page, now time.Time) {
	p.begin("counter", "container_cpu_usage_seconds_total", "CPU time that the container has used, in seconds.")
	for i := range c.pods {
		x := &c.pods[i]
		at := x.observed(now)
		p.addAt(at, x.cpuSeconds(c.start, at), "container", x.container, "namespace", x.namespace, "pod", x.name)
	}
	p.begin("gauge", "container_memory_working_set_bytes", "Memory that cannot be freed, in bytes.")
	for i := range c.pods {
		x := &c.pods[i]
		at := x.observed(now)
		p.addAt(at, x.memoryBytes(at), "container", x.container, "namespace", x.namespace, "pod", x.name)
	}
	node := now.Truncate(housekeeping)
	p.begin("counter", "node_cpu_usage_seconds_total", "CPU time that the node has used, in seconds.")
	p.addAt(node, round(1.7*c.since(node)))
	p.begin("gauge", "node_memory_working_set_bytes", "Memory of the node that cannot be freed, in bytes.")
	p.addAt(node, 1.9e9+math.Round(1e8*math.Sin(c.since(node)/90)))
	p.begin("gauge", "resource_scrape_error", "1 if the values could not be had.")
	p.add(0)
}

// kubeProxy is kube-proxy's page.
func (c *cluster) kubeProxy(p *page, now time.Time) {
	p.begin("histogram", "kubeproxy_sync_proxy_rules_duration_seconds", "How long it takes to write the rules.")
	p.histogram(c.count(now, 0.05), quick, "ip_family", "IPv4")
	p.begin("histogram", "kubeproxy_network_programming_duration_seconds", "How long it takes from a change until the rules have it.")
	p.histogram(c.count(now, 0.02), slow, "ip_family", "IPv4")
	p.begin("gauge", "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When the rules were written, in seconds since the epoch.")
	p.add(float64(now.Truncate(20*time.Second).Unix()), "ip_family", "IPv4")
	p.begin("gauge", "kubeproxy_sync_proxy_rules_iptables_total", "Rules, by table.")
	p.add(112+math.Round(8*math.Sin(c.since(now)/60)), "ip_family", "IPv4", "table", "nat")
	p.begin("counter", "rest_client_requests_total", "Requests to the API server, by answer.")
	p.add(c.count(now, 0.1), "code", "200", "method", "GET", "host", "127.0.0.1:6443")
	c.process(p, now, 0.01, 42e6)
}
