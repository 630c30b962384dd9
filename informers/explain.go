package informers

import (
	"cmp"
	"slices"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// Explain says how far something gets on the way to the receivers: a monitor, a block of the configuration, a Node, a Service or the
// URL of a target. It does not delay the worker.
func (d *Discovery) Explain(s targets.Subject, live targets.Live) targets.Explanation {
	switch s.Kind {
	case targets.ServiceSubject:
		return targets.ExplainService(s, view{d.parts}, d.allEvidence(live))
	case targets.NodeSubject:
		return targets.ExplainNode(s, view{d.parts}, d.allEvidence(live))
	case targets.TargetSubject:
		return targets.ExplainTarget(s, d.allEvidence(live))
	}
	owner := targets.Owner{Kind: targets.Kind(s.Kind), Namespace: s.Namespace, Name: s.Name}
	status, found := d.status(owner)
	if !found {
		return d.missing(owner).Explain(s)
	}
	one := []targets.MonitorStatus{status}
	d.explain(one)
	return d.evidence(one[0], live).Explain()
}

// allEvidence is what is known of all monitors and blocks.
func (d *Discovery) allEvidence(live targets.Live) (out []targets.Evidence) {
	for _, m := range d.statuses() {
		out = append(out, d.evidence(m, live))
	}
	return out
}

// evidence is what is known of a monitor, whose status has its reasons.
func (d *Discovery) evidence(m targets.MonitorStatus, live targets.Live) targets.Evidence {
	return targets.Evidence{Status: m, Objects: view{d.parts}, Targets: d.Targets, Drops: d.drops, Live: live}
}

func (d *Discovery) drops(job string) []targets.Drop {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	return d.state.set.Dropped(job)
}

// status returns the state of one monitor or block, without why it has no targets.
func (d *Discovery) status(owner targets.Owner) (s targets.MonitorStatus, found bool) {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	if d.state.blocks[owner] {
		return targets.MonitorStatus{Owner: owner, State: targets.Accepted, Jobs: d.jobs(owner)}, true
	}
	m := d.state.monitors[owner]
	if m == nil {
		return s, false
	}
	return targets.MonitorStatus{Owner: owner, State: m.state, Reason: m.reason, Mend: m.mend, LastGood: m.lastGood, Jobs: d.jobs(owner), Unknown: d.unknownFields(owner)}, true
}

// missing is what is known when there is no such owner.
func (d *Discovery) missing(owner targets.Owner) targets.Missing {
	d.state.mu.RLock()
	m := targets.Missing{NoMonitors: d.state.settings == nil}
	for o := range d.state.monitors {
		m.Known = append(m.Known, o)
	}
	for o := range d.state.blocks {
		m.Known = append(m.Known, o)
	}
	d.state.mu.RUnlock()
	slices.SortFunc(m.Known, func(a, b targets.Owner) int { return cmp.Compare(a.String(), b.String()) })
	if r := objects.OfKind(owner.Kind); r != nil {
		switch w := d.watched[r.Name]; {
		case w.why() != "":
			m.Off = w.why()
		case !w.ready():
			m.Off = "they are not listed yet"
		}
		if only := d.only(); m.Off == "" && len(only) > 0 && !slices.Contains(only, owner.Namespace) {
			m.Off = "the relay does not look into namespace " + owner.Namespace + " (kubernetes.namespaces)"
		}
	}
	return m
}

// only are the namespaces that the relay is confined to; none means all.
func (d *Discovery) only() []string {
	if d.backend == nil {
		return nil
	}
	only, _ := d.backend.Namespaces()
	return only
}
