package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// loadPrometheus has Prometheus's own code read its blocks and the files that they name. What that says counts; where it is the walk
// through the file has found.
func (l *loader) loadPrometheus() {
	global := l.global()
	first := map[string]string{}
	w := &l.walker
	if global != nil {
		l.jobs(w, find(l.doc.root, "scrape_configs"), *global, first)
		l.destinations(*global)
	}
	if poisonous(l.doc.root) { // of which the walk has told
		return
	}
	cfg, err := loadText(l.doc)
	switch {
	case err == nil:
		w.mistakes = nil // what Prometheus takes is right, whatever else reads it
	case len(w.mistakes) == 0 && !l.told(err) || len(w.mistakes) > 0 && !l.doc.flow() && !w.covers(err):
		l.problems = append(l.problems, l.doc.guess(readable(err).Error()))
	}
	if err == nil {
		l.c.Prometheus = cfg
		cfg.SetDirectory(l.dir)
		l.scrapeFiles(cfg, first)
		return
	}
	if global != nil {
		l.c.Prometheus = &promconfig.Config{GlobalConfig: *global}
	}
}

// told tells whether an error is one of those of several items together, of which problems speak with their lines.
func (l *loader) told(err error) bool {
	return len(l.problems) > 0 && strings.HasPrefix(err.Error(), "found multiple")
}

// loadText is Prometheus's loader, which may panic.
func loadText(doc document) (cfg *promconfig.Config, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w %v", errPanic, p)
		}
	}()
	text, err := doc.only(prometheusKeys)
	if err != nil {
		return nil, err
	}
	return promconfig.Load(text, promslog.NewNopLogger())
}

// global is the block as Prometheus reads it, nil if it cannot be read.
func (l *loader) global() *promconfig.GlobalConfig {
	global := promconfig.DefaultGlobalConfig
	if node := find(l.doc.root, "global"); node != nil && !isNull(node) {
		if err := node.Decode(&global); err != nil {
			return nil
		}
	}
	return &global
}

// jobs finds what is wrong with scrape configurations beyond what each of them can tell alone. First tells where names stand already.
func (l *loader) jobs(w *walker, list *yaml.Node, global promconfig.GlobalConfig, first map[string]string) {
	if list = resolved(list); list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range list.Content {
		item = resolved(item)
		var sc promconfig.ScrapeConfig
		if poisonous(item) || decodeSafely(item, &sc) != nil {
			continue // of which the walk has told
		}
		at := place{text: "scrape_configs"}.item(i, item)
		scheme := sc.MetricNameValidationScheme
		if scheme == model.UnsetValidation {
			scheme = global.MetricNameValidationScheme
		}
		good := w.rules(find(item, "relabel_configs"), sc.RelabelConfigs, scheme, at.under("relabel_configs"))
		good = w.rules(find(item, "metric_relabel_configs"), sc.MetricRelabelConfigs, scheme, at.under("metric_relabel_configs")) && good
		if err := sc.Validate(global); err != nil && good {
			text := ofJob.ReplaceAllString(err.Error(), "")
			w.mistake(mentioned(item, text), "%s: %s", at.text, readable(fmt.Errorf("%s", text)))
		}
		name := mentioned(item, "job_name")
		if where, ok := first[sc.JobName]; ok {
			w.mistake(name, "%s stands twice, first %s", at.text, where)
			continue
		}
		first[sc.JobName] = Problem{File: w.file, Line: name.Line}.where()
	}
}

// rules finds what is wrong with relabelling, and tells whether nothing is.
func (w *walker) rules(list *yaml.Node, rules []*relabel.Config, scheme model.ValidationScheme, at place) bool {
	good := true
	for i, rule := range rules {
		if err := rule.Validate(scheme); err != nil {
			item := resolved(resolved(list).Content[i])
			good = w.mistake(mentioned(item, err.Error()), "%s: %s", at.item(i, item).text, readable(err))
		}
	}
	return good
}

// where names the place of a problem within a sentence.
func (p Problem) where() string {
	if p.File != "" {
		return fmt.Sprintf("in line %d of %s", p.Line, p.File)
	}
	return fmt.Sprintf("in line %d", p.Line)
}

// destinations finds what is wrong with them beyond what each can tell alone.
func (l *loader) destinations(global promconfig.GlobalConfig) {
	list := resolved(find(l.doc.root, "remote_write"))
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	first := map[string]int{}
	for i, item := range list.Content {
		item = resolved(item)
		var rw promconfig.RemoteWriteConfig
		if poisonous(item) || decodeSafely(item, &rw) != nil {
			continue
		}
		at := place{text: "remote_write"}.item(i, item)
		l.walker.rules(find(item, "write_relabel_configs"), rw.WriteRelabelConfigs, global.MetricNameValidationScheme, at.under("write_relabel_configs"))
		d := newDestination(&rw, item)
		if line, ok := first[d.ID()]; ok {
			l.problem(item.Line, "%s: another one has the same name or URL, in line %d; give each a name", at.text, line)
			continue
		}
		first[d.ID()] = item.Line
	}
}

// decodeSafely decodes what may make its type's code panic.
func decodeSafely(n *yaml.Node, out any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if isNull(n) {
		return errEmpty
	}
	return n.Decode(out)
}

// scrapeFiles looks at scrape_config_files as at the configuration itself, then has Prometheus read them.
func (l *loader) scrapeFiles(cfg *promconfig.Config, first map[string]string) {
	bad := false
	for _, pattern := range cfg.ScrapeConfigFiles {
		paths, _ := filepath.Glob(pattern) // Prometheus tells of a bad one
		for _, path := range paths {
			bad = !l.scrapeFile(path, cfg.GlobalConfig, first) || bad
		}
	}
	if bad {
		return
	}
	var err error
	if l.c.ScrapeConfigs, err = cfg.GetScrapeConfigs(); err != nil {
		l.problems = append(l.problems, Problem{Line: l.doc.line("scrape_config_files"), Text: "scrape_config_files: " + readable(err).Error()})
	}
}

// scrapeFile looks at one of scrape_config_files, and tells whether nothing is wrong with it.
func (l *loader) scrapeFile(path string, global promconfig.GlobalConfig, first map[string]string) bool {
	w := walker{file: path, dir: filepath.Dir(path)}
	text, err := os.ReadFile(path)
	if err != nil {
		l.problems = append(l.problems, Problem{File: path, Text: cause(err).Error()})
		return false
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		l.problems = append(l.problems, Problem{File: path, Text: readable(err).Error()})
		return false
	}
	if len(node.Content) == 0 {
		return true
	}
	root := node.Content[0]
	if budget := maxNodes; !countable(root, &budget) {
		l.problems = append(l.problems, Problem{File: path, Text: errTooLarge.Error()})
		return false
	}
	l.secrets = append(l.secrets, secretsOf(root)...)
	w.walk(root, reflect.TypeFor[promconfig.ScrapeConfigs](), place{by: yamlTags})
	l.jobs(&w, find(root, "scrape_configs"), global, first)
	l.problems = append(l.problems, w.mistakes...)
	l.problems = append(l.problems, w.findings...)
	l.files = append(l.files, w.files...)
	return len(w.mistakes) == 0 && !poisonous(root)
}

func newDestination(rw *promconfig.RemoteWriteConfig, node *yaml.Node) Destination {
	d := Destination{RemoteWriteConfig: rw, Negotiate: find(node, "protobuf_message") == nil}
	if find(node, "send_exemplars") != nil {
		d.Exemplars = &rw.SendExemplars
	}
	if find(node, "send_native_histograms") != nil {
		d.NativeHistograms = &rw.SendNativeHistograms
	}
	return d
}

// Directories of the relay's own blocks start where the file is.
func (c *Config) setPaths(dir string) {
	join := func(p *string) { *p = config_util.JoinDir(dir, *p) }
	if c.Kubernetes != nil {
		join(&c.Kubernetes.Kubeconfig)
	}
	if c.Manifests != nil {
		join(&c.Manifests.Directory)
	}
	if c.Monitors != nil {
		join(&c.Monitors.LastGoodDirectory)
	}
	if c.Nodes != nil {
		c.Nodes.HTTPClientConfig.SetDirectory(dir)
	}
	join(&c.WAL.Dir)
}
