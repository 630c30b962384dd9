package config

import (
	"slices"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// setDefaults sets the defaults that depend on other blocks.
func (l *loader) setDefaults() {
	c := l.c
	source := c.Kubernetes != nil || c.Manifests != nil
	if (c.Monitors != nil || c.Nodes != nil || c.Annotations != nil) && !source {
		c.Kubernetes = &Kubernetes{}
	}
	if c.Monitors == nil && source {
		c.Monitors = defaultMonitors()
	}
	global, written := c.Prometheus.GlobalConfig, find(l.doc.root, "global")
	if c.Monitors != nil {
		c.Monitors.setDefaults(global, written)
	}
	if c.Annotations != nil {
		c.Annotations.setDefaults(global, written)
	}
	if c.Nodes != nil {
		c.Nodes.setDefaults(global, written)
		c.Nodes.setCredentials(c.Manifests == nil)
		c.Nodes.complete(l.refuse)
	}
}

// setDefaults copies fields that the block leaves out from global. Written is the global block as it is in the file.
func (m *Monitors) setDefaults(global promconfig.GlobalConfig, written *yaml.Node) {
	m.selectAll()
	m.fallBack(global, written)
	if m.ScrapeInterval == "" {
		m.ScrapeInterval = "30s"
		if find(written, "scrape_interval") != nil {
			m.ScrapeInterval = monitoringv1.Duration(global.ScrapeInterval.String())
		}
	}
	if m.ScrapeTimeout == "" && find(written, "scrape_timeout") != nil {
		m.ScrapeTimeout = monitoringv1.Duration(global.ScrapeTimeout.String())
	}
}

// selectAll selects every monitor of every namespace if the block has no selector at all.
func (m *Monitors) selectAll() {
	selectors := []**labelSelector{
		&m.ServiceMonitorSelector, &m.ServiceMonitorNamespaceSelector, &m.PodMonitorSelector, &m.PodMonitorNamespaceSelector,
		&m.ProbeSelector, &m.ProbeNamespaceSelector, &m.ScrapeConfigSelector, &m.ScrapeConfigNamespaceSelector,
	}
	for _, s := range selectors {
		if *s != nil {
			return
		}
	}
	for _, s := range selectors {
		*s = &labelSelector{}
	}
}

// jobs are the node jobs by their keys.
func (n *Nodes) jobs() map[string]*NodeJob {
	return map[string]*NodeJob{"kubelet": &n.Kubelet, "cadvisor": &n.Cadvisor, "probes": &n.Probes, "resource": &n.Resource, "kube_proxy": &n.KubeProxy}
}

// setDefaults sets the intervals and timeouts that the block leaves out. Written is the global block as it is in the file.
func (n *Nodes) setDefaults(global promconfig.GlobalConfig, written *yaml.Node) {
	if n.ScrapeInterval == 0 {
		n.ScrapeInterval = global.ScrapeInterval
		if find(written, "scrape_interval") == nil {
			n.ScrapeInterval = model.Duration(30 * time.Second)
		}
	}
	if n.ScrapeTimeout == 0 {
		n.ScrapeTimeout = min(global.ScrapeTimeout, n.ScrapeInterval)
	}
	for _, job := range n.jobs() {
		if job.ScrapeInterval == 0 {
			job.ScrapeInterval = n.ScrapeInterval
		}
		if job.ScrapeTimeout == 0 {
			job.ScrapeTimeout = min(n.ScrapeTimeout, job.ScrapeInterval)
		}
	}
}

// setCredentials sets the token and the CA of the pod's service account for requests to kubelets, if the pod has one.
func (n *Nodes) setCredentials(inPod bool) {
	h := &n.HTTPClientConfig
	own := h.BasicAuth != nil || h.Authorization != nil || h.OAuth2 != nil || h.BearerToken != "" || h.BearerTokenFile != ""
	if !own && inPod {
		h.Authorization = &config_util.Authorization{Type: "Bearer", CredentialsFile: serviceAccount + "token"}
	}
	if h.TLSConfig.CA == "" && h.TLSConfig.CAFile == "" && !n.InsecureSkipVerify && inPod {
		h.TLSConfig.CAFile = serviceAccount + "ca.crt"
	}
	h.TLSConfig.InsecureSkipVerify = h.TLSConfig.InsecureSkipVerify || n.InsecureSkipVerify
}

// complete calls Validate of Prometheus's types, which checks and completes them.
func (n *Nodes) complete(bad bad) {
	if err := n.HTTPClientConfig.Validate(); err != nil {
		bad("nodes", "%v", err)
	}
	complete := func(block string, rules ...[]*relabel.Config) {
		for _, r := range slices.Concat(rules...) {
			if err := r.Validate(model.UTF8Validation); err != nil {
				bad(block, "relabelling: %v", err)
			}
		}
	}
	complete("nodes", n.RelabelConfigs, n.MetricRelabelConfigs)
	for name, job := range n.jobs() {
		complete("nodes."+name, job.RelabelConfigs, job.MetricRelabelConfigs)
	}
}
