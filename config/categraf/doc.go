// Package categraf turns categraf's files into a configuration of the relay. It reads config.toml, prometheus.toml, the plugins' files and
// the scrape files of the embedded agent, also inside ConfigMaps. Its report names every key that it translates, that means something
// else here, or that has no counterpart, with file and line.
//
// The rules of categraf are those of v0.3.82. A plugin's own labels take precedence over the page's; [global.labels] and agent_hostname are
// added where a series has no such label; ignore_metrics matches names of families; le and quantile are written as Go prints numbers.
package categraf

import (
	"errors"
	"fmt"
	"io/fs"
)

// Labels says which labels the series of the plugin's pages get.
type Labels string

// The two ways.
const (
	// Same gives the labels that categraf gives.
	Same Labels = "same"
	// KubePrometheus gives the labels of kube-prometheus's dashboards.
	KubePrometheus Labels = "kube-prometheus"
)

// Result is what a migration gives.
type Result struct {
	Config []byte // the configuration, as YAML
	Report Report
}

// Migrate reads all files of a tree and translates them. Its error says that the tree cannot be read, or has nothing of categraf.
func Migrate(tree fs.FS, l Labels) (*Result, error) {
	if l != Same && l != KubePrometheus {
		return nil, fmt.Errorf("labels %q: want %s or %s", l, Same, KubePrometheus)
	}
	t := &translation{labels: l}
	all, err := t.read(tree)
	if err != nil {
		return nil, err
	}
	for _, i := range t.installations(all) {
		t.installation(i)
	}
	if len(t.pages) == 0 && len(t.scrapeFiles) == 0 && len(t.remotes) == 0 {
		return nil, errors.Join(t.report.unread(), fmt.Errorf("found nothing of categraf in %d files: want config.toml, prometheus.toml, input.prometheus/*.toml or a scrape file, or ConfigMaps with them", len(all.files)))
	}
	text, err := t.configuration()
	if err != nil {
		return nil, err
	}
	return &Result{Config: text, Report: t.report.sorted()}, nil
}

// translation collects what is found.
type translation struct {
	labels      Labels
	report      Report
	pages       []*page       // URLs of the plugins
	scrapeFiles []*scrapeFile // files of the embedded agent
	remotes     []*remote     // where samples go
}
