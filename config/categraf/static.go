package categraf

import (
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"promrelay/config/redact"
)

// ownJob is the job that scrapes the relay itself. Alerts and dashboards ask for its name.
const ownJob = "promrelay"

// job is a job of scrape_configs.
type job struct {
	Name     string              `yaml:"job_name"`
	Interval string              `yaml:"scrape_interval,omitempty"`
	Timeout  string              `yaml:"scrape_timeout,omitempty"`
	Scheme   string              `yaml:"scheme,omitempty"`
	Path     string              `yaml:"metrics_path,omitempty"`
	Params   map[string][]string `yaml:"params,omitempty"`
	Access   access              `yaml:",inline"`
	Static   []staticConfig      `yaml:"static_configs,omitempty"`
	Nodes    []map[string]string `yaml:"kubernetes_sd_configs,omitempty"`
	Relabel  []rule              `yaml:"relabel_configs,omitempty"`
	Metrics  []rule              `yaml:"metric_relabel_configs,omitempty"`
}

type staticConfig struct {
	Targets []string          `yaml:"targets,flow"`
	Labels  map[string]string `yaml:"labels,omitempty"`
}

// staticGroups are the pages that become jobs of scrape_configs; those of a group differ in host and labels alone.
func (t *translation) staticGroups() (out [][]*page) {
	for _, p := range t.pages {
		if p.job != "" {
			continue
		}
		i := slices.IndexFunc(out, func(g []*page) bool {
			o := g[0]
			return o.name == p.name && o.at.file == p.at.file && !o.onNode && !p.onNode && o.url.Scheme == p.url.Scheme && o.url.Path == p.url.Path && o.url.RawQuery == p.url.RawQuery
		})
		if i < 0 {
			out = append(out, []*page{p})
			continue
		}
		out[i] = append(out[i], p)
	}
	return out
}

// staticJob is the job of a group.
func (t *translation) staticJob(group []*page, name string, external map[string]string) job {
	p := group[0]
	out := job{
		Name: name, Interval: span(p.interval), Timeout: span(p.timeout), Scheme: p.url.Scheme, Path: p.url.EscapedPath(), Params: p.url.Query(),
		Access: p.access, Metrics: p.metrics,
	}
	own := t.shown(p, external)
	if p.onNode {
		address := "${1}:" + p.url.Port()
		out.Nodes = []map[string]string{{"role": "node"}}
		out.Relabel = []rule{{SourceLabels: []string{metaLabels[nodeIP]}, TargetLabel: "__address__", Replacement: &address}}
		for _, label := range sortedKeys(own) {
			out.Relabel = append(out.Relabel, own[label].set(label))
		}
	}
	for _, p := range group {
		if p.onNode {
			break
		}
		s := staticConfig{[]string{p.url.Host}, map[string]string{}}
		for label, v := range t.shown(p, external) {
			if v.dynamic() {
				t.report.add(p.at, label, NoCounterpart, "it names the node or pod where categraf runs; one relay has no such label for %s", redact.URL(p.url.String()))
				continue
			}
			s.Labels[label] = v.value
		}
		out.Static = append(out.Static, s)
	}
	if t.labels != Same {
		return out
	}
	if _, ok := own["job"]; !ok {
		out.Relabel = append(out.Relabel, rule{Regex: "job", Action: "labeldrop"})
	}
	out.Metrics = t.sameMetrics(p, own)
	return out
}

// shown are the labels of the target of a page: all that categraf gives, or without those that kube-prometheus has otherwise.
func (t *translation) shown(p *page, external map[string]string) map[string]text {
	own := p.own(external)
	if t.labels == KubePrometheus {
		for label := range p.made {
			if _, written := p.labels[label]; !written {
				delete(own, label)
			}
		}
		delete(own, "instance")
	}
	return own
}

// span writes a duration as Prometheus does; empty for 0.
func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return model.Duration(d).String()
}

func escape(s string) string { return regexp.QuoteMeta(s) }
