package informers

import (
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// reject reports a rejected monitor to its users, once, and returns the jobs of its last good version. Pending means that these
// are not known yet. It sets next.lastGood, and adds to next.refs.
func (w *worker) reject(owner targets.Owner, obj any, next *monitorState) (jobs []*targets.Job, pending bool) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, false
	}
	if w.node == "" { // the central relay reports it once for all Nodes
		w.events.rejected(owner, m, next.reason, next.mend)
	}
	good := w.good.Find(owner, m)
	if good == nil || good == obj { // the good version is rejected now: a Secret has gone, or the settings have changed
		return nil, false
	}
	r := w.state.settings.Compile(good, w.refs.snapshot())
	for _, ref := range r.Refs {
		if !slices.Contains(next.refs, ref) {
			next.refs = append(next.refs, ref)
		}
	}
	if pending = errors.Is(r.Err, targets.ErrPending); pending {
		next.lastGood = len(w.state.set.Jobs(owner)) > 0
		return nil, true
	}
	next.lastGood = r.Err == nil
	return r.Jobs, false
}

// forgetGood forgets the last good version of a monitor that is gone or not selected any more. It keeps it while not all monitors, or
// namespaces, are known: the API server may only refuse to list them for a moment.
func (w *worker) forgetGood(owner targets.Owner, unselected bool) {
	if w.state.settings == nil || !w.watched[objects.OfKind(owner.Kind).Name].listed() {
		return
	}
	if unselected && w.state.settings.NeedsNamespaces() && !w.watched["namespaces"].listed() {
		return
	}
	w.good.Forget(owner)
}

// retainGood forgets the last good versions of monitors that were deleted unnoticed, for kinds that were just listed.
func (w *worker) retainGood(n notes, kinds []targets.Kind) {
	for o := range n.objects {
		if o.key == stateChange && o.resource.Kind != "" && w.loaded[o.resource.Kind] {
			kinds = append(kinds, o.resource.Kind)
		}
	}
	for _, kind := range kinds {
		watch := w.watched[objects.OfKind(kind).Name]
		if w.state.settings == nil || !watch.listed() {
			continue
		}
		var there []targets.Owner
		for _, key := range watch.keys() { // some may not have been compiled yet
			there = append(there, ownerOf(kind, key))
		}
		w.good.Retain(kind, there)
	}
}
