package informers

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// builder makes the target groups of objects, for one source. A discoverer of prometheus/discovery/kubernetes makes the groups and
// their labels. It gets stand-ins for its informers, which return our objects and report no events. So the discoverer works like a
// function: keys of objects in, groups out.
type builder struct {
	guard *guard.Guard
	main  *informer // of the objects that the groups are of
	found chan []*targetgroup.Group
	ended chan struct{} // closed when the discoverer has ended
	last  string        // Source of the group of noObject
}

// noObject is a key that no object has. A discoverer makes an empty group for it. It handles its keys in order, so this group means
// that the groups of all earlier keys have come.
const noObject = "/"

// discoverer is one of prometheus/discovery/kubernetes.
type discoverer interface {
	Run(context.Context, chan<- []*targetgroup.Group)
}

// newBuilder starts a discoverer, which ends with ctx. Of returns the objects of a resource.
func newBuilder(ctx context.Context, src targets.Source, of func(resource string) lookup, g *guard.Guard) (*builder, error) {
	selectors, err := src.Selectors.ByRole()
	if err != nil {
		return nil, err
	}
	b := &builder{guard: g, found: make(chan []*targetgroup.Group), ended: make(chan struct{})}
	objects := filtered(of, src.Role, selectors)
	if src.Kubelets {
		objects = addressed(objects)
	}
	b.main = newInformer(guarded(g, decided(objects)))
	var d discoverer
	if err := g.Call(guard.Group, src.Role, func() {
		d, b.last = b.discoverer(src, func(role string, wanted bool) cache.SharedInformer {
			if !wanted {
				return nil
			}
			return newInformer(guarded(g, decided(filtered(of, role, selectors))))
		})
	}); err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fmt.Errorf("unknown role %q", src.Role)
	}
	go func() {
		defer close(b.ended)
		_ = g.Call(guard.Group, src.Role, func() { d.Run(ctx, b.found) })
	}()
	return b, nil
}

// hasEnded reports whether the discoverer has ended. Before the end of its context, only a panic ends it. Then build returns nothing.
func (b *builder) hasEnded() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// discoverer makes the discoverer of a role, and returns the name of its group for noObject. Other makes the informer of another
// role.
func (b *builder) discoverer(src targets.Source, other func(role string, wanted bool) cache.SharedInformer) (d discoverer, last string) {
	log := slog.New(slog.DiscardHandler)
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "events"}, []string{"role", "event"})
	a := src.Attach
	node, ns := other(targets.RoleNode, a.Node), other(targets.RoleNamespace, a.Namespace)
	sets, jobs := other(roleReplicaSet, a.Deployment), other(roleJob, a.Job || a.CronJob)
	service, pod := other(targets.RoleService, true), other(targets.RolePod, true)
	switch src.Role {
	case targets.RoleEndpointSlice:
		return promk8s.NewEndpointSlice(log, b.main, service, pod, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, count), "endpointslice//"
	case targets.RoleEndpoints:
		return promk8s.NewEndpoints(log, b.main, service, pod, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, count), "endpoints//" //nolint:staticcheck // monitors may ask for it
	case targets.RolePod:
		return promk8s.NewPod(log, b.main, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, count), "pod//"
	case targets.RoleService:
		return promk8s.NewService(log, b.main, ns, count), "svc//"
	case targets.RoleIngress:
		return promk8s.NewIngress(log, b.main, ns, count), "ingress//"
	case targets.RoleNode:
		return promk8s.NewNode(log, b.main, count), "node/"
	}
	return nil, ""
}

// build makes the groups of the objects with these keys. For a deleted object it makes a group without targets. Some roles make no
// group for an object that they cannot use.
func (b *builder) build(ctx context.Context, keys []string) []*targetgroup.Group {
	if len(keys) == 0 {
		return nil
	}
	for _, key := range append(keys, noObject) {
		// The handler reads only the key, and adds it to an unbounded queue.
		if b.guard.Call(guard.Group, key, func() { b.main.handler.OnDelete(cache.DeletedFinalStateUnknown{Key: key}) }) != nil && key == noObject {
			return nil
		}
	}
	out := make([]*targetgroup.Group, 0, len(keys))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.ended:
			return nil
		case groups := <-b.found:
			for _, g := range groups {
				if g.Source == b.last {
					return out
				}
				out = append(out, g)
			}
		}
	}
}

// Roles of objects that are only attached to others.
const (
	roleReplicaSet = "replicaset"
	roleJob        = "job"
)

// resourceOf is the resource whose objects a role reads.
var resourceOf = map[string]string{
	targets.RoleNode: "nodes", targets.RolePod: "pods", targets.RoleService: "services", targets.RoleEndpoints: "endpoints",
	targets.RoleEndpointSlice: "endpointslices", targets.RoleIngress: "ingresses", targets.RoleNamespace: "namespaces",
	roleReplicaSet: "replicasets", roleJob: "jobs",
}

// filtered returns the objects that a role reads, without those that its selector leaves out.
func filtered(of func(resource string) lookup, role string, selectors map[string]targets.Selector) lookup {
	all := of(resourceOf[role])
	s, ok := selectors[role]
	if !ok {
		return all
	}
	return func(key string) (any, bool, error) {
		obj, ok, err := all(key)
		if !ok || err != nil || !matches(s, obj) {
			return nil, false, err
		}
		return obj, true, nil
	}
}

// matches reports whether a selector selects an object.
func matches(s targets.Selector, obj any) bool {
	m, err := meta.Accessor(obj)
	return err == nil && s.Labels.Matches(labels.Set(m.GetLabels())) && s.Fields.Matches(objects.FieldsOf(obj, m))
}
