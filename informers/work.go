package informers

import (
	"context"
	"maps"
	"strings"

	"go.uber.org/zap"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// work handles one batch: it compiles the monitors that the changes concern, makes their target groups again, and passes the
// changes of targets to the sink.
func (w *worker) work(ctx context.Context, n notes, sink func([]targets.Change)) {
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
	w.cover(n)
	w.markSources(n.objects)
	w.build(ctx, needy)
	changes := w.settle()
	if len(changes) > 0 && sink != nil && ctx.Err() == nil {
		sink(changes)
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
	for _, t := range w.state.set.NewDuplicates() {
		w.log.Warn("two jobs scrape the same page with the same job label, so that its series count twice", zap.String("job", t.A), zap.String("other", t.B))
	}
	return changes
}

// apply makes a plan the one in use. Every monitor must be compiled again.
func (w *worker) apply(p *plan) {
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	w.state.settings, w.selector, w.applied = p.settings, p.selector, true
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
			for _, kind := range w.kinds() {
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

// loadKinds returns kinds with all of their monitors. Each kind is listed now or not wanted any more, and its monitors were not
// compiled since.
func (w *worker) loadKinds() (loaded []targets.Kind, dirty map[targets.Owner]bool) {
	dirty = map[targets.Owner]bool{}
	for _, kind := range w.kinds() {
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

// count sets the metrics about monitors.
func (w *worker) count() {
	type cell struct {
		kind  targets.Kind
		state targets.State
	}
	n := map[cell]int{}
	for owner, m := range w.state.monitors {
		n[cell{owner.Kind, m.state}]++
	}
	for _, kind := range targets.Kinds {
		for _, state := range []targets.State{targets.Accepted, targets.Pending, targets.Rejected, targets.Unselected} {
			w.metrics.monitors.WithLabelValues(string(kind), string(state)).Set(float64(n[cell{kind, state}]))
		}
	}
}
