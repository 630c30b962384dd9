package targets

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	k8slabels "k8s.io/apimachinery/pkg/labels"

	"promrelay/config"
)

// NodeJobs makes the built-in jobs of the cluster's nodes. Their targets have the labels that kube-prometheus's dashboards and alerts
// use: job="kubelet" with metrics_path for the kubelet's pages, and job="kube-proxy".
func NodeJobs(n *config.Nodes, global promconfig.GlobalConfig) ([]*Job, error) {
	var jobs []*Job
	yields := YieldsToMonitors
	if n.BesideMonitors {
		yields = YieldsNever
	}
	for _, page := range []struct {
		name, block, path, job, scheme string
		settings                       config.NodeJob
	}{
		{"kubelet", "kubelet", "/metrics", "kubelet", "https", n.Kubelet},
		{"cadvisor", "cadvisor", "/metrics/cadvisor", "kubelet", "https", n.Cadvisor},
		{"probes", "probes", "/metrics/probes", "kubelet", "https", n.Probes},
		{"resource", "resource", "/metrics/resource", "kubelet", "https", n.Resource},
		{"kube-proxy", "kube_proxy", "/metrics", "kube-proxy", "http", n.KubeProxy},
	} {
		if !page.settings.Enabled {
			continue
		}
		cfg := promconfig.DefaultScrapeConfig
		cfg.JobName = "nodes/" + page.name
		cfg.Scheme, cfg.MetricsPath = page.scheme, page.path
		cfg.ScrapeInterval, cfg.ScrapeTimeout = page.settings.ScrapeInterval, page.settings.ScrapeTimeout
		cfg.HonorLabels = n.HonorLabels
		if own := page.settings.HonorLabels; own != nil {
			cfg.HonorLabels = *own
		}
		cfg.HonorTimestamps, cfg.TrackTimestampsStaleness = page.settings.HonorTimestamps, page.settings.HonorTimestamps
		if page.scheme == "https" {
			cfg.HTTPClientConfig = n.HTTPClientConfig
		}
		var l ruleList
		if port := page.settings.Port; port != 0 {
			l.replace(model.AddressLabel, "${1}:"+strconv.Itoa(port), portPart, model.AddressLabel)
		}
		l.copyLabel("instance", model.AddressLabel)
		l.copyLabel("node", "__meta_kubernetes_node_name")
		l.set("job", page.job)
		l.set("namespace", "kube-system")
		l.set("service", page.job)
		if page.scheme == "https" {
			l.set("endpoint", "https-metrics")
			l.copyLabel("metrics_path", model.MetricsPathLabel)
		} else {
			l.set("endpoint", "metrics")
		}
		l.written("nodes.relabel_configs", n.RelabelConfigs)
		l.written("nodes."+page.block+".relabel_configs", page.settings.RelabelConfigs)
		var metrics ruleList
		metrics.written("nodes.metric_relabel_configs", n.MetricRelabelConfigs)
		metrics.written("nodes."+page.block+".metric_relabel_configs", page.settings.MetricRelabelConfigs)
		cfg.RelabelConfigs, cfg.MetricRelabelConfigs = l.rules, metrics.rules
		if err := cfg.Validate(global); err != nil {
			return nil, fmt.Errorf("nodes: %s: %w", page.name, err)
		}
		j := &Job{
			Name: cfg.JobName, Owner: Owner{Kind: NodesBlock}, Config: &cfg, Origins: l.origins, MetricOrigins: metrics.origins,
			AtKubelet: page.settings.Port == 0, Yields: yields, Discoveries: []Discovery{{Source: Source{Role: RoleNode, Kubelets: true}}},
		}
		if n.Selector != "" {
			sel, err := k8slabels.Parse(n.Selector)
			if err != nil {
				return nil, fmt.Errorf("nodes: selector: %w", err)
			}
			j.Discoveries[0].Selectors = NewSelectors(map[string]Selector{RoleNode: {Labels: sel}})
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// Labels of the role node.
const (
	nodeNameLabel    = "__meta_kubernetes_node_name"
	nodeReadyLabel   = "__meta_kubernetes_node_condition_ready"
	nodeAddressLabel = "__meta_kubernetes_node_address_" // followed by a type: its first address
)

// noNodeAddress says why a Node has no address, by the labels of its target.
func noNodeAddress(name model.LabelValue, target model.LabelSet) string {
	for _, kind := range []model.LabelName{"InternalIP", "ExternalIP"} {
		a, ok := target[nodeAddressLabel+kind]
		if !ok {
			continue
		}
		wrong := "is no IP address"
		if _, err := netip.ParseAddr(string(a)); err == nil {
			wrong = "has a zone, which means something on the Node alone"
		}
		return fmt.Sprintf("Node %s has no address to use: its %s %q %s", name, kind, string(a), wrong)
	}
	return fmt.Sprintf("Node %s has no address to use, neither an InternalIP nor an ExternalIP", name)
}

// readyNodes are the names of Nodes whose readiness is known, by their addresses.
type readyNodes map[string]string

// readyNodes finds these Nodes in the groups of a node job. It returns nil for other jobs.
func (state *jobState) readyNodes() readyNodes {
	if state.job.Owner.Kind != NodesBlock {
		return nil
	}
	out := readyNodes{}
	for _, gs := range state.groups {
		if ready := gs.group.Labels[nodeReadyLabel]; ready == "" || ready == "unknown" {
			continue
		}
		name := string(gs.group.Labels[nodeNameLabel])
		for _, t := range gs.group.Targets {
			if host := nodeHost(t); host != "" && (out[host] == "" || name < out[host]) {
				out[host] = name
			}
		}
	}
	return out
}

// successor returns the Node that now has the address of a target whose Node's readiness is unknown; empty if there is none
// (getNodeAddresses of the operator). A Node whose address no other Node has stays a target, so that it is shown as down.
func (l readyNodes) successor(t *Target) string {
	if len(l) == 0 {
		return ""
	}
	ready := t.group.Labels[nodeReadyLabel]
	if ready != "" && ready != "unknown" {
		return ""
	}
	return l[nodeHost(t.group.Targets[t.index])]
}

func nodeHost(discovered model.LabelSet) string {
	host, _, err := net.SplitHostPort(string(discovered[model.AddressLabel]))
	if err != nil {
		return ""
	}
	return host
}
