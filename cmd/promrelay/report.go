package main

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"

	"promrelay/informers"
	"promrelay/targets"
)

// report is what discovery makes of all monitors and blocks, for a person or another program.
type report struct {
	Monitors []reportedMonitor `json:"monitors"`
	Problems []string          `json:"problems,omitempty"` // of the files that the objects come from
}

// reportedMonitor is a monitor, or a block of the configuration.
type reportedMonitor struct {
	Kind      targets.Kind    `json:"kind"`
	Namespace string          `json:"namespace,omitempty"`
	Name      string          `json:"name,omitempty"`
	State     informers.State `json:"state"`
	Reason    string          `json:"reason,omitempty"` // empty if accepted
	Jobs      []reportedJob   `json:"jobs,omitempty"`
	Why       string          `json:"why,omitempty"` // why an accepted one has no targets
}

// reportedJob is one job.
type reportedJob struct {
	Name string `json:"name"`
	// Config is the scrape configuration as YAML. Of service discovery it has only what is not of the cluster.
	Config  string           `json:"config"`
	Targets []reportedTarget `json:"targets"`
	Dropped []reportedDrop   `json:"dropped,omitempty"`
	Notes   []string         `json:"notes,omitempty"`
	Why     string           `json:"why,omitempty"` // why it has no targets
}

// reportedTarget is one target.
type reportedTarget struct {
	URL        string            `json:"url"`
	Labels     map[string]string `json:"labels"` // also those that begin with "__"
	Discovered map[string]string `json:"discovered_labels"`
	Interval   string            `json:"scrape_interval"`
	Timeout    string            `json:"scrape_timeout"`
}

// public returns the labels of the target's series.
func (t reportedTarget) public() string {
	b := labels.NewBuilder(labels.FromMap(t.Labels))
	for name := range t.Labels {
		if strings.HasPrefix(name, model.ReservedLabelPrefix) {
			b.Del(name)
		}
	}
	return b.Labels().String()
}

// reportedDrop is a target that the job's rules drop.
type reportedDrop struct {
	Discovered map[string]string `json:"discovered_labels"`
	Reason     string            `json:"reason"`
}

// newReport reports everything as it is now.
func newReport(d *informers.Discovery) (report, error) {
	r := report{Monitors: []reportedMonitor{}}
	for _, m := range d.Monitors() {
		out := reportedMonitor{Kind: m.Owner.Kind, Namespace: m.Owner.Namespace, Name: m.Owner.Name, State: m.State, Reason: m.Reason, Why: m.Why}
		for _, j := range m.Jobs {
			text, err := yaml.Marshal(j.Job.Config)
			if err != nil {
				return r, fmt.Errorf("report job %s: %w", j.Job.Name, err)
			}
			job := reportedJob{Name: j.Job.Name, Config: string(text), Targets: []reportedTarget{}, Notes: j.Notes, Why: j.Why}
			for _, t := range d.Targets(j.Job.Name) {
				job.Targets = append(job.Targets, reportedTarget{
					URL: t.ShownURL(), Labels: targets.ShownLabels(t.Labels).Map(), Discovered: targets.ShownLabels(t.Discovered()).Map(),
					Interval: model.Duration(t.Interval).String(), Timeout: model.Duration(t.Timeout).String(),
				})
			}
			for _, drop := range j.Dropped {
				job.Dropped = append(job.Dropped, reportedDrop{Discovered: drop.Discovered, Reason: drop.Reason})
			}
			out.Jobs = append(out.Jobs, job)
		}
		r.Monitors = append(r.Monitors, out)
	}
	return r, nil
}
