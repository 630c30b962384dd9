package main

import (
	"fmt"
	"io"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"promrelay/informers"
	"promrelay/targets"
)

// report holds the results of discovery for all monitors and blocks.
type report struct {
	monitors []targets.MonitorStatus
	targets  map[string][]*targets.Target // by job
	problems []string                     // of the files that the objects come from
}

// newReport reports everything as it is now.
func newReport(d *informers.Discovery) report {
	r := report{monitors: d.Monitors(), targets: map[string][]*targets.Target{}}
	for _, m := range r.monitors {
		for _, j := range m.Jobs {
			r.targets[j.Job.Name] = d.Targets(j.Job.Name)
		}
	}
	return r
}

// write writes the report for people.
func (r report) write(out io.Writer) {
	for _, p := range r.problems {
		fmt.Fprintf(out, "%s\n", p)
	}
	for _, m := range r.monitors {
		fmt.Fprintf(out, "%s: %s", m.Owner, m.State)
		if m.Reason != "" {
			fmt.Fprintf(out, ": %s", m.Reason)
		}
		fmt.Fprintln(out)
		if m.Why != "" {
			fmt.Fprintf(out, "  no targets: %s\n", m.Why)
		}
		for _, j := range m.Jobs {
			r.writeJob(out, j, m.Why == "")
		}
	}
}

// writeJob writes one job. Why says why the job has no targets. It is left out if the monitor shows the same
// reason.
func (r report) writeJob(out io.Writer, j targets.JobStatus, why bool) {
	all := r.targets[j.Job.Name]
	fmt.Fprintf(out, "  %s: %d targets, %d dropped\n", j.Job.Name, len(all), len(j.Dropped))
	if j.Why != "" && why {
		fmt.Fprintf(out, "    no targets: %s\n", j.Why)
	}
	for _, n := range j.Notes {
		fmt.Fprintf(out, "    note: %s\n", n)
	}
	for _, t := range all {
		fmt.Fprintf(out, "    %s every %s %s\n", t.ShownURL(), model.Duration(t.Interval), targets.ShownLabels(t.Public()))
	}
	for _, d := range j.Dropped {
		fmt.Fprintf(out, "    dropped %s: %s\n", d.Discovered["__address__"], d.Reason)
	}
}

// The output of --output=json.
type (
	jsonReport struct {
		Monitors []jsonMonitor `json:"monitors"`
		Problems []string      `json:"problems,omitempty"`
	}
	// jsonMonitor is a monitor, or a block of the configuration.
	jsonMonitor struct {
		Kind      targets.Kind  `json:"kind"`
		Namespace string        `json:"namespace,omitempty"`
		Name      string        `json:"name,omitempty"`
		State     targets.State `json:"state"`
		Reason    string        `json:"reason,omitempty"` // empty if accepted
		Jobs      []jsonJob     `json:"jobs,omitempty"`
		Why       string        `json:"why,omitempty"` // why an accepted one has no targets
	}
	jsonJob struct {
		Name string `json:"name"`
		// Config is the scrape configuration as YAML. It has only service discovery other than the cluster's.
		Config  string        `json:"config"`
		Targets []jsonTarget  `json:"targets"`
		Dropped []jsonDropped `json:"dropped,omitempty"`
		Notes   []string      `json:"notes,omitempty"`
		Why     string        `json:"why,omitempty"` // why it has no targets
	}
	jsonTarget struct {
		URL        string            `json:"url"`
		Labels     map[string]string `json:"labels"` // also those that begin with "__"
		Discovered map[string]string `json:"discovered_labels"`
		Interval   string            `json:"scrape_interval"`
		Timeout    string            `json:"scrape_timeout"`
	}
	// jsonDropped is a target that the job's rules drop.
	jsonDropped struct {
		Discovered map[string]string `json:"discovered_labels"`
		Reason     string            `json:"reason"`
	}
)

// json returns the report as --output=json writes it.
func (r report) json() (jsonReport, error) {
	out := jsonReport{Monitors: []jsonMonitor{}, Problems: r.problems}
	for _, m := range r.monitors {
		jm := jsonMonitor{Kind: m.Owner.Kind, Namespace: m.Owner.Namespace, Name: m.Owner.Name, State: m.State, Reason: m.Reason, Why: m.Why}
		for _, j := range m.Jobs {
			text, err := yaml.Marshal(j.Job.Config)
			if err != nil {
				return out, fmt.Errorf("report job %s: %w", j.Job.Name, err)
			}
			jj := jsonJob{Name: j.Job.Name, Config: string(text), Targets: []jsonTarget{}, Notes: j.Notes, Why: j.Why}
			for _, t := range r.targets[j.Job.Name] {
				jj.Targets = append(jj.Targets, jsonTarget{
					URL: t.ShownURL(), Labels: targets.ShownLabels(t.Labels).Map(), Discovered: targets.ShownLabels(t.Discovered()).Map(),
					Interval: model.Duration(t.Interval).String(), Timeout: model.Duration(t.Timeout).String(),
				})
			}
			for _, d := range j.Dropped {
				jj.Dropped = append(jj.Dropped, jsonDropped{Discovered: d.Discovered, Reason: d.Reason})
			}
			jm.Jobs = append(jm.Jobs, jj)
		}
		out.Monitors = append(out.Monitors, jm)
	}
	return out, nil
}
