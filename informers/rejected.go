package informers

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
	if w.node == "" && next.reported.first(m, next.reason) { // the central relay reports it once for all Nodes
		w.backend.Rejected(reference(objects.OfKind(owner.Kind), m), next.reason)
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

// maxReasons is how many reasons are reported for one generation of a monitor.
const maxReasons = 10

// reported holds the reasons for a monitor's rejection that its users already got.
type reported struct {
	uid        types.UID
	generation int64
	reasons    []string
}

// first reports whether a reason was not reported yet, and notes that it is now.
func (r *reported) first(m metav1.Object, reason string) bool {
	if r.uid != m.GetUID() || r.generation != m.GetGeneration() {
		*r = reported{uid: m.GetUID(), generation: m.GetGeneration()}
	}
	if len(r.reasons) >= maxReasons || slices.Contains(r.reasons, reason) {
		return false
	}
	r.reasons = append(r.reasons, reason)
	return true
}

// reference names a monitor as Events do.
func reference(r *objects.Resource, m metav1.Object) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: r.GroupVersion(), Kind: string(r.Kind), Namespace: m.GetNamespace(), Name: m.GetName(),
		UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
	}
}
