package informers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// work works off what has been noted: it compiles the monitors that it concerns, makes the groups anew that it
// concerns, and tells the sink what came of it. Only the worker runs it.
func (d *Discovery) work(ctx context.Context, n notes) {
	if n.plan != nil {
		if !d.offline {
			d.good.Open(n.plan.lastGood)
		}
		d.apply(n.plan)
	}
	dirty := d.dirtyMonitors(n)
	loaded, all := d.loadKinds()
	maps.Copy(dirty, all)
	needy := d.takeIn(n, loaded, dirty)
	if !d.offline {
		d.external.Apply()
	}
	d.openSources(ctx)
	d.markSources(n.objects)
	d.build(ctx, needy)
	changes := d.settle()
	if len(changes) > 0 && ctx.Err() == nil {
		d.sink(changes)
	}
	d.batches.Add(1)
	d.finish()
}

// takeIn gives the set the jobs of what has changed. It returns those that are to be offered groups.
func (d *Discovery) takeIn(n notes, loaded []targets.Kind, dirty map[targets.Owner]bool) (needy []*targets.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.external { // before jobs change: what was found is for them as they were
		for job, groups := range d.external.Changed() {
			_ = d.guard.Call(guard.Group, job, func() { d.set.OfferAll(job, groups) })
		}
	}
	for owner := range dirty {
		needy = append(needy, d.compileAlone(owner)...)
	}
	if n.plan != nil {
		needy = append(needy, d.replaceBlocks(n.plan)...)
	}
	d.sweep(n, loaded)
	if len(dirty) > 0 {
		d.refs.keep(func(ref targets.Ref) bool { return len(d.byRef[ref]) > 0 })
		d.count()
	}
	return needy
}

// settle returns what has changed of targets.
func (d *Discovery) settle() []targets.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	changes := d.set.Settle(d.unknown)
	for _, t := range d.set.NewTwice() {
		d.log.Warn("two jobs scrape the same page with the same job label, so that its series count twice", zap.String("job", t.A), zap.String("other", t.B))
	}
	return changes
}

// apply lets a plan count from now on: every monitor is to be compiled.
func (d *Discovery) apply(p *plan) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings, d.applied = p.settings, true
	clear(d.kinds)
}

// replaceBlocks puts the jobs of the configuration's blocks in the place of the previous ones.
func (d *Discovery) replaceBlocks(p *plan) (needy []*targets.Job) {
	for owner := range d.blocks {
		if _, ok := p.blocks[owner]; !ok {
			d.replace(owner, nil)
			delete(d.blocks, owner)
		}
	}
	for owner, jobs := range p.blocks {
		needy = append(needy, d.replace(owner, jobs)...)
		d.blocks[owner] = true
	}
	return needy
}

// replace makes jobs all jobs of an owner. It returns those that are to be offered groups of the cluster's objects; what they find
// by other means is looked for after the next external.Apply.
func (d *Discovery) replace(owner targets.Owner, jobs []*targets.Job) (needy []*targets.Job) {
	d.external.Want(owner, jobs)
	return d.set.Replace(owner, jobs)
}

// dirtyMonitors returns the monitors that what was noted may change.
func (d *Discovery) dirtyMonitors(n notes) map[targets.Owner]bool {
	dirty := map[targets.Owner]bool{}
	for o := range n.objects {
		switch {
		case o.key == stateChange:
		case o.resource.Kind != "":
			if d.kinds[o.resource.Kind] {
				dirty[ownerOf(o.resource.Kind, o.key)] = true
			}
		case o.resource.Name == "namespaces" && d.settings != nil && d.settings.NeedsNamespaces():
			for _, kind := range targets.Kinds {
				for _, key := range d.watched[objects.OfKind(kind).Name].indexed(objects.ByNamespace, o.key) {
					dirty[ownerOf(kind, key)] = true
				}
			}
		}
	}
	for ref := range n.refs {
		maps.Copy(dirty, d.byRef[ref])
	}
	return dirty
}

// loadKinds returns the kinds that have been listed, or that the settings want no longer, for the first time, and all their monitors.
func (d *Discovery) loadKinds() (loaded []targets.Kind, dirty map[targets.Owner]bool) {
	dirty = map[targets.Owner]bool{}
	for _, kind := range targets.Kinds {
		w := d.watched[objects.OfKind(kind).Name]
		if d.kinds[kind] || d.settings != nil && (!w.ready() || d.settings.NeedsNamespaces() && !d.watched["namespaces"].ready()) {
			continue
		}
		d.kinds[kind] = true
		loaded = append(loaded, kind)
		for _, key := range w.keys() {
			dirty[ownerOf(kind, key)] = true
		}
		for owner := range d.monitors {
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

// compile gives the set the jobs of a monitor as it is now. It returns those that are to be offered groups.
func (d *Discovery) compile(owner targets.Owner) (needy []*targets.Job) {
	obj, ok, err := d.watched[objects.OfKind(owner.Kind).Name].GetByKey(owner.Namespace + "/" + owner.Name)
	if !ok || err != nil || d.settings == nil {
		d.letGo(owner, false)
		d.setRefs(owner, nil)
		delete(d.monitors, owner)
		return d.replace(owner, nil)
	}
	next := &monitorState{state: Accepted}
	old := d.monitors[owner]
	if old != nil {
		next.reported = old.reported
	}
	if why := d.unwanted(owner, obj); why != "" {
		d.letGo(owner, true)
		d.setRefs(owner, nil)
		next.state, next.reason = Unselected, why
		d.monitors[owner] = next
		return d.replace(owner, nil)
	}
	next.unknown = objects.UnknownFields(obj)
	if len(next.unknown) > 0 && (old == nil || !slices.Equal(old.unknown, next.unknown)) {
		d.log.Warn("a monitor has fields that the relay does not know, and passes over", zap.Stringer("monitor", owner), zap.Strings("fields", next.unknown))
	}
	r := targets.Result{}
	if u, ok := obj.(*objects.Undecoded); ok {
		r.Err = u.Err
	} else {
		r = d.settings.Compile(obj, d.refs.snapshot())
	}
	next.refs = r.Refs
	pending := errors.Is(r.Err, targets.ErrPending)
	switch {
	case pending:
		next.state, next.reason = Pending, r.Err.Error()
	case r.Err != nil:
		next.state, next.reason = Rejected, r.Err.Error()
		r.Jobs, pending = d.reject(owner, obj, next)
		if old == nil || old.reason != next.reason || old.lastGood != next.lastGood {
			d.log.Warn("monitor rejected", zap.Stringer("monitor", owner), zap.String("reason", next.reason), zap.Bool("last_good", next.lastGood))
			if p := (*targets.PanicError)(nil); errors.As(r.Err, &p) {
				d.guard.Report(guard.Monitor, owner.String(), p)
			}
		}
	default:
		d.good.Keep(owner, obj)
		if old != nil && old.state == Rejected {
			d.log.Info("monitor accepted again", zap.Stringer("monitor", owner))
		}
	}
	d.setRefs(owner, next.refs)
	d.monitors[owner] = next
	if pending {
		return nil // what it was before goes on until it is known
	}
	return d.replace(owner, r.Jobs)
}

// unwanted says why a monitor is not selected, empty if it is.
func (d *Discovery) unwanted(owner targets.Owner, obj any) string {
	m, err := metaOf(obj)
	if err != nil {
		return err.Error()
	}
	var of map[string]string
	if ns, ok, err := d.watched["namespaces"].GetByKey(owner.Namespace); ok && err == nil {
		if of = ns.(*corev1.Namespace).Labels; of == nil {
			of = map[string]string{}
		}
	}
	return d.settings.Unwanted(owner.Kind, owner.Namespace, m.GetLabels(), of)
}

// setRefs notes what a monitor refers to.
func (d *Discovery) setRefs(owner targets.Owner, refs []targets.Ref) {
	if old := d.monitors[owner]; old != nil {
		for _, ref := range old.refs {
			if delete(d.byRef[ref], owner); len(d.byRef[ref]) == 0 {
				delete(d.byRef, ref)
			}
		}
	}
	for _, ref := range refs {
		if d.byRef[ref] == nil {
			d.byRef[ref] = map[targets.Owner]bool{}
		}
		d.byRef[ref][owner] = true
	}
}

// count sets the metrics that tell of monitors.
func (d *Discovery) count() {
	type cell struct {
		kind  targets.Kind
		state State
	}
	n := map[cell]int{}
	for owner, m := range d.monitors {
		n[cell{owner.Kind, m.state}]++
	}
	for _, kind := range targets.Kinds {
		for _, state := range []State{Accepted, Pending, Rejected, Unselected} {
			d.metrics.monitors.WithLabelValues(string(kind), string(state)).Set(float64(n[cell{kind, state}]))
		}
	}
}
