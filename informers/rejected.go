package informers

import (
	"errors"
	"slices"

	"promrelay/informers/guard"
	"promrelay/targets"
)

// reject tells of a rejected monitor, once, and returns the jobs of its last good version. Pending means that these are
// not known yet. It completes next.
func (d *Discovery) reject(owner targets.Owner, obj any, next *monitorState) (jobs []*targets.Job, pending bool) {
	m, err := metaOf(obj)
	if err != nil {
		return nil, false
	}
	if next.told.first(m, next.reason) {
		d.backend.rejected(reference(monitorResource(owner.Kind), m), next.reason)
	}
	good := d.good.Find(owner, m)
	if good == nil || good == obj { // what was good is now rejected: a Secret has gone, or the settings have changed
		return nil, false
	}
	r := d.settings.Compile(good, d.refs.snapshot())
	for _, ref := range r.Refs {
		if !slices.Contains(next.refs, ref) {
			next.refs = append(next.refs, ref)
		}
	}
	if pending = errors.Is(r.Err, targets.ErrPending); pending {
		next.lastGood = len(d.set.Jobs(owner)) > 0
		return nil, true
	}
	next.lastGood = r.Err == nil
	return r.Jobs, false
}

// compileAlone is compile; a panic in it rejects this monitor only.
func (d *Discovery) compileAlone(owner targets.Owner) (needy []*targets.Job) {
	err := d.guard.Call(guard.Monitor, owner.String(), func() { needy = d.compile(owner) })
	if err == nil {
		return needy
	}
	_ = d.guard.Call(guard.Monitor, owner.String(), func() {
		next := &monitorState{state: Rejected, reason: err.Error()}
		if old := d.monitors[owner]; old != nil {
			next.refs, next.told = old.refs, old.told
		}
		d.monitors[owner] = next
		d.replace(owner, nil)
	})
	return nil
}

// letGo forgets a monitor as it was when it was good, since it is gone, or not selected by what is known of namespaces. Not
// while the API server denies what it may grant in a moment, which looks alike.
func (d *Discovery) letGo(owner targets.Owner, unselected bool) {
	if d.settings == nil || !d.watched[monitorResource(owner.Kind).name].listed() {
		return
	}
	if unselected && d.settings.NeedsNamespaces() && !d.watched["namespaces"].listed() {
		return
	}
	d.good.Forget(owner)
}

// sweep forgets last good monitors that went while nobody looked, of kinds that have just been listed.
func (d *Discovery) sweep(n notes, kinds []targets.Kind) {
	for o := range n.objects {
		if o.key == stateChange && o.resource.kind != "" && d.kinds[o.resource.kind] {
			kinds = append(kinds, o.resource.kind)
		}
	}
	for _, kind := range kinds {
		w := d.watched[monitorResource(kind).name]
		if d.settings == nil || !w.listed() {
			continue
		}
		var there []targets.Owner
		for _, key := range w.keys() { // some may not have been compiled yet
			there = append(there, ownerOf(kind, key))
		}
		d.good.Retain(kind, there)
	}
}
