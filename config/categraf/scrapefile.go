package categraf

import (
	"fmt"
	"net/url"
	"path"
	"slices"

	"go.yaml.in/yaml/v3"
)

// scrapeFile is a file of the embedded agent: that of a Prometheus.
type scrapeFile struct {
	at     position
	root   *yaml.Node
	labels map[string]string // external_labels
}

// scrapes reads the scrape files of an installation.
func (t *translation) scrapes(m *mainFile, files map[string]file) {
	if m.agentGiven && !m.agent {
		t.report.add(m.agentAt, "prometheus.enable", Differs, "the agent does not run, so its scrape file is left out")
		return
	}
	wanted := path.Base(m.scrapeFile)
	if m.agentGiven && m.scrapeFile != "" {
		f, ok := files[wanted]
		if !ok {
			t.report.add(m.agentAt, "prometheus.scrape_config_file", NoCounterpart, "%s is not among the files; its jobs are missing", m.scrapeFile)
			return
		}
		t.report.add(m.agentAt, "prometheus.scrape_config_file", Translated, "its jobs are in scrape_configs")
		for _, name := range sortedKeys(files) {
			if name != wanted && files[name].isScrapeFile() {
				t.report.add(files[name].at(1), name, NoCounterpart, "scrape_config_file names %s, so this file is left out", wanted)
			}
		}
		files = map[string]file{wanted: f}
	}
	for _, name := range sortedKeys(files) {
		if name == wanted || files[name].isScrapeFile() {
			t.scrapeFile(m, files[name])
		}
	}
}

// isScrapeFile reports whether a file has scrape_configs.
func (f file) isScrapeFile() bool {
	var doc yaml.Node
	return yaml.Unmarshal(f.text, &doc) == nil && len(doc.Content) > 0 && child(doc.Content[0], "scrape_configs") != nil
}

// blocksOfAgents are the blocks of a scrape file that count for an agent.
var blocksOfAgents = []string{"global", "scrape_configs", "remote_write", "scrape_config_files"}

func (t *translation) scrapeFile(m *mainFile, f file) {
	var doc yaml.Node
	if err := yaml.Unmarshal(f.text, &doc); err != nil || len(doc.Content) == 0 {
		if err == nil {
			err = fmt.Errorf("it is empty")
		}
		t.report.add(f.at(1), f.name, NoCounterpart, notRead+"%v", err)
		return
	}
	s := &scrapeFile{f.at(1), doc.Content[0], map[string]string{}}
	if external := child(child(s.root, "global"), "external_labels"); external != nil {
		if err := external.Decode(&s.labels); err != nil {
			t.report.add(f.at(external.Line), "global.external_labels", NoCounterpart, notRead+"%v", err)
		}
	}
	for i := 0; i+1 < len(s.root.Content); i += 2 {
		if key := s.root.Content[i]; !slices.Contains(blocksOfAgents, key.Value) {
			t.report.add(f.at(key.Line), key.Value, NoCounterpart, "an agent has no use for this block; it is left out")
		}
	}
	if writes := child(s.root, "remote_write"); writes != nil {
		for _, w := range writes.Content {
			at := f.at(w.Line)
			target := child(w, "url")
			if u, err := url.Parse(scalar(target)); target != nil && (err != nil || u.Host == "") {
				t.report.add(at, "remote_write.url", NoCounterpart, "%q is no URL; write the address of your receiver into remote_write", target.Value)
				target.Value = unknownReceiver
			}
			t.addRemote(&remote{URL: scalar(target), written: w, agent: true, at: at}, at)
		}
	}
	if len(m.labels) > 0 || m.hostname != "" {
		at := m.hostnameAt
		if at.file == "" {
			at = m.labelsAt
		}
		t.report.add(at, "global.labels, global.hostname", Differs, "they reach the series of the plugins alone. The jobs of %s have the external_labels of their own file, here as in categraf", f.name)
	}
	t.scrapeFiles = append(t.scrapeFiles, s)
}

// jobs are the jobs of the file, each with the interval and timeout that its file gives all.
func (s *scrapeFile) jobs(first bool) (out []*yaml.Node) {
	list := child(s.root, "scrape_configs")
	if list == nil {
		return nil
	}
	global := child(s.root, "global")
	for _, job := range list.Content {
		for _, key := range []string{"scrape_interval", "scrape_timeout"} {
			value := child(global, key)
			if value == nil && key == "scrape_interval" {
				value = &yaml.Node{Kind: yaml.ScalarNode, Value: "1m"} // Prometheus's default
			}
			if !first && value != nil && child(job, key) == nil {
				put(job, key, value)
			}
		}
		out = append(out, job)
	}
	return out
}

// put sets a key of a mapping.
func put(n *yaml.Node, key string, value any) {
	v, ok := value.(*yaml.Node)
	if !ok {
		v = &yaml.Node{}
		if err := v.Encode(value); err != nil {
			return // what this package writes can be encoded
		}
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
}

// extend adds rules to the end of a list of rules of a job.
func extend(job *yaml.Node, key string, rules []rule) {
	list := child(job, key)
	if list == nil {
		put(job, key, rules)
		return
	}
	for _, r := range rules {
		n := &yaml.Node{}
		if err := n.Encode(r); err == nil {
			list.Content = append(list.Content, n)
		}
	}
}
