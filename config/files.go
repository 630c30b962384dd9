package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v3"
)

// namedFile is a file that a configuration names.
type namedFile struct {
	Problem          // where it is named; Text is the path of keys
	path      string // as the relay would open it
	isDir     bool
	isGlob    bool // path may be a pattern
	hasGroups bool // it holds target groups
}

// written are the keys of files that the relay writes.
var written = []string{"scrape_failure_log_file", "query_log_file", "scrapeFailureLogFile"}

// idle are the blocks whose files the relay does not open.
var idle = []string{"alerting", "rule_files", "remote_read", "storage", "tracing", "otlp"}

// noteFile keeps the path of a file if the node names one.
func (w *walker) noteFile(n *yaml.Node, at place) {
	f := namedFile{Problem: Problem{File: w.file, Line: n.Line, Text: at.text}, path: config_util.JoinDir(w.dir, n.Value)}
	if strings.HasPrefix(at.text, "monitors.") || strings.Contains(at.text, "google_iam") { // these start at the working directory
		f.path = n.Value
	}
	inList := strings.HasSuffix(at.text, "]")
	switch {
	case slices.Contains(written, at.key) || slices.ContainsFunc(idle, func(b string) bool { return strings.HasPrefix(at.text, b) }):
		return
	case strings.HasSuffix(at.key, "_file"), at.by == jsonTags && strings.HasSuffix(at.key, "File"), at.key == "kubeconfig":
	case at.key == "scrape_config_files" && inList:
		f.isGlob = true
	case at.key == "files" && inList:
		f.hasGroups = strings.Contains(at.text, "file_sd_configs")
		f.isGlob = f.hasGroups
	case at.text == "manifests.directory":
		f.isDir = true
	default:
		return
	}
	w.files = append(w.files, f)
}

// fileProblems checks the files that the configuration names.
func (c *Config) fileProblems() (out Problems) {
	for _, f := range c.named {
		for _, why := range f.look() {
			out = append(out, Problem{File: f.File, Line: f.Line, Text: f.Text + ": " + why})
		}
	}
	return out
}

// look returns what is wrong with a file, or with each file that a pattern matches.
func (f namedFile) look() (out []string) {
	paths := []string{f.path}
	if f.isGlob {
		found, err := filepath.Glob(f.path)
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", f.path, err)}
		}
		if len(found) == 0 {
			return []string{f.path + ": there is no such file"}
		}
		paths = found
	}
	for _, path := range paths {
		text, why := readNamed(path, f.isDir)
		if why == "" && f.hasGroups {
			why = badGroups(text)
		}
		if why != "" {
			out = append(out, path+": "+why)
		}
	}
	return out
}

// readNamed reads a file, or returns why it cannot be read.
func readNamed(path string, isDir bool) (text []byte, why string) {
	info, err := os.Stat(path)
	switch {
	case err == nil && isDir && !info.IsDir():
		return nil, "it is a file, want a directory"
	case err == nil && isDir:
		_, err = os.ReadDir(path)
	case err == nil && info.IsDir():
		return nil, "it is a directory, want a file"
	case err == nil && !info.Mode().IsRegular(): // reading it may block for ever
		return nil, "it is no regular file"
	case err == nil:
		text, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return nil, "it may not be read"
	case err != nil:
		return nil, cause(err).Error()
	}
	return text, ""
}

// cause removes the path from an error of package os.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// badGroups returns what is wrong with a file of target groups, which is YAML or JSON.
func badGroups(text []byte) string {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return readable(err).Error()
	}
	if len(node.Content) == 0 {
		return ""
	}
	if budget := maxNodes; !countable(node.Content[0], &budget) {
		return errTooLarge.Error()
	}
	var w walker
	w.walk(node.Content[0], reflect.TypeFor[[]*targetgroup.Group](), place{text: "target groups", by: yamlTags})
	return w.mistakes.ordered(nil).Error()
}
