package categraf

import (
	"slices"
)

// nodesBlock is the block nodes.
type nodesBlock struct {
	Interval           string  `yaml:"scrape_interval,omitempty"`
	Timeout            string  `yaml:"scrape_timeout,omitempty"`
	InsecureSkipVerify bool    `yaml:"insecure_skip_verify,omitempty"`
	HonorLabels        *bool   `yaml:"honor_labels,omitempty"`
	Access             access  `yaml:",inline"`
	Relabel            []rule  `yaml:"relabel_configs,omitempty"`
	Metrics            []rule  `yaml:"metric_relabel_configs,omitempty"`
	Kubelet            nodeJob `yaml:"kubelet,omitempty"`
	Cadvisor           nodeJob `yaml:"cadvisor,omitempty"`
	Probes             nodeJob `yaml:"probes,omitempty"`
	Resource           nodeJob `yaml:"resource,omitempty"`
	KubeProxy          nodeJob `yaml:"kube_proxy,omitempty"`
}

// nodeJob is a job of the block nodes.
type nodeJob struct {
	Enabled  *bool  `yaml:"enabled,omitempty"`
	Interval string `yaml:"scrape_interval,omitempty"`
	Timeout  string `yaml:"scrape_timeout,omitempty"`
	Relabel  []rule `yaml:"relabel_configs,omitempty"`
	Metrics  []rule `yaml:"metric_relabel_configs,omitempty"`
}

// nodePages are the pages that the block nodes reads, one for each of its jobs.
func (t *translation) nodePages() (out []*page) {
	for _, p := range t.pages {
		switch i := slices.IndexFunc(out, func(o *page) bool { return o.job == p.job }); {
		case p.job == "":
		case i < 0:
			out = append(out, p)
		default:
			t.report.add(p.at, "urls", NoCounterpart, "nodes.%s reads this page already, with the settings at %s:%d", p.job, out[i].at.file, out[i].at.line)
		}
	}
	return out
}

func (t *translation) nodesBlock(pages []*page, external map[string]string) *nodesBlock {
	out := &nodesBlock{Interval: span(pages[0].interval), Timeout: span(pages[0].timeout)}
	t.nodesAccess(out, pages)
	jobs := map[string]*nodeJob{"kubelet": &out.Kubelet, "cadvisor": &out.Cadvisor, "probes": &out.Probes, "resource": &out.Resource, "kube_proxy": &out.KubeProxy}
	off, on, honor := false, true, false
	for name, j := range jobs {
		if name != "resource" && !slices.ContainsFunc(pages, func(p *page) bool { return p.job == name }) {
			j.Enabled = &off
		}
	}
	if t.labels == Same {
		out.HonorLabels = &honor
	}
	for _, p := range pages {
		j := jobs[p.job]
		if p.job == "resource" {
			j.Enabled = &on
		}
		if p.interval != pages[0].interval {
			j.Interval = span(p.interval)
		}
		if p.timeout != pages[0].timeout {
			j.Timeout = span(p.timeout)
		}
		j.Relabel, j.Metrics = t.rulesOf(p, external)
	}
	out.share(pages, jobs)
	return out
}

// share moves the rules that all jobs have to the block. Rules of relabel_configs set labels of their own, so that their order does not
// matter; of metric_relabel_configs only what all begin with is moved.
func (b *nodesBlock) share(pages []*page, jobs map[string]*nodeJob) {
	everywhere := func(r rule, i int) bool {
		for _, p := range pages {
			j := jobs[p.job]
			if i < 0 && !slices.ContainsFunc(j.Relabel, r.equal) || i >= 0 && (i >= len(j.Metrics) || !r.equal(j.Metrics[i])) {
				return false
			}
		}
		return true
	}
	first := jobs[pages[0].job]
	for _, r := range first.Relabel {
		if everywhere(r, -1) {
			b.Relabel = append(b.Relabel, r)
		}
	}
	for i, r := range first.Metrics {
		if !everywhere(r, i) {
			break
		}
		b.Metrics = append(b.Metrics, r)
	}
	for _, p := range pages {
		j := jobs[p.job]
		j.Relabel = slices.DeleteFunc(j.Relabel, func(r rule) bool { return slices.ContainsFunc(b.Relabel, r.equal) })
		j.Metrics = j.Metrics[len(b.Metrics):]
	}
}

// rulesOf are the rules for a page of the block nodes.
func (t *translation) rulesOf(p *page, external map[string]string) (relabel, metrics []rule) {
	own := p.own(external)
	if t.labels == KubePrometheus {
		for _, label := range sortedKeys(own) {
			_, made := p.made[label]
			if made || label == "job" || label == "instance" || slices.Contains(ownNames, label) {
				t.report.add(p.at, label, Differs, "categraf's label %s is not kept; the series have those of kube-prometheus: job, instance with host and port, node, metrics_path, namespace, service, endpoint", label)
				continue
			}
			relabel = append(relabel, own[label].set(label))
		}
		return relabel, p.metrics
	}
	var gone []string
	for _, label := range append([]string{"job"}, ownNames...) {
		if _, set := own[label]; !set {
			gone = append(gone, label)
		}
	}
	if len(gone) > 0 {
		relabel = append(relabel, rule{Regex: literals(gone), Action: "labeldrop"})
	}
	for _, label := range sortedKeys(own) {
		relabel = append(relabel, own[label].set(label))
	}
	if !slices.ContainsFunc(sortedKeys(own), func(label string) bool { return own[label].dynamic() }) {
		t.report.add(p.at, agentHostname, Differs, "this page has the same labels on every node, since nothing in them names the node. Each series then keeps the samples of one node at a time: set omit_hostname = false, or use --labels=%s", KubePrometheus)
	}
	return relabel, t.sameMetrics(p, own)
}

// sameMetrics are the rules that give a page's series the labels that categraf gives.
func (t *translation) sameMetrics(p *page, own map[string]text) []rule {
	out := sameNumbers()
	if len(own) > 0 {
		out = append(out, rule{Regex: "exported_(" + literals(sortedKeys(own)) + ")", Action: "labeldrop"})
	}
	out = append(out, p.metrics...)
	if _, ok := own["instance"]; !ok && !slices.Contains(p.without, "instance") {
		out = append(out, rule{Regex: "instance", Action: "labeldrop"})
		t.report.add(p.at, "instance", Differs, "the page's series have no label instance, as with categraf; up keeps it")
	}
	return out
}

// nodesAccess sets how kubelets are reached.
func (t *translation) nodesAccess(out *nodesBlock, pages []*page) {
	var from *page
	for _, p := range pages {
		switch {
		case p.job == "kube_proxy":
		case from == nil:
			from = p
		case !p.access.equal(from.access):
			t.report.add(p.at, "urls", NoCounterpart, "the block nodes reaches all kubelets in one way: that of %s:%d", from.at.file, from.at.line)
		}
	}
	if from == nil {
		return
	}
	out.Access = from.access
	if a := out.Access.Authorization; a != nil && a.CredentialsFile == serviceAccount+"token" {
		out.Access.Authorization = nil // the default
	}
	if c := out.Access.TLS; c != nil && c.InsecureSkipVerify {
		rest := *c
		rest.InsecureSkipVerify, out.InsecureSkipVerify = false, true
		if out.Access.TLS = &rest; rest == (tlsConfig{}) {
			out.Access.TLS = nil
		}
		t.report.add(from.at, "insecure_skip_verify", Translated, "nodes.insecure_skip_verify")
	}
}
