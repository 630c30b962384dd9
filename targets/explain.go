package targets

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/config/redact"
)

// Jobs returns the jobs of an owner.
func (s *Set) Jobs(owner Owner) []*Job {
	var out []*Job
	for _, name := range s.owners[owner] {
		out = append(out, s.jobs[name].job)
	}
	return out
}

// Targets returns the targets of a job as of the last Settle, sorted by URL.
func (s *Set) Targets(job string) []*Target {
	state := s.jobs[job]
	if state == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(state.live), func(a, b *Target) int { return strings.Compare(a.URL, b.URL) })
}

// Count returns the number of a job's targets as of the last Settle.
func (s *Set) Count(job string) int {
	if state := s.jobs[job]; state != nil {
		return len(state.live)
	}
	return 0
}

// Dropped returns the discovered targets that a job does not scrape although they match its selector.
func (s *Set) Dropped(job string) []Drop {
	state := s.jobs[job]
	if state == nil {
		return nil
	}
	var out []Drop
	for _, key := range slices.SortedFunc(maps.Keys(state.groups), compareKeys) {
		out = append(out, state.groups[key].dropped...)
	}
	return append(out, state.yielded...)
}

// Discovered returns the labels that a dropped target of a job had before relabelling.
func (d Drop) Discovered(j *Job) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	discovered(b, j.Config, d.Group.Targets[d.Index], d.Group.Labels)
	return b.Labels()
}

// Shown returns a dropped target of a job in the form in which it is shown.
func (d Drop) Shown(j *Job) Dropped {
	out := Dropped{Discovered: ShownLabels(d.Discovered(j)).Map(), Reason: d.Reason(j), ByPort: d.ByPort(j), Rule: d.Rule, Yielded: errors.As(d.Err, new(yieldError))}
	if d.Err == nil && d.Rule >= 0 && d.Rule < len(j.Config.RelabelConfigs) {
		out.Origin = j.Origin(d.Rule)
		if out.Origin.Own() {
			out.NeverSet = j.neverSet(d.Rule, out.Discovered)
		}
		if out.NeverSet.Why != "" {
			out.Reason += "; " + out.NeverSet.Why
		}
	}
	return out
}

// Reason explains why a target was dropped. It names the field of the job's owner and the values that its rule
// compared.
func (d Drop) Reason(j *Job) string {
	switch {
	case errors.Is(d.Err, errNoAddress) && j.Owner.Kind == NodesBlock:
		return noNodeAddress(d.Group.Labels[nodeNameLabel], d.Group.Targets[d.Index])
	case d.Err != nil:
		return d.Err.Error()
	case d.Rule < 0 || d.Rule >= len(j.Config.RelabelConfigs):
		return "no labels were left"
	}
	from, r := j.Origin(d.Rule), j.Config.RelabelConfigs[d.Rule]
	saw, other := d.saw(j)
	switch {
	case from.Want != "":
		return fmt.Sprintf("%s is %q: want %s", from.Field, saw, from.Want)
	case from.Port:
		return fmt.Sprintf("%s is %q, and %s", from.Field, from.Value, ofPort(string(r.SourceLabels[0]), saw))
	case r.Action == relabel.KeepEqual:
		return fmt.Sprintf("%s: %s; they are %q and %q", from, describe(r), saw, other)
	}
	return fmt.Sprintf("%s: %s; source value is %q", from, describe(r), saw)
}

// ByPort reports whether a target was dropped because it is not at the port that a field of its monitor names.
func (d Drop) ByPort(j *Job) bool {
	return d.Err == nil && d.Rule >= 0 && d.Rule < len(j.Config.RelabelConfigs) && j.Origin(d.Rule).Port
}

// String names the field, with its value where the rule was generated from it.
func (o Origin) String() string {
	if o.Value != "" {
		return o.Field + " is " + o.Value
	}
	return o.Field
}

// saw returns the values that the rule which dropped the target compared: of its source labels and of its target label.
func (d Drop) saw(j *Job) (source, target string) {
	b := labels.NewBuilder(labels.EmptyLabels())
	discovered(b, j.Config, d.Group.Targets[d.Index], d.Group.Labels)
	relabel.ProcessBuilder(b, j.Config.RelabelConfigs[:d.Rule]...)
	r := j.Config.RelabelConfigs[d.Rule]
	var values []string
	for _, n := range r.SourceLabels {
		values = append(values, redact.Param(string(n), b.Get(string(n))))
	}
	return strings.Join(values, r.Separator), redact.Param(r.TargetLabel, b.Get(r.TargetLabel))
}

// ofPort describes the port of a target, whose value for the label of discovery is v.
func ofPort(label, v string) string {
	container, number := strings.Contains(label, "_container_"), strings.HasSuffix(label, "_number")
	switch {
	case number && v == "":
		return "no container declares this port"
	case number:
		return "this container port is " + v
	case container && v == "":
		return "no container gives this port a name"
	case container:
		return fmt.Sprintf("this container port is called %q", v)
	case v == "":
		return "this port has no name"
	}
	return fmt.Sprintf("this port is called %q", v)
}

// describe says in one line what a rule that drops targets does.
func describe(r *relabel.Config) string {
	var from []string
	for _, n := range r.SourceLabels {
		from = append(from, string(n))
	}
	labels := strings.Join(from, r.Separator)
	switch r.Action {
	case relabel.KeepEqual, relabel.DropEqual:
		return fmt.Sprintf("%s where %s and %s are equal", r.Action, labels, r.TargetLabel)
	}
	return fmt.Sprintf("%s where %s matches %q", r.Action, labels, r.Regex.String())
}

// Reads reports whether the job's rules read the value or the presence of a label of discovery.
func (j *Job) Reads(label string) bool {
	present := strings.Replace(label, "_label_", "_labelpresent_", 1)
	for _, r := range j.Config.RelabelConfigs {
		switch {
		case slices.Contains(r.SourceLabels, model.LabelName(label)) || slices.Contains(r.SourceLabels, model.LabelName(present)):
			return true
		case r.Action == relabel.LabelMap && r.Regex.MatchString(label):
			return true
		}
	}
	return false
}
