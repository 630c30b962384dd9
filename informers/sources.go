package informers

import (
	"context"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// source makes target groups, for all jobs that have the same targets.Source.
type source struct {
	targets.Source
	builder *builder // nil if it cannot be made
	cancel  context.CancelFunc
	built   bool            // the groups of all of its objects were made
	dirty   map[string]bool // keys of objects whose groups must be made again
}

// end ends the source, and waits for its discoverer.
func (s *source) end() {
	s.cancel()
	if s.builder != nil {
		<-s.builder.ended
	}
}

// resources returns the resources from which a source's groups are made, that of its own objects first.
func (s *source) resources() []string { return resourcesOf(s.Source) }

func resourcesOf(s targets.Source) []string {
	out := []string{resourceOf[s.Role]}
	if s.Role == targets.RoleEndpoints || s.Role == targets.RoleEndpointSlice {
		out = append(out, "services", "pods")
	}
	for name, wanted := range map[string]bool{
		"nodes": s.Attach.Node, "namespaces": s.Attach.Namespace, "replicasets": s.Attach.Deployment, "jobs": s.Attach.Job || s.Attach.CronJob,
	} {
		if wanted {
			out = append(out, name)
		}
	}
	return out
}

// monitorsNeed are the resources that are watched as soon as monitors are wanted, whatever their content: the number of watches
// does not depend on them.
var monitorsNeed = []string{
	"servicemonitors", "podmonitors", "probes", "scrapeconfigs", "services", "endpointslices", "pods", "nodes", "namespaces",
}

// openSources makes builders for new sources, ends sources that no job wants any more, and watches the resources that are
// needed.
func (w *worker) openSources(ctx context.Context) {
	if w.backend == nil {
		return
	}
	need := map[string]bool{}
	for _, name := range w.alwaysNeeded() {
		need[name] = true
	}
	wanted := w.state.set.Sources()
	for _, src := range wanted {
		for _, name := range resourcesOf(src) {
			need[name] = true
		}
		if s := w.sources[src]; s != nil {
			if s.builder == nil || !s.builder.hasEnded() {
				continue
			}
			s.end() // its discoverer panicked: another one makes all groups again
		}
		own, cancel := context.WithCancel(ctx)
		b, err := newBuilder(own, src, w.lookup, w.guard)
		if err != nil {
			w.log.Error("no target groups can be made", zap.String("role", src.Role), zap.NamedError("err", err))
		}
		w.sources[src] = &source{Source: src, builder: b, cancel: cancel, dirty: map[string]bool{}}
	}
	for src, s := range w.sources {
		if !slices.Contains(wanted, src) {
			s.end()
			delete(w.sources, src)
		}
	}
	for name, watch := range w.watched {
		switch {
		case need[name] && !watch.wanted():
			watch.begin(ctx, w.backend, &w.running)
		case !need[name] && watch.wanted():
			watch.end()
		}
	}
}

// markSources marks the objects whose groups the changes concern.
func (w *worker) markSources(objects map[note]bool) {
	for _, s := range w.sources {
		own := resourceOf[s.Role]
		for o := range objects {
			switch {
			case o.key == stateChange:
			case o.resource.Name == own:
				s.dirty[o.key] = true
			case slices.Contains(s.resources(), o.resource.Name):
				for _, key := range w.attached(s, o) {
					s.dirty[key] = true
				}
			}
		}
	}
}

// attached returns the keys of the source's objects to which another object is attached.
func (w *worker) attached(s *source, o note) []string {
	own := w.watched[resourceOf[s.Role]]
	switch o.resource.Name {
	case "services":
		if s.Role == targets.RoleEndpoints {
			return []string{o.key}
		}
		return own.indexed(objects.ByService, o.key)
	case "pods":
		return own.indexed(objects.ByPod, o.key)
	case "nodes":
		return own.indexed(objects.ByNode, o.key)
	case "namespaces":
		return own.indexed(objects.ByNamespace, o.key)
	}
	index := objects.ByReplicaSet
	if o.resource.Name == "jobs" {
		index = objects.ByJob
	}
	pods := w.watched["pods"].indexed(index, o.key)
	if s.Role == targets.RolePod {
		return pods
	}
	var out []string
	for _, pod := range pods {
		out = append(out, own.indexed(objects.ByPod, pod)...)
	}
	return out
}

// build makes the dirty groups again, and those that new jobs may want, and offers them to the jobs.
func (w *worker) build(ctx context.Context, needy []*targets.Job) {
	for _, s := range w.sources {
		if s.builder == nil {
			continue
		}
		if !w.ready(s) {
			s.built = s.built && len(needy) == 0 // these jobs need all groups, as soon as they are known
			continue
		}
		own := w.watched[resourceOf[s.Role]]
		keys := slices.Collect(maps.Keys(s.dirty))
		var fresh []string
		if s.built {
			fresh = w.keysFor(s, needy)
		} else {
			keys = append(keys, own.keys()...)
			s.built = true
		}
		s.dirty = map[string]bool{}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		fresh = slices.DeleteFunc(fresh, func(k string) bool { _, ok := slices.BinarySearch(keys, k); return ok })
		w.offer(ctx, s, keys, false)
		w.offer(ctx, s, fresh, true)
	}
}

// unknown reports whether a source's groups were not made yet, because its objects are still being listed.
func (w *worker) unknown(src targets.Source) bool {
	s := w.sources[src]
	return s != nil && s.builder != nil && !s.built
}

// ready reports whether all objects that the source's groups are made from are known.
func (w *worker) ready(s *source) bool {
	for _, name := range s.resources() {
		if !w.watched[name].ready() {
			return false
		}
	}
	nodes := w.watched["nodes"] // Trusted needs them: no target should be down because Nodes are listed a moment later
	return s.Role == targets.RoleNode || !nodes.wanted() || nodes.ready() || nodes.why() != ""
}

// keysFor returns the keys of the objects whose groups the jobs may want.
func (w *worker) keysFor(s *source, jobs []*targets.Job) []string {
	own := w.watched[resourceOf[s.Role]]
	found := map[string]bool{}
	for _, j := range jobs {
		for _, discovery := range j.Discoveries {
			if discovery.Source != s.Source {
				continue
			}
			if len(discovery.Namespaces) == 0 || own.ClusterScoped {
				return own.keys()
			}
			for _, ns := range discovery.Namespaces {
				for _, key := range own.indexed(objects.ByNamespace, ns) {
					found[key] = true
				}
			}
		}
	}
	return slices.Collect(maps.Keys(found))
}

// chunk is how many groups are made before they are offered.
const chunk = 500

func (w *worker) offer(ctx context.Context, s *source, keys []string, onlyNew bool) {
	for part := range slices.Chunk(keys, chunk) {
		groups := s.builder.build(ctx, part)
		if s.Kubelets {
			_ = w.guard.Call(guard.Group, s.Role, func() { w.setKubeletAddresses(groups) })
		}
		w.metrics.builds.WithLabelValues(s.Role).Add(float64(len(groups)))
		w.state.mu.Lock()
		for _, g := range groups {
			_ = w.guard.Call(guard.Group, g.Source, func() { w.state.set.Offer(s.Source, namespaceOf(g.Source), g, onlyNew) })
		}
		w.state.mu.Unlock()
	}
}

// namespaceOf returns the namespace in the name of a group: role/namespace/name, or role/name.
func namespaceOf(group string) string {
	parts := strings.Split(group, "/")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}
