package informers

import (
	"errors"
	"slices"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// compileGuarded is compile. A panic in it rejects this monitor only.
func (w *worker) compileGuarded(owner targets.Owner) (needy []*targets.Job) {
	err := w.guard.Call(guard.Monitor, owner.String(), func() { needy = w.compile(owner) })
	if err == nil {
		return needy
	}
	_ = w.guard.Call(guard.Monitor, owner.String(), func() {
		next := &monitorState{state: targets.Rejected, reason: err.Error(), mend: targets.MendRejected(owner, err)}
		if old := w.state.monitors[owner]; old != nil {
			next.refs = old.refs
		}
		w.state.monitors[owner] = next
		w.replace(owner, nil)
	})
	return nil
}

// compile replaces the jobs of a monitor with those of its present state. It returns the jobs that need groups.
func (w *worker) compile(owner targets.Owner) (needy []*targets.Job) {
	obj, ok, err := w.watched[objects.OfKind(owner.Kind).Name].GetByKey(owner.Namespace + "/" + owner.Name)
	if !ok || err != nil || w.state.settings == nil {
		w.forgetGood(owner, false)
		w.setRefs(owner, nil)
		delete(w.state.monitors, owner)
		return w.replace(owner, nil)
	}
	old := w.state.monitors[owner]
	if old == nil {
		old = &monitorState{}
	}
	next := &monitorState{state: targets.Accepted}
	if why, mend := w.unwanted(owner, obj); why != "" {
		w.forgetGood(owner, true)
		w.setRefs(owner, nil)
		next.state, next.reason, next.mend = targets.Unselected, why, mend
		w.state.monitors[owner] = next
		return w.replace(owner, nil)
	}
	jobs, pending := w.judge(owner, obj, old, next)
	w.setRefs(owner, next.refs)
	w.state.monitors[owner] = next
	if pending {
		return nil // its previous jobs stay until the answer is there
	}
	return w.replace(owner, jobs)
}

// judge compiles a selected monitor, and stores its state in next. Pending means that its jobs are not known
// yet.
func (w *worker) judge(owner targets.Owner, obj any, old, next *monitorState) (jobs []*targets.Job, pending bool) {
	r := targets.Result{}
	if u, ok := obj.(*objects.Undecoded); ok {
		r.Err = u.Err
	} else {
		r = w.state.settings.Compile(obj, w.refs.snapshot())
	}
	jobs, next.refs, next.unknown = r.Jobs, r.Refs, objects.UnknownFields(obj)
	pending = errors.Is(r.Err, targets.ErrPending)
	switch {
	case pending:
		next.state, next.reason = targets.Pending, r.Err.Error()
	case r.Err != nil:
		next.state, next.reason, next.mend = targets.Rejected, r.Err.Error(), targets.MendRejected(owner, r.Err)
		jobs, pending = w.reject(owner, obj, next)
	default:
		w.good.Keep(owner, obj)
	}
	w.logChange(owner, old, next)
	if p := (*targets.PanicError)(nil); errors.As(r.Err, &p) && (old.reason != next.reason || old.lastGood != next.lastGood) {
		w.guard.Report(guard.Monitor, owner.String(), p)
	}
	return jobs, pending
}

// logChange logs what is new about a monitor.
func (w *worker) logChange(owner targets.Owner, old, next *monitorState) {
	monitor := zap.Stringer("monitor", owner)
	if len(next.unknown) > 0 && !slices.Equal(old.unknown, next.unknown) {
		w.log.Warn("a monitor has unknown fields, they are ignored", monitor, zap.Strings("fields", next.unknown))
	}
	switch {
	case next.state == targets.Rejected && (old.reason != next.reason || old.lastGood != next.lastGood):
		w.log.Warn("monitor rejected", monitor, zap.String("reason", next.reason), zap.Bool("last_good", next.lastGood))
	case next.state == targets.Accepted && old.state == targets.Rejected:
		w.log.Info("monitor accepted again", monitor)
	}
}

// unwanted says why a monitor is not selected, and what to change; both are empty if it is.
func (w *worker) unwanted(owner targets.Owner, obj any) (why, mend string) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err.Error(), ""
	}
	var of map[string]string
	if ns, ok, err := w.watched["namespaces"].GetByKey(owner.Namespace); ok && err == nil {
		if of = ns.(*corev1.Namespace).Labels; of == nil {
			of = map[string]string{}
		}
	}
	return w.state.settings.Unwanted(owner, m.GetLabels(), of)
}

// setRefs notes the Secrets and ConfigMaps that a monitor names.
func (w *worker) setRefs(owner targets.Owner, refs []targets.Ref) {
	if old := w.state.monitors[owner]; old != nil {
		for _, ref := range old.refs {
			if delete(w.state.byRef[ref], owner); len(w.state.byRef[ref]) == 0 {
				delete(w.state.byRef, ref)
			}
		}
	}
	for _, ref := range refs {
		if w.state.byRef[ref] == nil {
			w.state.byRef[ref] = map[targets.Owner]bool{}
		}
		w.state.byRef[ref][owner] = true
	}
}
