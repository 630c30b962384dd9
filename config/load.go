package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
)

// own are the relay's own blocks.
type own struct {
	Kubernetes  *Kubernetes  `yaml:"kubernetes"`
	Monitors    *Monitors    `yaml:"monitors"`
	Nodes       *Nodes       `yaml:"nodes"`
	NodeMode    *NodeMode    `yaml:"node_mode"`
	Annotations *Annotations `yaml:"annotations"`
	Manifests   *Manifests   `yaml:"manifests"`
	Scrape      Scrape       `yaml:"scrape"`
	WAL         WAL          `yaml:"wal"`
	Relay       Relay        `yaml:"relay"`
}

// loader loads one configuration. After a mistake it goes on with everything that does not depend on it.
type loader struct {
	dir      string // where relative paths start
	doc      document
	walker   walker
	c        *Config
	problems Problems
	warnings Problems
	notes    Problems
	files    []namedFile
	secrets  []string
	bad      map[string]bool // own blocks with mistakes
}

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{Line: line, Text: fmt.Sprintf(format, args...)})
}

func (l *loader) warn(line int, format string, args ...any) {
	l.warnings = append(l.warnings, Problem{Line: line, Text: fmt.Sprintf(format, args...)})
}

// FileError holds the problems of a configuration file.
type FileError struct {
	Path string
	Err  error // Problems, mostly

	partly *Config // the parts of the file that could be read; nil for none
}

// Examine is Config.Examine for the parts of the file that could be read.
func (e *FileError) Examine(files bool) Problems {
	if e.partly == nil {
		return nil
	}
	return e.partly.Examine(files)
}

func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the problems.
func (e *FileError) Unwrap() error { return e.Err }

// LoadFile reads the configuration file at path. Relative paths in it start at its directory. If the file can be read and is not valid, the
// error is a FileError.
func LoadFile(path string) (*Config, error) { return LoadFileFollowing(path, nil) }

// LoadText is LoadFile for a text that was read before. The path is that of errors, and its directory that of relative paths.
func LoadText(path string, text []byte) (*Config, error) {
	c, err := read(text, filepath.Dir(path), nil)
	if err != nil {
		return nil, &FileError{path, err, c}
	}
	return c, nil
}

// Load reads a configuration. Relative paths in it start at dir. Its errors show no secrets.
func Load(text []byte, dir string) (*Config, error) {
	c, err := read(text, dir, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// read is Load, with the block monitors of an object that the file follows. With an error, it also returns the parts that it could read.
func read(text []byte, dir string, monitors *yaml.Node) (*Config, error) {
	doc, err := parse(text)
	if err != nil {
		return nil, err
	}
	l := &loader{dir: dir, doc: doc, walker: walker{dir: dir}, c: &Config{doc: doc}, secrets: secretsOf(doc.root), bad: map[string]bool{}}
	cfg, err := loadText(doc)
	doc.follow(monitors)
	l.walkBlocks(err == nil)
	if err == nil {
		l.accept(cfg)
	} else {
		l.explain(err)
	}
	l.loadOwn()
	c := l.c
	if c.Prometheus != nil {
		for i, rw := range c.Prometheus.RemoteWriteConfigs {
			c.Destinations = append(c.Destinations, newDestination(rw, doc.get("remote_write", i)))
		}
		c.setPaths(dir)
		l.setDefaults()
		l.addExternalLabels()
		l.validate()
	}
	l.warnAll()
	return l.result()
}

// result returns the configuration, and all mistakes in it as the error.
func (l *loader) result() (*Config, error) {
	c := l.c
	// Short secrets are left out, because they may occur inside words of messages. No message of this package quotes the value of a secret
	// key.
	c.redactor = redact.New(slices.DeleteFunc(l.secrets, func(s string) bool { return len(s) < 8 })...)
	problems := slices.Concat(l.problems, l.walker.mistakes, l.walker.findings).ordered(c.redactor)
	c.named = slices.Concat(l.walker.files, l.files)
	c.warnings, c.notes = slices.Concat(l.warnings, l.walker.doubts).ordered(c.redactor), l.notes.ordered(c.redactor)
	c.Warnings = c.warnings.Strings()
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

// walkBlocks finds mistakes by comparing the blocks with their types. It skips this for Prometheus's blocks if its loader has accepted
// them.
func (l *loader) walkBlocks(accepted bool) {
	if l.doc.root == nil {
		return
	}
	known := keys{of: map[string]reflect.Type{}}
	known.merge(keysOf(reflect.TypeFor[promconfig.Config](), yamlTags))
	known.merge(keysOf(reflect.TypeFor[own](), yamlTags))
	seen := map[string]bool{}
	for i := 0; i+1 < len(l.doc.root.Content); i += 2 {
		key, value := l.doc.root.Content[i], l.doc.root.Content[i+1]
		reason, no := refused[key.Value]
		before := len(l.walker.mistakes)
		l.walker.trusting = accepted && isPrometheus(key.Value)
		switch t := known.find(key.Value); {
		case t == nil:
			l.problem(key.Line, "unknown key %q%s", key.Value, topSuggestion(key.Value))
		case seen[key.Value]:
			l.problem(key.Line, "key %q stands twice", key.Value)
		case no && nonEmpty(value):
			l.problem(key.Line, "%s: is refused: %s", key.Value, reason)
		case !no:
			l.walker.walk(value, t, place{by: yamlTags}.under(key.Value))
		}
		seen[key.Value] = true
		if found := l.walker.mistakes[before:]; len(found) > 0 && !isPrometheus(key.Value) {
			l.problems = append(l.problems, found...)
			l.walker.mistakes = l.walker.mistakes[:before]
			l.bad[key.Value] = true
		}
	}
}

// topSuggestion suggests a top-level key that the user may have meant.
func topSuggestion(key string) string {
	known := append(slices.Clone(prometheusKeys), ownKeys...)
	if s := Suggest(key, slices.Clone(known)); s != "" {
		return s
	}
	return "; known are " + strings.Join(known, ", ")
}

// loadOwn reads the relay's own blocks. It leaves out those with mistakes.
func (l *loader) loadOwn() {
	o := own{Scrape: DefaultScrape, Relay: DefaultRelay}
	blocks := reflect.ValueOf(&o).Elem()
	for i := range blocks.NumField() {
		key := blocks.Type().Field(i).Tag.Get("yaml")
		node := find(l.doc.root, key)
		switch {
		case node == nil || l.bad[key]:
		default:
			if err := node.Decode(blocks.Field(i).Addr().Interface()); err != nil {
				l.problem(node.Line, "%s: %s", key, readable(err))
				blocks.Field(i).SetZero()
			}
		}
	}
	c := l.c
	c.Kubernetes, c.Monitors, c.Nodes, c.NodeMode, c.Annotations, c.Manifests, c.Scrape, c.WAL, c.Relay = o.Kubernetes, o.Monitors, o.Nodes, o.NodeMode, o.Annotations, o.Manifests, o.Scrape, o.WAL, o.Relay
}

// secretsOf returns the values of keys that hold secrets, and the secret parts of URLs.
func secretsOf(n *yaml.Node) (out []string) {
	n = resolved(n)
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "://") {
		return redact.URLSecrets(n.Value)
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value != "key" && redact.Name(n.Content[i-1].Value) {
			out = append(out, secretScalars(c)...)
		}
		out = append(out, secretsOf(c)...)
	}
	return out
}

// secretScalars returns the value of a secret key, or the values if it is a list. It leaves out what a block below the key holds.
func secretScalars(n *yaml.Node) (out []string) {
	n = resolved(n)
	switch {
	case n.Kind == yaml.ScalarNode && !isNull(n):
		return []string{n.Value}
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			out = append(out, secretScalars(c)...)
		}
	}
	return out
}
