package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// accept keeps the blocks that Prometheus's loader has accepted. Only that loader decides whether they are valid.
func (l *loader) accept(cfg *promconfig.Config) {
	l.c.Prometheus = cfg
	cfg.SetDirectory(l.dir)
	l.destinations(cfg.GlobalConfig)
	l.scrapeFiles(cfg)
}

// explain finds the mistakes that make Prometheus's loader refuse its blocks, with their lines.
func (l *loader) explain(err error) {
	w := &l.walker
	w.trusting = false
	global := l.global()
	if global != nil {
		l.jobs(w, find(l.doc.root, "scrape_configs"), *global, map[string]string{})
		l.destinations(*global)
		l.c.Prometheus = &promconfig.Config{GlobalConfig: *global}
	}
	switch {
	case errors.Is(err, errPoison): // the walk has found it
	case l.doc.moves(prometheusKeys) && len(w.mistakes)+len(l.problems) > 0: // the loader saw a text with other lines
	case !w.covers(err, l.problems):
		l.problems = append(l.problems, l.doc.guess(readable(err).Error()))
	}
}

// loadText calls Prometheus's loader, which may panic and must not see some regular expressions.
func loadText(doc document) (cfg *promconfig.Config, err error) {
	if poisonous(doc.root) {
		return nil, errPoison
	}
	text, err := doc.only(prometheusKeys)
	if err != nil {
		return nil, err
	}
	err = caught(func() (err error) {
		cfg, err = promconfig.Load(text, promslog.NewNopLogger())
		return err
	})
	return cfg, err
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

// jobs finds mistakes of scrape configurations that depend on global or on other jobs. First holds the place where each name
// was seen first.
func (l *loader) jobs(w *walker, list *yaml.Node, global promconfig.GlobalConfig, first map[string]string) {
	if list = resolved(list); list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range list.Content {
		item = resolved(item)
		at := place{text: "scrape_configs"}.item(i, item)
		if name := find(item, "job_name"); name != nil && resolved(name).Value != "" {
			where, ok := first[resolved(name).Value]
			if line := mentioned(item, "job_name"); ok {
				w.mistake(line, "%s stands twice, first %s", at.text, where)
			} else {
				first[resolved(name).Value] = Problem{File: w.file, Line: line.Line}.where()
			}
		}
		var sc promconfig.ScrapeConfig
		if poisonous(item) || decode(item, &sc) != nil {
			continue // the walk has found it
		}
		scheme := sc.MetricNameValidationScheme
		if scheme == model.UnsetValidation {
			scheme = global.MetricNameValidationScheme
		}
		good := w.rules(find(item, "relabel_configs"), sc.RelabelConfigs, scheme, at.under("relabel_configs"))
		good = w.rules(find(item, "metric_relabel_configs"), sc.MetricRelabelConfigs, scheme, at.under("metric_relabel_configs")) && good
		if err := sc.Validate(global); err != nil && good {
			text := withoutJob(err.Error())
			w.mistake(mentioned(item, text), "%s: %s", at.text, readable(fmt.Errorf("%s", text)))
		}
	}
}

// rules finds mistakes of relabelling. It returns true if there are none.
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

// destinations finds mistakes of destinations that depend on global or on other destinations.
func (l *loader) destinations(global promconfig.GlobalConfig) {
	list := resolved(find(l.doc.root, "remote_write"))
	if list == nil || list.Kind != yaml.SequenceNode {
		return
	}
	first := map[string]int{}
	for i, item := range list.Content {
		item = resolved(item)
		var rw promconfig.RemoteWriteConfig
		if poisonous(item) || decode(item, &rw) != nil {
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

// decode reads a node into one of Prometheus's types.
func decode(n *yaml.Node, out any) error {
	if isNull(n) {
		return errEmpty
	}
	return caught(func() error { return n.Decode(out) })
}

// scrapeFiles reads scrape_config_files, and finds the mistakes in them.
func (l *loader) scrapeFiles(cfg *promconfig.Config) {
	var files []scrapeFile
	poison, unread := false, false
	for _, pattern := range cfg.ScrapeConfigFiles {
		paths, _ := filepath.Glob(pattern) // Prometheus's loader refuses a bad pattern
		for _, path := range paths {
			f, err := readScrapeFile(path)
			if err != nil {
				l.problems = append(l.problems, Problem{File: path, Text: err.Error()})
				unread = true
				continue
			}
			poison = poison || poisonous(f.root)
			files = append(files, f)
		}
	}
	if unread {
		return
	}
	var err error
	if poison {
		err = errPoison
	} else {
		l.c.ScrapeConfigs, err = cfg.GetScrapeConfigs()
	}
	before := len(l.problems)
	first := map[string]string{}
	if err != nil {
		l.jobs(&walker{}, find(l.doc.root, "scrape_configs"), cfg.GlobalConfig, first)
	}
	for _, f := range files {
		l.walkScrapeFile(f, err == nil, cfg.GlobalConfig, first)
	}
	if err != nil && len(l.problems) == before {
		l.problem(l.doc.line("scrape_config_files"), "scrape_config_files: %s", readable(err))
	}
}

// scrapeFile is one of scrape_config_files.
type scrapeFile struct {
	path string
	root *yaml.Node // nil: it is empty
}

func readScrapeFile(path string) (f scrapeFile, err error) {
	text, why := readNamed(path, false)
	if why != "" {
		return f, errors.New(why)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return f, readable(err)
	}
	f.path = path
	if len(node.Content) > 0 {
		f.root = node.Content[0]
		if budget := maxNodes; !countable(f.root, &budget) {
			return f, errTooLarge
		}
	}
	return f, nil
}

// walkScrapeFile checks one of scrape_config_files in the same way as the configuration file.
func (l *loader) walkScrapeFile(f scrapeFile, accepted bool, global promconfig.GlobalConfig, first map[string]string) {
	if f.root == nil {
		return
	}
	l.secrets = append(l.secrets, secretsOf(f.root)...)
	w := walker{file: f.path, dir: filepath.Dir(f.path), trusting: accepted}
	w.walk(f.root, reflect.TypeFor[promconfig.ScrapeConfigs](), place{by: yamlTags})
	if !accepted {
		l.jobs(&w, find(f.root, "scrape_configs"), global, first)
	}
	l.problems = append(l.problems, w.mistakes...)
	l.problems = append(l.problems, w.findings...)
	l.warnings = append(l.warnings, w.doubts...)
	l.files = append(l.files, w.files...)
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

// setPaths makes relative paths in the relay's own blocks start at the directory of the file.
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
	if c.Annotations != nil {
		c.Annotations.HTTPClientConfig.SetDirectory(dir)
	}
	join(&c.WAL.Dir)
}
