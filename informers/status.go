package informers

import (
	"cmp"
	"slices"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// monitorState is what the worker knows of a monitor.
type monitorState struct {
	state  targets.State
	reason string
	mend   string        // what to change if it is not accepted
	refs   []targets.Ref // also those of the last good version

	lastGood bool     // the jobs are those of the last good version
	unknown  []string // unknown fields of one from an API server
}

// Monitors returns the states of all monitors and blocks, sorted by kind, namespace and name.
func (d *Discovery) Monitors() []targets.MonitorStatus {
	out := d.statuses()
	d.explain(out)
	return out
}

func (d *Discovery) statuses() []targets.MonitorStatus {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	var out []targets.MonitorStatus
	for owner := range d.state.blocks {
		out = append(out, targets.MonitorStatus{Owner: owner, State: targets.Accepted, Jobs: d.jobs(owner)})
	}
	for owner, m := range d.state.monitors {
		out = append(out, targets.MonitorStatus{Owner: owner, State: m.state, Reason: m.reason, Mend: m.mend, LastGood: m.lastGood, Jobs: d.jobs(owner), Unknown: d.unknownFields(owner)})
	}
	slices.SortFunc(out, func(a, b targets.MonitorStatus) int {
		return cmp.Or(cmp.Compare(a.Owner.Kind, b.Owner.Kind), cmp.Compare(a.Owner.Namespace, b.Owner.Namespace), cmp.Compare(a.Owner.Name, b.Owner.Name))
	})
	return out
}

func (d *Discovery) jobs(owner targets.Owner) []targets.JobStatus {
	var out []targets.JobStatus
	remarks := d.unknownFields(owner)
	for _, j := range d.state.set.Jobs(owner) {
		s := targets.JobStatus{Job: j, Count: d.state.set.Count(j.Name), Problems: d.external.Problems(j.Name), Notes: slices.Concat(remarks, j.Notes, d.state.set.DuplicateNotes(j.Name), d.collisionNotes(j), d.tokenNotes(j), d.portNotes(j))}
		if s.Elsewhere = d.state.set.Elsewhere(j.Name); s.Count > 0 {
			s.Notes = append(s.Notes, elsewhereNotes(s.Elsewhere)...)
		}
		for _, drop := range d.state.set.Dropped(j.Name) {
			s.Dropped = append(s.Dropped, drop.Shown(j))
		}
		out = append(out, s)
	}
	return out
}

// unknownFields returns a sentence for each unknown field of a monitor.
func (d *Discovery) unknownFields(owner targets.Owner) []string {
	if dir := d.directory(); dir != nil && owner.Namespace != "" {
		return dir.UnknownFields(objects.OfKind(owner.Kind), owner.Namespace+"/"+owner.Name)
	}
	if m := d.state.monitors[owner]; m != nil {
		return m.unknown
	}
	return nil
}

// Off returns the wanted resources whose changes do not arrive, by name, and why. If the API server does not answer, one entry
// replaces those of all its resources.
func (d *Discovery) Off() map[string]string {
	out := map[string]string{}
	outage := d.outage.Line()
	if outage != "" {
		out["API server"] = outage
	}
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	if d.state.ownNode != "" {
		out["node mode"] = d.state.ownNode
	}
	for name, w := range d.watched {
		if why := w.why(); why != "" && why != notBegun && (outage == "" || !w.isAway()) {
			out[name] = why
		}
	}
	return out
}

// Watches returns the states of all resources that the relay may watch, sorted by name. It is empty without a cluster and manifests.
func (d *Discovery) Watches() []targets.Watch {
	if d.backend == nil {
		return nil
	}
	out := make([]targets.Watch, 0, len(d.watched))
	for _, w := range d.watched {
		out = append(out, w.status())
	}
	slices.SortFunc(out, func(a, b targets.Watch) int { return cmp.Compare(a.Resource, b.Resource) })
	return out
}
