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

// take has what Prometheus's loader has taken. Whether something is wrong with its blocks it says, and nobody else.
func (l *loader) take(cfg *promconfig.Config) {
	l.c.Prometheus = cfg
	cfg.SetDirectory(l.dir)
	l.destinations(cfg.GlobalConfig)
	l.scrapeFiles(cfg)
}

// explain finds where the mistakes are for which Prometheus's loader refuses its blocks.
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
	case errors.Is(err, errPoison): // of which the walk has told
	case l.doc.moves(prometheusKeys) && len(w.mistakes)+len(l.problems) > 0: // lines of the text that the loader saw are others
	case !w.covers(err, l.problems):
		l.problems = append(l.problems, l.doc.guess(readable(err).Error()))
	}
}

// loadText is Prometheus's loader, which may panic, and must not see some regular expressions.
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

// jobs finds what is wrong with scrape configurations beyond what each of them can tell alone. First tells where names stand already.
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
			continue // of which the walk has told
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

// scrapeFiles reads scrape_config_files, and finds where mistakes in them are.
func (l *loader) scrapeFiles(cfg *promconfig.Config) {
	var files []scrapeFile
	poison, unread := false, false
	for _, pattern := range cfg.ScrapeConfigFiles {
		paths, _ := filepath.Glob(pattern) // Prometheus tells of a bad one
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

// walkScrapeFile looks at one of scrape_config_files as at the configuration itself.
func (l *loader) walkScrapeFile(f scrapeFile, taken bool, global promconfig.GlobalConfig, first map[string]string) {
	if f.root == nil {
		return
	}
	l.secrets = append(l.secrets, secretsOf(f.root)...)
	w := walker{file: f.path, dir: filepath.Dir(f.path), trusting: taken}
	w.walk(f.root, reflect.TypeFor[promconfig.ScrapeConfigs](), place{by: yamlTags})
	if !taken {
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
