package config

import (
	"reflect"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
)

func loaded(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load([]byte(text), "")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

// TestSourceOfObjects: a block of monitors or nodes asks for a cluster, and a named source of objects asks for monitors.
func TestSourceOfObjects(t *testing.T) {
	for text, want := range map[string][4]bool{ // kubernetes, manifests, monitors, nodes
		"scrape_configs: []":                      {},
		"monitors: {}":                            {true, false, true, false},
		"nodes: {}":                               {true, false, false, true},
		"kubernetes: {}":                          {true, false, true, false},
		"manifests: {directory: d}":               {false, true, true, false},
		"manifests: {directory: d}\nnodes: {}":    {false, true, true, true},
		"manifests: {directory: d}\nmonitors: {}": {false, true, true, false},
	} {
		c := loaded(t, text)
		if got := [4]bool{c.Kubernetes != nil, c.Manifests != nil, c.Monitors != nil, c.Nodes != nil}; got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestIntervals: those of a job go before those of its block, those before the global ones, and without any it is 30 s.
func TestIntervals(t *testing.T) {
	for text, want := range map[string]struct {
		monitors, timeout         monitoringv1.Duration
		nodes, nodesTimeout       model.Duration
		cadvisor, cadvisorTimeout model.Duration
	}{
		"monitors: {}\nnodes: {}": {"30s", "", seconds(30), seconds(10), seconds(30), seconds(10)},
		"global: {scrape_interval: 20s, scrape_timeout: 5s}\nmonitors: {}\nnodes: {}":                                      {"20s", "5s", seconds(20), seconds(5), seconds(20), seconds(5)},
		"global: {scrape_interval: 20s}\nmonitors: {scrapeInterval: 40s, scrapeTimeout: 7s}\nnodes: {scrape_interval: 5s}": {"40s", "7s", seconds(5), seconds(5), seconds(5), seconds(5)},
		"monitors: {}\nnodes: {scrape_timeout: 8s, cadvisor: {scrape_interval: 6s}}":                                       {"30s", "", seconds(30), seconds(8), seconds(6), seconds(6)},
		"monitors: {}\nnodes: {cadvisor: {scrape_interval: 60s, scrape_timeout: 40s}}":                                     {"30s", "", seconds(30), seconds(10), seconds(60), seconds(40)},
	} {
		c := loaded(t, text)
		m, n := c.Monitors, c.Nodes
		if m.ScrapeInterval != want.monitors || m.ScrapeTimeout != want.timeout {
			t.Errorf("%q: monitors every %s within %q", text, m.ScrapeInterval, m.ScrapeTimeout)
		}
		if n.ScrapeInterval != want.nodes || n.ScrapeTimeout != want.nodesTimeout || n.Cadvisor.ScrapeInterval != want.cadvisor || n.Cadvisor.ScrapeTimeout != want.cadvisorTimeout {
			t.Errorf("%q: nodes every %s within %s, cadvisor every %s within %s", text, n.ScrapeInterval, n.ScrapeTimeout, n.Cadvisor.ScrapeInterval, n.Cadvisor.ScrapeTimeout)
		}
	}
}

func seconds(n int) model.Duration { return model.Duration(time.Duration(n) * time.Second) }

// TestCredentialsOfNodes: kubelets are reached as the pod, unless the block says how or there is no pod.
func TestCredentialsOfNodes(t *testing.T) {
	for text, want := range map[string]struct {
		token, ca string
		insecure  bool
	}{
		"nodes: {}":                                         {serviceAccount + "token", serviceAccount + "ca.crt", false},
		"nodes: {insecure_skip_verify: true}":               {serviceAccount + "token", "", true},
		"nodes: {bearer_token_file: /t}":                    {"/t", serviceAccount + "ca.crt", false},
		"nodes: {tls_config: {ca_file: /c}}":                {serviceAccount + "token", "/c", false},
		"nodes: {basic_auth: {username: u}}":                {"", serviceAccount + "ca.crt", false},
		"nodes: {}\nmanifests: {directory: d}":              {"", "", false},
		"nodes: {tls_config: {insecure_skip_verify: true}}": {serviceAccount + "token", serviceAccount + "ca.crt", true},
	} {
		h := loaded(t, text).Nodes.HTTPClientConfig
		token := ""
		if h.Authorization != nil {
			token = h.Authorization.CredentialsFile
		}
		if token != want.token || h.TLSConfig.CAFile != want.ca || h.TLSConfig.InsecureSkipVerify != want.insecure {
			t.Errorf("%q: token %q, CA %q, insecure %t", text, token, h.TLSConfig.CAFile, h.TLSConfig.InsecureSkipVerify)
		}
	}
}

// TestSelectAll: no selector at all selects everything, one that is given leaves the others at nothing.
func TestSelectAll(t *testing.T) {
	for text, want := range map[string][2]bool{ // ServiceMonitors, Probes
		"monitors: {}":                           {true, true},
		"monitors: {serviceMonitorSelector: {}}": {true, false},
		"monitors: {probeNamespaceSelector: {}}": {false, false},
		"monitors: {probeSelector: null}":        {true, true},
	} {
		m := loaded(t, text).Monitors
		if got := [2]bool{m.ServiceMonitorSelector != nil, m.ProbeSelector != nil}; got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestValidateChangesNothing: a configuration that is validated once more is the same as before.
func TestValidateChangesNothing(t *testing.T) {
	for _, text := range []string{
		"global: {external_labels: {a: b}}\nmonitors: {externalLabels: {c: d}, scrapeProtocols: [PrometheusText0.0.4]}\nnodes: {cadvisor: {scrape_interval: 6s, relabel_configs: [{target_label: a, replacement: b}]}}\n",
		"kubernetes: {namespaces: [a]}\nscrape_configs: [{job_name: a, static_configs: [{targets: [b]}]}]\nremote_write: [{url: 'http://a/'}]\nwal: {max_bytes: 1GB}\nrelay: {redirect_hosts: [b]}\n",
	} {
		before, again := loaded(t, text), loaded(t, text)
		l := &loader{doc: again.doc, c: again}
		l.validate()
		if len(l.problems) > 0 || !reflect.DeepEqual(before.Nodes, again.Nodes) || !reflect.DeepEqual(before.Monitors, again.Monitors) ||
			before.Prometheus.GlobalConfig.ExternalLabels.String() != again.Prometheus.GlobalConfig.ExternalLabels.String() || !reflect.DeepEqual(before.Kubernetes, again.Kubernetes) {
			t.Errorf("%q: changed, or %v", text, l.problems)
		}
	}
}
