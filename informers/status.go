package informers

import (
	"cmp"
	"slices"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// State is the state of a monitor.
type State string

// The states of monitors.
const (
	Accepted   State = "accepted"
	Pending    State = "pending"      // waits for a Secret or ConfigMap to be read
	Rejected   State = "rejected"     // cannot be translated
	Unselected State = "not selected" // the configuration does not want it
)

// MonitorStatus is the state of a monitor, or of a block of the configuration.
type MonitorStatus struct {
	Owner  targets.Owner
	State  State
	Reason string // empty if accepted
	// LastGood means that a rejected monitor has the jobs of its last good version.
	LastGood bool
	Jobs     []JobStatus
	// Why says why an accepted one has no targets. It is empty if it has some.
	Why string
}

// JobStatus is what discovery knows of a job.
type JobStatus struct {
	Job     *targets.Job
	Targets int // how many it has
	Dropped []Dropped
	// Why says why a job of an accepted monitor has no targets. It is empty if it has some.
	Why string
	// Notes explain what may surprise a user: notes of the job, and what other jobs and objects add.
	Notes []string
	// Problems say which service discovery of the job fails at the moment, and why.
	Problems []string
}

// Dropped is a target that a job's rules drop.
type Dropped struct {
	Discovered map[string]string
	Reason     string
	// ByPort means that its port is not the one that a field of the monitor names.
	ByPort bool
}

// monitorState is what the worker knows of a monitor.
type monitorState struct {
	state  State
	reason string
	refs   []targets.Ref // also those of the last good version

	lastGood bool // the jobs are those of the last good version
	reported reported
	unknown  []string // unknown fields of one from an API server
}

// Monitors returns the states of all monitors and blocks, sorted by kind, namespace and name.
func (d *Discovery) Monitors() []MonitorStatus {
	out := d.statuses()
	d.explain(out)
	return out
}

func (d *Discovery) statuses() []MonitorStatus {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	var out []MonitorStatus
	for owner := range d.state.blocks {
		out = append(out, MonitorStatus{Owner: owner, State: Accepted, Jobs: d.jobs(owner)})
	}
	for owner, m := range d.state.monitors {
		out = append(out, MonitorStatus{Owner: owner, State: m.state, Reason: m.reason, LastGood: m.lastGood, Jobs: d.jobs(owner)})
	}
	slices.SortFunc(out, func(a, b MonitorStatus) int {
		return cmp.Or(cmp.Compare(a.Owner.Kind, b.Owner.Kind), cmp.Compare(a.Owner.Namespace, b.Owner.Namespace), cmp.Compare(a.Owner.Name, b.Owner.Name))
	})
	return out
}

func (d *Discovery) jobs(owner targets.Owner) []JobStatus {
	var out []JobStatus
	var remarks []string
	if m := d.state.monitors[owner]; m != nil {
		remarks = m.unknown
	}
	if dir := d.directory(); dir != nil && owner.Namespace != "" {
		remarks = dir.UnknownFields(objects.OfKind(owner.Kind), owner.Namespace+"/"+owner.Name)
	}
	for _, j := range d.state.set.Jobs(owner) {
		s := JobStatus{Job: j, Targets: d.state.set.Count(j.Name), Problems: d.external.Problems(j.Name), Notes: slices.Concat(remarks, j.Notes, d.state.set.DuplicateNotes(j.Name), d.collisionNotes(j), d.tokenNotes(j), d.portNotes(j))}
		for _, drop := range d.state.set.Dropped(j.Name) {
			s.Dropped = append(s.Dropped, Dropped{Discovered: targets.ShownLabels(d.state.set.Discovered(j.Name, drop)).Map(), Reason: drop.Reason(j), ByPort: drop.ByPort(j)})
		}
		out = append(out, s)
	}
	return out
}

// Off returns the resources that are wanted and whose changes do not arrive, by name, and why. An API server that does not answer is
// one entry, in place of all of its resources.
func (d *Discovery) Off() map[string]string {
	out := map[string]string{}
	outage := d.outage.Line()
	if outage != "" {
		out["API server"] = outage
	}
	for name, w := range d.watched {
		if why := w.why(); why != "" && why != notBegun && (outage == "" || !w.isAway()) {
			out[name] = why
		}
	}
	return out
}
