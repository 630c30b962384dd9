package categraf

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// configuration writes the configuration of what was found.
func (t *translation) configuration() ([]byte, error) {
	external := t.common()
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Made by promrelay migrate categraf --labels=%s.\n", t.labels)
	write := func(key, comment string, value any) error {
		if comment != "" {
			fmt.Fprintf(&b, "# %s\n", comment)
		}
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		return e.Encode(map[string]any{key: value})
	}
	if err := write("global", "", t.globalBlock(external)); err != nil {
		return nil, err
	}
	if pages := t.nodePages(); len(pages) > 0 {
		comment := "The pages of every node, with the labels that categraf gives."
		if t.labels == KubePrometheus {
			comment = "The pages of every node, with the labels of kube-prometheus's dashboards."
		}
		if err := write("nodes", comment, t.nodesBlock(pages, external)); err != nil {
			return nil, err
		}
	}
	if jobs := t.jobs(external); len(jobs) > 0 {
		if err := write("scrape_configs", "", jobs); err != nil {
			return nil, err
		}
	}
	if err := write("wal", "", map[string]string{"dir": "/var/lib/promrelay/wal"}); err != nil {
		return nil, err
	}
	err := write("remote_write", "", t.destinations())
	return b.Bytes(), err
}

// common are the labels that all jobs have with one value: they become external labels.
func (t *translation) common() map[string]string {
	var out map[string]string
	meet := func(labels map[string]string) {
		if out == nil {
			out = maps.Clone(labels)
		}
		maps.DeleteFunc(out, func(k, v string) bool { return labels[k] != v || labels[k] == "" })
	}
	for _, s := range t.scrapeFiles {
		meet(s.labels)
	}
	for _, p := range t.pages {
		constant := map[string]string{}
		for k, v := range p.labels {
			if !v.dynamic() && k != "job" && k != "instance" && k != agentHostname && !slices.Contains(ownNames, k) {
				constant[k] = v.value
			}
		}
		meet(constant)
	}
	return out
}

// globalBlock is the block of the first scrape file with the external labels.
func (t *translation) globalBlock(external map[string]string) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	if len(t.scrapeFiles) > 0 {
		if global := child(t.scrapeFiles[0].root, "global"); global != nil {
			for i := 0; i+1 < len(global.Content); i += 2 {
				if key := global.Content[i].Value; key != "external_labels" && key != "evaluation_interval" {
					put(out, key, global.Content[i+1])
				}
			}
		}
	}
	if len(external) > 0 {
		put(out, "external_labels", external)
	}
	return out
}

// own are the labels that a page's target gets, those that are made from the URL included.
func (p *page) own(external map[string]string) map[string]text {
	out := maps.Clone(p.made)
	maps.Copy(out, p.labels)
	maps.DeleteFunc(out, func(k string, v text) bool { return external[k] != "" && external[k] == v.value })
	return out
}

// jobs are the blocks of scrape_configs.
func (t *translation) jobs(external map[string]string) (out []*yaml.Node) {
	names := map[string]bool{}
	unique := func(name string) string {
		to := name
		for n := 2; names[to]; n++ {
			to = fmt.Sprintf("%s-%d", name, n)
		}
		names[to] = true
		return to
	}
	hasOwn := false
	for i, s := range t.scrapeFiles {
		for _, job := range s.jobs(i == 0) {
			hasOwn = hasOwn || scalar(child(job, "job_name")) == ownJob
			out = append(out, job)
			t.scrapeJob(s, job, external, unique)
		}
		if t.labels == Same && len(s.jobs(true)) > 0 {
			t.report.add(s.at, "scrape_configs", Differs, "two rules of metric_relabel_configs write le and quantile without .0, as text pages of Go programs have them. Remove them from jobs whose pages write le=\"1.0\", such as those of Java and Python programs")
		}
	}
	for _, group := range t.staticGroups() {
		n := &yaml.Node{}
		if err := n.Encode(t.staticJob(group, unique("categraf/"+group[0].name), external)); err == nil {
			out = append(out, n)
		}
	}
	if n := (&yaml.Node{}); !hasOwn && n.Encode(job{Name: ownJob, Static: []staticConfig{{Targets: []string{"localhost:9099"}}}}) == nil {
		n.HeadComment = "The relay itself, for its alerts and dashboards."
		out = append(out, n)
		t.report.Notes = append(t.report.Notes, "the job "+ownJob+" scrapes the relay itself, for its alerts and dashboards; remove it if a ServiceMonitor does that")
	}
	return out
}

// scrapeJob changes what must be changed of a job of a scrape file.
func (t *translation) scrapeJob(s *scrapeFile, job *yaml.Node, external map[string]string, unique func(string) string) {
	name := child(job, "job_name")
	if was := scalar(name); name != nil {
		if name.Value = unique(was); name.Value != was {
			t.report.add(s.at, "job_name", Differs, "two files have a job %q: the second is called %q, and its series keep job=%q", was, name.Value, was)
			extend(job, "relabel_configs", []rule{{SourceLabels: []string{"job"}, Regex: escape(name.Value), TargetLabel: "job", Replacement: &was}})
		}
	}
	for _, label := range sortedKeys(s.labels) {
		if external[label] != s.labels[label] {
			value := s.labels[label]
			extend(job, "relabel_configs", []rule{{TargetLabel: label, Replacement: &value}})
			t.report.add(s.at, "global.external_labels."+label, Differs, "not all jobs have it, so it is a label of the targets; where a page has such a label, the page's becomes exported_%s", label)
		}
	}
	if t.labels == Same {
		extend(job, "metric_relabel_configs", sameNumbers())
	}
}

// destinations are the blocks of remote_write.
func (t *translation) destinations() (out []any) {
	var drop []rule
	if t.labels == Same {
		drop = t.withoutReports()
	}
	for _, r := range t.remotes {
		if r.plugins != r.agent && len(t.pages) > 0 && len(t.scrapeFiles) > 0 {
			only := map[bool]string{true: "the plugins'", false: "the embedded agent's"}[r.plugins]
			t.report.add(r.at, "url", Differs, "only %s series went to %s; the relay sends all series to each destination, less what its write_relabel_configs drop", only, r.URL)
		}
		if r.written != nil {
			if drop != nil {
				extend(r.written, "write_relabel_configs", drop)
			}
			out = append(out, r.written)
			continue
		}
		r.Rules = drop
		out = append(out, r)
	}
	if out == nil {
		t.report.add(position{".", 1}, "writers", NoCounterpart, "no receiver was found: without remote_write nothing is delivered")
		return []any{}
	}
	return out
}

// withoutReports drops the series about scrapes of what were plugins' pages: categraf sends only up.
func (t *translation) withoutReports() []rule {
	var targets []string
	for _, p := range t.pages {
		own := p.own(nil)
		instance := ".*"
		if v, ok := own["instance"]; ok && !v.dynamic() {
			instance = escape(v.value)
		}
		if s := escape(own["job"].value) + ";" + instance; !slices.Contains(targets, s) {
			targets = append(targets, s)
		}
	}
	if targets == nil {
		return nil
	}
	slices.Sort(targets)
	return []rule{{
		SourceLabels: []string{"__name__", "job", "instance"},
		Regex:        "scrape_(duration_seconds|samples_scraped|samples_post_metric_relabeling|series_added);(" + strings.Join(targets, "|") + ")",
		Action:       "drop",
	}}
}
