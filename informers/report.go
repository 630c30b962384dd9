package informers

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"

	"promrelay/targets"
)

// Report is what discovery makes of all monitors and blocks, as a person or another program reads it.
type Report struct {
	Monitors []ReportedMonitor `json:"monitors"`
	Problems []string          `json:"problems,omitempty"` // of the files that the objects come from
}

// ReportedMonitor is a monitor, or a block of the configuration.
type ReportedMonitor struct {
	Kind      targets.Kind  `json:"kind"`
	Namespace string        `json:"namespace,omitempty"`
	Name      string        `json:"name,omitempty"`
	State     State         `json:"state"`
	Reason    string        `json:"reason,omitempty"` // empty if accepted
	Jobs      []ReportedJob `json:"jobs,omitempty"`
	Why       string        `json:"why,omitempty"` // why an accepted one has no targets
}

// ReportedJob is one job.
type ReportedJob struct {
	Name string `json:"name"`
	// Config is the scrape configuration as YAML. It has no service discovery but what the cluster does not give.
	Config  string           `json:"config"`
	Targets []ReportedTarget `json:"targets"`
	Dropped []ReportedDrop   `json:"dropped,omitempty"`
	Notes   []string         `json:"notes,omitempty"`
	Why     string           `json:"why,omitempty"` // why it has no targets
}

// ReportedTarget is one target.
type ReportedTarget struct {
	URL        string            `json:"url"`
	Labels     map[string]string `json:"labels"` // also those that begin with "__"
	Discovered map[string]string `json:"discovered_labels"`
	Interval   string            `json:"scrape_interval"`
	Timeout    string            `json:"scrape_timeout"`
}

// Public writes the labels that the target's series bear.
func (t ReportedTarget) Public() string {
	b := labels.NewBuilder(labels.FromMap(t.Labels))
	for name := range t.Labels {
		if strings.HasPrefix(name, model.ReservedLabelPrefix) {
			b.Del(name)
		}
	}
	return b.Labels().String()
}

// ReportedDrop is a target that the job's rules do not let by.
type ReportedDrop struct {
	Discovered map[string]string `json:"discovered_labels"`
	Reason     string            `json:"reason"`
}

// Report tells of everything as it is now.
func (d *Discovery) Report() (Report, error) {
	r := Report{Monitors: []ReportedMonitor{}}
	for _, m := range d.Monitors() {
		out := ReportedMonitor{Kind: m.Owner.Kind, Namespace: m.Owner.Namespace, Name: m.Owner.Name, State: m.State, Reason: m.Reason, Why: m.Why}
		for _, j := range m.Jobs {
			text, err := yaml.Marshal(j.Job.Config)
			if err != nil {
				return r, fmt.Errorf("report job %s: %w", j.Job.Name, err)
			}
			job := ReportedJob{Name: j.Job.Name, Config: string(text), Targets: []ReportedTarget{}, Notes: j.Notes, Why: j.Why}
			for _, t := range d.targets(j.Job.Name) {
				job.Targets = append(job.Targets, ReportedTarget{
					URL: t.ShownURL(), Labels: targets.ShownLabels(t.Labels).Map(), Discovered: targets.ShownLabels(t.Discovered()).Map(),
					Interval: model.Duration(t.Interval).String(), Timeout: model.Duration(t.Timeout).String(),
				})
			}
			for _, drop := range j.Dropped {
				job.Dropped = append(job.Dropped, ReportedDrop{Discovered: drop.Discovered, Reason: drop.Reason})
			}
			out.Jobs = append(out.Jobs, job)
		}
		r.Monitors = append(r.Monitors, out)
	}
	return r, nil
}

func (d *Discovery) targets(job string) []*targets.Target {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.set.Targets(job)
}

// Settled tells whether all that was there when Run began is worked off: objects are listed, Secrets read, and targets
// told, so that a Report is complete but for what service discovery outside of the cluster takes its time to find.
func (d *Discovery) Settled() bool {
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	n := d.notes
	return d.complete && !d.busy && len(n.objects) == 0 && len(n.refs) == 0 && n.plan == nil && !n.external
}

// finish notes that the worker has worked off what it took.
func (d *Discovery) finish() {
	complete := d.applied
	for _, w := range d.watched {
		complete = complete && (w.stop == nil || w.ready())
	}
	if d.settings != nil { // a kind may be listed by now and not have been when it was looked at
		for _, kind := range targets.Kinds {
			complete = complete && d.kinds[kind]
		}
	}
	for _, s := range d.sources {
		complete = complete && (s.builder == nil || s.built)
	}
	for _, m := range d.monitors {
		complete = complete && m.state != Pending
	}
	d.first.set(d.unlisted())
	d.notesMu.Lock()
	d.busy, d.complete = false, complete
	d.notesMu.Unlock()
}
