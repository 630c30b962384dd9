package targets

import (
	"fmt"
	"strconv"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/config"
)

// NodeJobs makes the built-in jobs of the cluster's nodes. Their labels are those that kube-prometheus's dashboards and alerts
// ask for: job="kubelet" with metrics_path for the kubelet's pages, job="kube-proxy".
func NodeJobs(n *config.Nodes, global promconfig.GlobalConfig) ([]*Job, error) {
	var jobs []*Job
	for _, page := range []struct {
		name, path, job, scheme string
		settings                config.NodeJob
	}{
		{"kubelet", "/metrics", "kubelet", "https", n.Kubelet},
		{"cadvisor", "/metrics/cadvisor", "kubelet", "https", n.Cadvisor},
		{"probes", "/metrics/probes", "kubelet", "https", n.Probes},
		{"resource", "/metrics/resource", "kubelet", "https", n.Resource},
		{"kube-proxy", "/metrics", "kube-proxy", "http", n.KubeProxy},
	} {
		if !page.settings.Enabled {
			continue
		}
		cfg := promconfig.DefaultScrapeConfig
		cfg.JobName = "nodes/" + page.name
		cfg.Scheme, cfg.MetricsPath = page.scheme, page.path
		cfg.ScrapeInterval, cfg.ScrapeTimeout = page.settings.ScrapeInterval, page.settings.ScrapeTimeout
		cfg.HonorLabels = true // the kubelet tells of pods in other namespaces than its own
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
		cfg.RelabelConfigs = append(l.rules, page.settings.RelabelConfigs...)
		cfg.MetricRelabelConfigs = page.settings.MetricRelabelConfigs
		if err := cfg.Validate(global); err != nil {
			return nil, fmt.Errorf("nodes: %s: %w", page.name, err)
		}
		j := &Job{Name: cfg.JobName, Owner: Owner{Kind: NodesBlock}, Config: &cfg, Discoveries: []Discovery{{Source: Source{Role: RoleNode}}}}
		if n.Selector != "" {
			j.Discoveries[0].Selectors = RoleNode + "=" + n.Selector + "|"
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}
