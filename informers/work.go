package informers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// work works off one batch: it compiles the monitors that the changes concern, makes their target groups again, and hands the
// changes of targets to the sink.
func (w *worker) work(ctx context.Context, n notes) {
	if n.plan != nil {
		if !w.offline {
			w.good.Open(n.plan.lastGood)
		}
		w.apply(n.plan)
	}
	dirty := w.dirtyMonitors(n)
	loaded, all := w.loadKinds()
	maps.Copy(dirty, all)
	needy := w.updateJobs(n, loaded, dirty)
	if !w.offline {
		w.external.Apply()
	}
	w.openSources(ctx)
	w.markSources(n.objects)
	w.build(ctx, needy)
	changes := w.settle()
	if len(changes) > 0 && ctx.Err() == nil {
		w.sink(changes)
	}
	w.state.batches.Add(1)
	w.finish()
}

// updateJobs compiles what has changed and gives its jobs to the set. It returns the jobs that need groups.
func (w *worker) updateJobs(n notes, loaded []targets.Kind, dirty map[targets.Owner]bool) (needy []*targets.Job) {
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	if n.external { // before jobs change: it was found for the jobs as they were
		for job, groups := range w.external.Changed() {
			_ = w.guard.Call(guard.Group, job, func() { w.state.set.OfferAll(job, groups) })
		}
	}
	for owner := range dirty {
		needy = append(needy, w.compileGuarded(owner)...)
	}
	if n.plan != nil {
		needy = append(needy, w.replaceBlocks(n.plan)...)
	}
	w.retainGood(n, loaded)
	if len(dirty) > 0 {
		w.refs.keep(func(ref targets.Ref) bool { return len(w.state.byRef[ref]) > 0 })
		w.count()
	}
	return needy
}

// settle returns the changes of targets.
func (w *worker) settle() []targets.Change {
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	changes := w.state.set.Settle(w.unknown)
	for _, t := range w.state.set.NewTwice() {
		w.log.Warn("two jobs scrape the same page with the same job label, so that its series count twice", zap.String("job", t.A), zap.String("other", t.B))
	}
	return changes
}

// apply makes a plan the one in use. Every monitor must be compiled again.
func (w *worker) apply(p *plan) {
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	w.state.settings, w.applied = p.settings, true
	clear(w.loaded)
}

// replaceBlocks replaces the jobs of the configuration's blocks.
func (w *worker) replaceBlocks(p *plan) (needy []*targets.Job) {
	for owner := range w.state.blocks {
		if _, ok := p.blocks[owner]; !ok {
			w.replace(owner, nil)
			delete(w.state.blocks, owner)
		}
	}
	for owner, jobs := range p.blocks {
		needy = append(needy, w.replace(owner, jobs)...)
		w.state.blocks[owner] = true
	}
	return needy
}

// replace replaces the jobs of an owner. It returns the jobs that need groups of the cluster's objects. Other service discovery
// begins with the next external.Apply.
func (w *worker) replace(owner targets.Owner, jobs []*targets.Job) (needy []*targets.Job) {
	w.external.Want(owner, jobs)
	return w.state.set.Replace(owner, jobs)
}

// dirtyMonitors returns the monitors that the changes may concern.
func (w *worker) dirtyMonitors(n notes) map[targets.Owner]bool {
	dirty := map[targets.Owner]bool{}
	for o := range n.objects {
		switch {
		case o.key == stateChange:
		case o.resource.Kind != "":
			if w.loaded[o.resource.Kind] {
				dirty[ownerOf(o.resource.Kind, o.key)] = true
			}
		case o.resource.Name == "namespaces" && w.state.settings != nil && w.state.settings.NeedsNamespaces():
			for _, kind := range targets.Kinds {
				for _, key := range w.watched[objects.OfKind(kind).Name].indexed(objects.ByNamespace, o.key) {
					dirty[ownerOf(kind, key)] = true
				}
			}
		}
	}
	for ref := range n.refs {
		maps.Copy(dirty, w.state.byRef[ref])
	}
	return dirty
}

// loadKinds returns the kinds that are listed now, or not wanted any more, and whose monitors were not compiled since, with all of
// their monitors.
func (w *worker) loadKinds() (loaded []targets.Kind, dirty map[targets.Owner]bool) {
	dirty = map[targets.Owner]bool{}
	for _, kind := range targets.Kinds {
		watch := w.watched[objects.OfKind(kind).Name]
		if w.loaded[kind] || w.state.settings != nil && (!watch.ready() || w.state.settings.NeedsNamespaces() && !w.watched["namespaces"].ready()) {
			continue
		}
		w.loaded[kind] = true
		loaded = append(loaded, kind)
		for _, key := range watch.keys() {
			dirty[ownerOf(kind, key)] = true
		}
		for owner := range w.state.monitors {
			if owner.Kind == kind {
				dirty[owner] = true
			}
		}
	}
	return loaded, dirty
}

func ownerOf(kind targets.Kind, key string) targets.Owner {
	namespace, name, _ := strings.Cut(key, "/")
	return targets.Owner{Kind: kind, Namespace: namespace, Name: name}
}

// compile replaces the jobs of a monitor by those of its present state. It returns the jobs that need groups.
func (w *worker) compile(owner targets.Owner) (needy []*targets.Job) {
	obj, ok, err := w.watched[objects.OfKind(owner.Kind).Name].GetByKey(owner.Namespace + "/" + owner.Name)
	if !ok || err != nil || w.state.settings == nil {
		w.forgetGood(owner, false)
		w.setRefs(owner, nil)
		delete(w.state.monitors, owner)
		return w.replace(owner, nil)
	}
	next := &monitorState{state: Accepted}
	old := w.state.monitors[owner]
	if old != nil {
		next.reported = old.reported
	}
	if why := w.unwanted(owner, obj); why != "" {
		w.forgetGood(owner, true)
		w.setRefs(owner, nil)
		next.state, next.reason = Unselected, why
		w.state.monitors[owner] = next
		return w.replace(owner, nil)
	}
	next.unknown = objects.UnknownFields(obj)
	if len(next.unknown) > 0 && (old == nil || !slices.Equal(old.unknown, next.unknown)) {
		w.log.Warn("a monitor has unknown fields, they are ignored", zap.Stringer("monitor", owner), zap.Strings("fields", next.unknown))
	}
	r := targets.Result{}
	if u, ok := obj.(*objects.Undecoded); ok {
		r.Err = u.Err
	} else {
		r = w.state.settings.Compile(obj, w.refs.snapshot())
	}
	next.refs = r.Refs
	pending := errors.Is(r.Err, targets.ErrPending)
	switch {
	case pending:
		next.state, next.reason = Pending, r.Err.Error()
	case r.Err != nil:
		next.state, next.reason = Rejected, r.Err.Error()
		r.Jobs, pending = w.reject(owner, obj, next)
		if old == nil || old.reason != next.reason || old.lastGood != next.lastGood {
			w.log.Warn("monitor rejected", zap.Stringer("monitor", owner), zap.String("reason", next.reason), zap.Bool("last_good", next.lastGood))
			if p := (*targets.PanicError)(nil); errors.As(r.Err, &p) {
				w.guard.Report(guard.Monitor, owner.String(), p)
			}
		}
	default:
		w.good.Keep(owner, obj)
		if old != nil && old.state == Rejected {
			w.log.Info("monitor accepted again", zap.Stringer("monitor", owner))
		}
	}
	w.setRefs(owner, next.refs)
	w.state.monitors[owner] = next
	if pending {
		return nil // its previous jobs stay until the answer is there
	}
	return w.replace(owner, r.Jobs)
}

// unwanted says why a monitor is not selected, empty if it is.
func (w *worker) unwanted(owner targets.Owner, obj any) string {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err.Error()
	}
	var of map[string]string
	if ns, ok, err := w.watched["namespaces"].GetByKey(owner.Namespace); ok && err == nil {
		if of = ns.(*corev1.Namespace).Labels; of == nil {
			of = map[string]string{}
		}
	}
	return w.state.settings.Unwanted(owner.Kind, owner.Namespace, m.GetLabels(), of)
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

// count sets the metrics about monitors.
func (w *worker) count() {
	type cell struct {
		kind  targets.Kind
		state State
	}
	n := map[cell]int{}
	for owner, m := range w.state.monitors {
		n[cell{owner.Kind, m.state}]++
	}
	for _, kind := range targets.Kinds {
		for _, state := range []State{Accepted, Pending, Rejected, Unselected} {
			w.metrics.monitors.WithLabelValues(string(kind), string(state)).Set(float64(n[cell{kind, state}]))
		}
	}
}
