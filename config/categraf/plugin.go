package categraf

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"

	"promrelay/config/redact"
)

// page is a URL that a plugin reads.
type page struct {
	at       position
	url      *url.URL // its host may be nodeName or nodeIP
	onNode   bool     // each node has one
	job      string   // the key of the block nodes; empty for another page
	name     string   // of a job in scrape_configs
	interval time.Duration
	timeout  time.Duration   // 0: none is given
	labels   map[string]text // of the instance and of [global.labels], and agent_hostname
	made     map[string]text // those that are made from the URL
	without  []string        // labels that are taken away from the page's series
	metrics  []rule
	access   access
}

// nodePages are the pages of each node that the block nodes has, by port and path.
var nodePages = map[string]string{
	"10250/metrics":          "kubelet",
	"10250/metrics/cadvisor": "cadvisor",
	"10250/metrics/probes":   "probes",
	"10250/metrics/resource": "resource",
	"10249/metrics":          "kube_proxy",
}

// hostPlugins read the host that they run on.
var hostPlugins = []string{
	"arp_packet", "bond", "conntrack", "cpu", "disk", "diskio", "ethtool", "kernel", "kernel_vmstat", "linux_sysctl_fs", "mem", "net",
	"netstat", "netstat_filter", "nfsclient", "node_exporter", "ntp", "processes", "procstat", "smart", "sockstat", "system", "systemd",
}

// plugin reads the file of a plugin.
func (t *translation) plugin(m *mainFile, name string, in *table) {
	interval := m.interval
	switch {
	case name == "prometheus" || name == "cadvisor":
		if d := in.duration("interval"); d > 0 {
			interval = d
			t.report.add(in.at("interval"), "interval", Translated, "scrape_interval %s", d)
		}
		for i, instance := range in.subs("instances") {
			t.instance(m, instance, fmt.Sprintf("%s/%d", name, i), interval)
		}
		t.unknown(in)
	case slices.Contains(hostPlugins, name):
		t.report.add(in.at(""), "input."+name, NoCounterpart, "a plugin for the host; node_exporter as a DaemonSet with a ServiceMonitor has such metrics, by other names")
	case name == "kubernetes":
		t.report.add(in.at(""), "input.kubernetes", NoCounterpart, "the kubelet's pages have such metrics by other names: nodes.cadvisor, nodes.resource, and kubelet_volume_stats_ of nodes.kubelet")
	case name == "docker":
		t.report.add(in.at(""), "input.docker", NoCounterpart, "nodes.cadvisor has metrics of the containers, by other names")
	default:
		t.report.add(in.at(""), "input."+name, NoCounterpart, "the relay has no such plugin; an exporter with a ServiceMonitor has such metrics, by other names")
	}
}

// instance reads [[instances]] of the plugins prometheus and cadvisor.
func (t *translation) instance(m *mainFile, in *table, name string, interval time.Duration) {
	urls := in.strs("urls")
	if u := in.str("url"); u != "" {
		urls = append(urls, u)
		t.cadvisor(in)
	}
	t.consul(in)
	common := page{interval: interval, labels: map[string]text{}}
	if n := in.number("interval_times"); n > 0 {
		common.interval *= time.Duration(n)
		t.report.add(in.at("interval_times"), in.name("interval_times"), Translated, "scrape_interval %s", common.interval)
	}
	if d := in.duration("timeout"); d > 0 {
		common.timeout = min(d, common.interval)
		t.report.add(in.at("timeout"), in.name("timeout"), Translated, "scrape_timeout %s", common.timeout)
	} else if len(urls) > 0 {
		t.report.add(in.at(""), in.name("timeout"), Differs, "categraf gives up after 3 s if no timeout is given; the relay's scrape_timeout is 10 s, or the interval if that is shorter")
	}
	common.access = t.access(in)
	t.pageLabels(m, in, &common)
	t.metricRules(in, &common)
	if len(urls) > 0 && len(t.pages) == 0 { // once, for all pages
		t.report.add(in.at(""), "NaN, staleness markers", Differs, "the relay also sends NaN values, which categraf leaves out, and staleness markers where a series ends")
		t.report.add(in.at(""), "metrics_from", Differs, "categraf and the relay may run side by side only with another metrics_from in global.external_labels: else both write the same series, and sums are doubled or samples refused")
	}
	for _, raw := range urls {
		if p := t.page(m, in, common, raw); p != nil {
			p.name = name
			t.pages = append(t.pages, p)
		}
	}
	t.unknown(in)
}

// page makes the page of a URL; nil if the relay cannot read it.
func (t *translation) page(m *mainFile, in *table, p page, raw string) *page {
	key, at := in.name("urls"), in.at("urls")
	if !in.has("urls") {
		key, at = in.name("url"), in.at("url")
	}
	p.at = at
	expanded := m.vars.expand(raw)
	u, err := url.Parse(expanded.value)
	if err != nil || u.Host == "" || len(expanded.unknown) > 0 {
		t.report.add(at, key, NoCounterpart, "%q: want a URL with known variables; unknown are %s", redact.URL(raw), quoted(expanded.unknown))
		return nil
	}
	if u.Path == "" {
		u.Path = "/metrics"
		if in.has("url") {
			u.Path = "/metrics/cadvisor"
		}
	}
	p.url = u
	p.made = map[string]text{}
	if !t.urlLabels(in, &p) {
		return nil
	}
	host := u.Hostname()
	local := slices.Contains([]string{"127.0.0.1", "localhost", "::1", nodeName, nodeIP}, host)
	if local && !m.perNode {
		t.report.add(at, key, NoCounterpart, "%s is another container or the node of this pod; a PodMonitor, or a job in scrape_configs, can reach it by the pod's address", redact.URL(raw))
		return nil
	}
	p.onNode = local
	if local {
		p.job = nodePages[u.Port()+u.Path]
	}
	t.noteURL(p, key, raw, m)
	return &p
}

// noteURL reports what a URL becomes.
func (t *translation) noteURL(p page, key, raw string, m *mainFile) {
	raw = redact.URL(raw)
	host := p.url.Hostname()
	local := host == "127.0.0.1" || host == "localhost" || host == "::1"
	switch {
	case p.job == "kube_proxy" && local:
		t.report.add(p.at, key, Differs, "%s becomes nodes.kube_proxy. kube-proxy listens on 127.0.0.1 unless metricsBindAddress of its configuration is 0.0.0.0:10249: set that, or use node mode, which is node_mode: {}", raw)
	case p.job != "":
		t.report.add(p.at, key, Translated, "%s becomes nodes.%s: one relay reads this page of every node", raw, p.job)
	case p.onNode && local:
		t.report.add(p.at, key, Differs, "%s becomes a job of scrape_configs for port %s of every node; it must listen on the node's address, not on 127.0.0.1 alone", raw, p.url.Port())
	case p.onNode:
		t.report.add(p.at, key, Translated, "%s becomes a job of scrape_configs for port %s of every node", raw, p.url.Port())
	case m.kind == "DaemonSet":
		t.report.add(p.at, key, Differs, "%s becomes a job of scrape_configs. Each pod of the DaemonSet reads it; the relay reads it once", raw)
	default:
		t.report.add(p.at, key, Translated, "%s becomes a job of scrape_configs", raw)
	}
}

// urlLabels adds the labels that are made from the URL.
func (t *translation) urlLabels(in *table, p *page) bool {
	u := p.url
	dict := map[string]string{"Scheme": u.Scheme, "Host": u.Host, "Hostname": u.Hostname(), "Port": u.Port(), "Path": u.Path, "Query": u.RawQuery, "Fragment": u.Fragment}
	render := func(key, text string) (string, bool) {
		var b strings.Builder
		tmpl, err := template.New(key).Parse(text)
		if err == nil {
			err = tmpl.Execute(&b, dict)
		}
		if err != nil {
			t.report.add(in.at(key), in.name(key), NoCounterpart, "%v; the page is left out", err)
		}
		return b.String(), err == nil
	}
	add := func(label, value string) {
		if _, own := p.labels[label]; !own && !slices.Contains(p.without, label) {
			p.made[label] = text{value: value}
		}
	}
	label, value := in.str("url_label_key"), u.String()
	if label == "" {
		label = "instance"
	}
	if v := in.str("url_label_value"); v != "" {
		var ok bool
		if value, ok = render("url_label_value", v); !ok {
			return false
		}
	}
	if label != "-" {
		add(label, value)
	}
	for l, v := range in.pairs("url_label_pair") {
		rendered, ok := render("url_label_pair", v)
		if !ok {
			return false
		}
		add(l, rendered)
	}
	for _, key := range []string{"url_label_key", "url_label_value", "url_label_pair"} {
		if in.has(key) {
			t.report.add(in.at(key), in.name(key), Translated, "the labels that are made from the URL, with --labels=%s", Same)
		}
	}
	return true
}

// cadvisor reports what the plugin cadvisor does beside reading a page.
func (t *translation) cadvisor(in *table) {
	if kind := in.str("type"); kind != "cadvisor" {
		t.report.add(in.at("type"), in.name("type"), NoCounterpart, "labels and annotations of Pods on the series of cAdvisor; kube_pod_labels of kube-state-metrics has them, to join by namespace and pod")
	}
	if in.has("choose_label_keys") {
		t.report.add(in.at("choose_label_keys"), in.name("choose_label_keys"), NoCounterpart, "write a rule with action labelkeep into nodes.cadvisor.metric_relabel_configs, which must keep __name__, job and instance too")
	}
}

// consul reports discovery by Consul.
func (t *translation) consul(in *table) {
	c := in.sub("consul")
	if c == nil {
		return
	}
	if !c.isOn("enabled") {
		return
	}
	t.report.add(in.at("consul"), in.name("consul"), NoCounterpart, "write a job with consul_sd_configs (server %q) into scrape_configs; its relabel_configs do what url and tags do here", c.str("agent"))
}
