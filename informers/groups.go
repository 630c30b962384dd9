package informers

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// builder makes target groups of objects, for one source. The groups and their labels are made by a discoverer of
// prometheus/discovery/kubernetes; it gets stand-ins for its informers, which show it our stores and let no event through
// but those that build asks for. So it becomes a function: objects in, groups out.
type builder struct {
	ask  cache.ResourceEventHandler // of the discoverer: it builds what it hears of
	ch   chan []*targetgroup.Group
	last int // number of the last sentinel
}

// newBuilder starts a discoverer, which ends with ctx. Of gives the objects of a resource.
func newBuilder(ctx context.Context, src targets.Source, of func(resource string) cache.Indexer, p *panics) (*builder, error) {
	selectors, err := parseSelectors(src.Selectors)
	if err != nil {
		return nil, err
	}
	b := &builder{ch: make(chan []*targetgroup.Group)}
	main := &standIn{objects: decided{filtered(of, src.Role, selectors), p}, captured: &b.ask}
	if src.Kubelets {
		main.objects = decided{addressed{main.objects}, p}
	}
	other := func(role string, wanted bool) cache.SharedInformer {
		if !wanted {
			return nil
		}
		return &standIn{objects: decided{filtered(of, role, selectors), p}}
	}
	log := slog.New(slog.DiscardHandler)
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "events"}, []string{"role", "event"})
	a := src.Attach
	node, ns := other(targets.RoleNode, a.Node), other(targets.RoleNamespace, a.Namespace)
	sets, jobs := other(roleReplicaSet, a.Deployment), other(roleJob, a.Job || a.CronJob)
	service, pod := other(targets.RoleService, true), other(targets.RolePod, true)
	var d interface {
		Run(context.Context, chan<- []*targetgroup.Group)
	}
	switch src.Role {
	case targets.RoleEndpointSlice:
		d = promk8s.NewEndpointSlice(log, main, service, pod, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, count)
	case targets.RoleEndpoints:
		d = promk8s.NewEndpoints(log, main, service, pod, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, count) //nolint:staticcheck // monitors may ask for it
	case targets.RolePod:
		d = promk8s.NewPod(log, main, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, count)
	case targets.RoleService:
		d = promk8s.NewService(log, main, ns, count)
	case targets.RoleIngress:
		d = promk8s.NewIngress(log, main, ns, count)
	case targets.RoleNode:
		d = promk8s.NewNode(log, main, count)
	default:
		return nil, fmt.Errorf("unknown role %q", src.Role)
	}
	go d.Run(ctx, b.ch)
	return b, nil
}

// build makes the groups of the objects with these keys; of one that is no more a group without targets. Some roles give
// nothing for an object that they cannot use.
func (b *builder) build(ctx context.Context, keys []string) []*targetgroup.Group {
	if len(keys) == 0 {
		return nil
	}
	b.last++
	sentinel := fmt.Sprintf("#%d", b.last) // no object's name: its group says that all others have come
	go func() {
		for _, k := range append(keys, sentinel) {
			b.ask.OnDelete(cache.DeletedFinalStateUnknown{Key: k}) // the handler only takes the key
		}
	}()
	out := make([]*targetgroup.Group, 0, len(keys))
	for {
		select {
		case <-ctx.Done():
			return nil
		case gs := <-b.ch:
			for _, g := range gs {
				if strings.HasSuffix(g.Source, sentinel) {
					return out
				}
				out = append(out, g)
			}
		}
	}
}

// standIn is what a discoverer gets for an informer. It is always in sync: build asks only when it is.
type standIn struct {
	cache.SharedIndexInformer // nil: nothing else is called
	objects                   cache.Indexer
	captured                  *cache.ResourceEventHandler // where the first handler is put; nil for nowhere
}

func (s *standIn) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	if s.captured != nil && *s.captured == nil {
		*s.captured = h
	}
	return nil, nil
}

func (s *standIn) GetStore() cache.Store     { return s.objects }
func (s *standIn) GetIndexer() cache.Indexer { return s.objects }
func (s *standIn) HasSynced() bool           { return true }

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

// selector is what a source leaves out of a role's objects.
type selector struct {
	labels labels.Selector
	fields fields.Selector
}

// parseSelectors reads targets.Source.Selectors.
func parseSelectors(s string) (map[string]selector, error) {
	out := map[string]selector{}
	if s == "" {
		return out, nil
	}
	for _, part := range strings.Split(s, ";") {
		role, both, _ := strings.Cut(part, "=")
		ls, fs, _ := strings.Cut(both, "|")
		l, err := labels.Parse(ls)
		if err != nil {
			return nil, fmt.Errorf("selector of role %s: %w", role, err)
		}
		f, err := fields.ParseSelector(fs)
		if err != nil {
			return nil, fmt.Errorf("selector of role %s: %w", role, err)
		}
		out[role] = selector{l, f}
	}
	return out, nil
}

// filtered returns the objects that a role reads, without those that its selector leaves out.
func filtered(of func(string) cache.Indexer, role string, selectors map[string]selector) cache.Indexer {
	all := of(resourceOf[role])
	s, ok := selectors[role]
	if !ok || s.labels.Empty() && s.fields.Empty() {
		return all
	}
	return &selected{all, s}
}

// selected shows the objects that a selector selects.
type selected struct {
	cache.Indexer
	selector
}

func (s *selected) has(obj any) bool {
	m, err := metaOf(obj)
	return err == nil && s.labels.Matches(labels.Set(m.GetLabels())) && s.fields.Matches(fieldsOf(obj, m))
}

func (s *selected) GetByKey(key string) (any, bool, error) {
	obj, ok, err := s.Indexer.GetByKey(key)
	if !ok || err != nil || !s.has(obj) {
		return nil, false, err
	}
	return obj, true, nil
}
