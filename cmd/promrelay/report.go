package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"

	"promrelay/informers"
	"promrelay/targets"
)

// report holds the results of discovery for all monitors and blocks. Its fields are the output of --output=json.
type (
	report struct {
		Monitors []reportMonitor `json:"monitors"`
		Problems []string        `json:"problems,omitempty"` // of the files or the cluster that the objects come from
	}
	// reportMonitor is a monitor, or a block of the configuration.
	reportMonitor struct {
		Kind      targets.Kind  `json:"kind"`
		Namespace string        `json:"namespace,omitempty"`
		Name      string        `json:"name,omitempty"`
		State     targets.State `json:"state"`
		Reason    string        `json:"reason,omitempty"` // empty if accepted
		Jobs      []reportJob   `json:"jobs,omitempty"`
		Why       string        `json:"why,omitempty"` // why an accepted one has no targets
	}
	reportJob struct {
		Name string `json:"name"`
		// Config is the scrape configuration as YAML. It has only service discovery other than the cluster's. A running relay does not
		// tell it.
		Config  string          `json:"config,omitempty"`
		Targets []reportTarget  `json:"targets"`
		Dropped []reportDropped `json:"dropped,omitempty"`
		Notes   []string        `json:"notes,omitempty"`
		Why     string          `json:"why,omitempty"` // why it has no targets

		unasked bool // it has targets in node mode, or asks a service discovery that is not asked here
		dropped int  // how many targets are dropped, also those that are not listed
	}
	reportTarget struct {
		URL        string            `json:"url"`
		Labels     map[string]string `json:"labels"` // also those that begin with "__"; a running relay does not tell these
		Discovered map[string]string `json:"discovered_labels"`
		Interval   string            `json:"scrape_interval"`
		Timeout    string            `json:"scrape_timeout"`
		// Health, LastError and LastScrape are those of a running relay.
		Health     string     `json:"health,omitempty"`
		LastError  string     `json:"last_error,omitempty"`
		LastScrape *time.Time `json:"last_scrape,omitempty"`
	}
	// reportDropped is a target that the job's rules drop.
	reportDropped struct {
		Discovered map[string]string `json:"discovered_labels"`
		Reason     string            `json:"reason"`
	}
)

// newReport reports everything as it is now.
func newReport(d *informers.Discovery) (report, error) {
	r := report{Monitors: []reportMonitor{}}
	for _, m := range d.Monitors() {
		rm := reportMonitor{Kind: m.Owner.Kind, Namespace: m.Owner.Namespace, Name: m.Owner.Name, State: m.State, Reason: m.Reason, Why: m.Why}
		for i := range m.Jobs {
			j, err := newReportJob(&m.Jobs[i], d.Targets(m.Jobs[i].Job.Name))
			if err != nil {
				return r, err
			}
			rm.Jobs = append(rm.Jobs, j)
		}
		r.Monitors = append(r.Monitors, rm)
	}
	off := d.Off()
	for _, what := range slices.Sorted(maps.Keys(off)) {
		r.Problems = append(r.Problems, what+": "+off[what])
	}
	return r, nil
}

func newReportJob(j *targets.JobStatus, all []*targets.Target) (reportJob, error) {
	text, err := yaml.Marshal(j.Job.Config)
	if err != nil {
		return reportJob{}, fmt.Errorf("report job %s: %w", j.Job.Name, err)
	}
	out := reportJob{
		Name: j.Job.Name, Config: string(text), Targets: []reportTarget{}, Notes: j.Notes, Why: j.Why,
		unasked: len(j.Job.Config.ServiceDiscoveryConfigs) > 0 || j.Elsewhere > 0, dropped: len(j.Dropped),
	}
	for _, t := range all {
		out.Targets = append(out.Targets, reportTarget{
			URL: t.ShownURL(), Labels: targets.ShownLabels(t.Labels).Map(), Discovered: targets.ShownLabels(t.Discovered()).Map(),
			Interval: model.Duration(t.Interval).String(), Timeout: model.Duration(t.Timeout).String(),
		})
	}
	for _, d := range j.Dropped {
		out.Dropped = append(out.Dropped, reportDropped{Discovered: d.Discovered, Reason: d.Reason})
	}
	return out, nil
}

// owner names the monitor or block.
func (m *reportMonitor) owner() string {
	return targets.Owner{Kind: m.Kind, Namespace: m.Namespace, Name: m.Name}.String()
}

// write writes the report for people.
func (r *report) write(out io.Writer) {
	for _, p := range r.Problems {
		fmt.Fprintf(out, "%s\n", p)
	}
	for i := range r.Monitors {
		m := &r.Monitors[i]
		fmt.Fprintf(out, "%s: %s", m.owner(), m.State)
		if m.Reason != "" {
			fmt.Fprintf(out, ": %s", m.Reason)
		}
		fmt.Fprintln(out)
		if m.Why != "" {
			fmt.Fprintf(out, "  no targets: %s\n", m.Why)
		}
		for n := range m.Jobs {
			m.Jobs[n].write(out, m.Why == "")
		}
	}
}

// write writes one job. Why says why the job has no targets. It is left out if the monitor shows the same
// reason.
func (j *reportJob) write(out io.Writer, why bool) {
	fmt.Fprintf(out, "  %s: %d targets, %d dropped\n", j.Name, len(j.Targets), j.dropped)
	if j.Why != "" && why {
		fmt.Fprintf(out, "    no targets: %s\n", j.Why)
	}
	for _, n := range j.Notes {
		fmt.Fprintf(out, "    note: %s\n", n)
	}
	for _, t := range j.Targets {
		fmt.Fprintf(out, "    %s every %s %s%s\n", t.URL, t.Interval, public(t.Labels), t.health())
	}
	for _, d := range j.Dropped {
		fmt.Fprintf(out, "    dropped %s: %s\n", d.Discovered[model.AddressLabel], d.Reason)
	}
	if more := j.dropped - len(j.Dropped); more > 0 {
		fmt.Fprintf(out, "    and %d more are dropped\n", more)
	}
}

// health is the state of the last scrape, if there was one.
func (t *reportTarget) health() string {
	switch {
	case t.Health == "":
		return ""
	case t.LastError != "":
		return " " + t.Health + ": " + t.LastError
	}
	return " " + t.Health
}

// public returns the labels of a target's series.
func public(all map[string]string) labels.Labels {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(name, _ string) bool { return len(name) > 1 && name[:2] == model.ReservedLabelPrefix })
	return labels.FromMap(out)
}
