package informers

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

const (
	lookOver  = 30 * time.Second // how often monitors are looked over for Events
	emptyFor  = 5 * time.Minute  // until users hear that a monitor has no targets: a rolling restart takes less
	wellFor   = time.Minute      // until users hear that a monitor is well again
	maxEvents = 100              // Events of one look over the monitors; the others wait for the next one
)

// maxReasons is how many reasons are reported for one generation of a monitor.
const maxReasons = 10

// events decides which Events the users of monitors get. At a start it knows nothing of before: it does not say that a monitor has
// no targets, if it never had any, nor that it has recovered from something that an earlier process found.
type events struct {
	backend Backend

	mu   sync.Mutex // guards what follows
	told map[targets.Owner]*told
}

// told is what the users of a monitor heard since the relay started, and what they may hear next.
type told struct {
	uid        types.UID
	generation int64
	reasons    []string // of the rejections of this generation, since it was well

	bad   objects.EventReason // what is wrong as far as they know; empty for nothing
	had   bool                // it has had targets
	next  objects.EventReason // what they hear if it stays as it is; empty for nothing
	since time.Time           // when next became what it is
}

// ofLocked returns what was told of a monitor.
func (e *events) ofLocked(owner targets.Owner, m metav1.Object) *told {
	t := e.told[owner]
	if t == nil || t.uid != m.GetUID() {
		t = &told{uid: m.GetUID(), generation: m.GetGeneration()}
		e.told[owner] = t
	}
	if t.generation != m.GetGeneration() {
		t.generation, t.reasons = m.GetGeneration(), nil
	}
	return t
}

// rejected tells users of a rejection. They hear of each reason once, until the monitor is well.
func (e *events) rejected(owner targets.Owner, m metav1.Object, reason, mend string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.ofLocked(owner, m)
	t.next = ""
	if len(t.reasons) >= maxReasons || slices.Contains(t.reasons, reason) {
		return
	}
	t.reasons, t.bad = append(t.reasons, reason), objects.Invalid
	e.backend.Report(reference(objects.OfKind(owner.Kind), m), objects.Rejection(reason, mend))
}

// tell tells users what is due, unless it has changed meanwhile.
func (e *events) tell(owner targets.Owner, m metav1.Object, x targets.Explanation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.ofLocked(owner, m)
	reason := t.next
	var text string
	switch {
	case reason == "" || reason == objects.NoTargets && x.Outcome == targets.OutcomeOK:
		return
	case reason == objects.NoTargets:
		text, t.bad = "has no targets any more: ", reason
	case t.bad == objects.NoTargets:
		text, t.bad = "has targets again: ", ""
	default:
		text, t.bad, t.reasons = "is valid again: ", "", nil
	}
	t.next = ""
	e.backend.Report(reference(objects.OfKind(owner.Kind), m), objects.Event{Reason: reason, Text: text + x.Summary, Mend: x.Mend})
}

// due returns what users are to hear of a monitor now; empty for nothing.
func (t *told) due(state targets.State, count int, now time.Time) objects.EventReason {
	t.had = t.had || count > 0
	next, wait := objects.EventReason(""), wellFor
	switch {
	case state != targets.Accepted: // of rejections they hear at once
	case t.bad == "" && t.had && count == 0:
		next, wait = objects.NoTargets, emptyFor
	case t.bad == objects.Invalid || t.bad == objects.NoTargets && count > 0:
		next = objects.Recovered
	}
	if next != t.next {
		t.next, t.since = next, now
	}
	if next == "" || now.Sub(t.since) < wait {
		return ""
	}
	return next
}

// report looks over the monitors until ctx ends, and tells their users what is new.
func (d *Discovery) report(ctx context.Context) {
	tick := time.NewTicker(lookOver)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			_ = d.guard.Call(guard.Events, "", func() { d.lookOver(now) })
		}
	}
}

// lookOver looks at each monitor once.
func (d *Discovery) lookOver(now time.Time) {
	due := d.dueEvents(now)
	for _, owner := range due[:min(len(due), maxEvents)] {
		_ = d.guard.Call(guard.Events, owner.String(), func() { d.tell(owner) })
	}
}

// dueEvents returns the monitors whose users are to hear something, and forgets those that are gone.
func (d *Discovery) dueEvents(now time.Time) (due []targets.Owner) {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	d.events.mu.Lock()
	defer d.events.mu.Unlock()
	for owner := range d.events.told {
		if d.state.monitors[owner] == nil {
			delete(d.events.told, owner)
		}
	}
	for owner, m := range d.state.monitors {
		obj := d.object(owner)
		if obj == nil {
			continue
		}
		count := 0
		for _, j := range d.state.set.Jobs(owner) {
			count += d.state.set.Count(j.Name) + d.state.set.Elsewhere(j.Name)
		}
		if d.events.ofLocked(owner, obj).due(m.state, count, now) != "" {
			due = append(due, owner)
		}
	}
	return due
}

// object returns a monitor, nil if it is gone.
func (p *parts) object(owner targets.Owner) metav1.Object {
	obj, ok, err := p.watched[objects.OfKind(owner.Kind).Name].GetByKey(owner.Namespace + "/" + owner.Name)
	if !ok || err != nil {
		return nil
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil
	}
	return m
}

// tell tells the users of a monitor what is due: the first sentence of its explanation.
func (d *Discovery) tell(owner targets.Owner) {
	m := d.object(owner)
	if m == nil {
		return
	}
	x := d.Explain(targets.Subject{Kind: string(owner.Kind), Namespace: owner.Namespace, Name: owner.Name}, targets.Live{})
	d.events.tell(owner, m, x)
}

// reference names a monitor as Events do.
func reference(r *objects.Resource, m metav1.Object) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: r.GroupVersion(), Kind: string(r.Kind), Namespace: m.GetNamespace(), Name: m.GetName(),
		UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
	}
}
