package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/util/strutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// cluster finds target groups in the objects of a case, with Prometheus's discoverers.
type cluster struct {
	ctx  context.Context //nolint:containedctx // it lives as long as the case
	all  objects
	home string
	// found are the groups of discovery configurations, by these in JSON: jobs share them.
	found map[string][]*targetgroup.Group
}

func newCluster(ctx context.Context, all objects, home string) *cluster {
	return &cluster{ctx, all, home, map[string][]*targetgroup.Group{}}
}

// groups does what Discovery.Run of prometheus/discovery/kubernetes does with an API server.
func (c *cluster) groups(sd *promk8s.SDConfig) ([]*targetgroup.Group, error) {
	key, err := json.Marshal([]any{sd.Role, sd.NamespaceDiscovery, sd.Selectors, sd.AttachMetadata})
	if err != nil {
		return nil, err
	}
	if gs, ok := c.found[string(key)]; ok {
		return gs, nil
	}
	var out []*targetgroup.Group
	for _, ns := range c.namespaces(sd) {
		gs, err := c.discover(sd, ns)
		if err != nil {
			return nil, err
		}
		out = append(out, gs...)
	}
	c.found[string(key)] = out
	return out, nil
}

func (c *cluster) namespaces(sd *promk8s.SDConfig) []string {
	names := slices.Clone(sd.NamespaceDiscovery.Names)
	if sd.NamespaceDiscovery.IncludeOwnNamespace {
		names = append(names, c.home)
	}
	if len(names) == 0 || sd.Role == promk8s.RoleNode {
		return []string{metav1.NamespaceAll}
	}
	return names
}

// discover runs a discoverer on informers that hold what an API server would have listed for it.
func (c *cluster) discover(sd *promk8s.SDConfig, namespace string) ([]*targetgroup.Group, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var failed error
	get := func(kind string, role promk8s.Role, namespace string) *informer {
		i, err := c.informer(kind, role, namespace, sd.Selectors)
		if err != nil {
			failed = err
		}
		return i
	}
	a := sd.AttachMetadata
	var node, ns, sets, jobs cache.SharedInformer // an interface that holds no informer is not nil
	if a.Node {
		node = get("Node", promk8s.RoleNode, "")
	}
	if a.Namespace {
		ns = get("Namespace", "", "")
	}
	if a.Deployment {
		sets = get("ReplicaSet", "", namespace)
	}
	if a.Job || a.CronJob {
		jobs = get("Job", "", namespace)
	}
	services := get("Service", promk8s.RoleService, namespace)
	pods := get("Pod", promk8s.RolePod, namespace)
	events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "events"}, []string{"role", "event"})
	var main *informer
	var d interface {
		Run(context.Context, chan<- []*targetgroup.Group)
	}
	switch sd.Role {
	case promk8s.RoleEndpointSlice:
		main = get("EndpointSlice", promk8s.RoleEndpointSlice, namespace)
		d = promk8s.NewEndpointSlice(silent, main, services, pods, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, events)
	case promk8s.RoleEndpoint:
		main = get("Endpoints", promk8s.RoleEndpoint, namespace)
		d = promk8s.NewEndpoints(silent, main, services, pods, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, events) //nolint:staticcheck // the role endpoints
	case promk8s.RolePod:
		main = pods
		d = promk8s.NewPod(silent, main, node, ns, sets, jobs, a.Deployment, a.Job, a.CronJob, events)
	case promk8s.RoleService:
		main = services
		d = promk8s.NewService(silent, main, ns, events)
	case promk8s.RoleIngress:
		main = get("Ingress", promk8s.RoleIngress, namespace)
		d = promk8s.NewIngress(silent, main, ns, events)
	case promk8s.RoleNode:
		main = get("Node", promk8s.RoleNode, "")
		d = promk8s.NewNode(silent, main, events)
	default:
		return nil, fmt.Errorf("unknown role %q", sd.Role)
	}
	if failed != nil {
		return nil, failed
	}
	return main.collect(ctx, d.Run), nil
}

// informer is an informer that has synced.
type informer struct {
	cache.SharedIndexInformer // nil: nothing else is called
	indexer                   cache.Indexer
	handlers                  []cache.ResourceEventHandler
}

// informer returns an informer with the objects of a kind that the selector of a role matches.
func (c *cluster) informer(kind string, role promk8s.Role, namespace string, selectors []promk8s.SelectorConfig) (*informer, error) {
	ls, fs := labels.Everything(), fields.Everything()
	var err error
	for _, s := range selectors {
		if s.Role != role {
			continue
		}
		if ls, err = labels.Parse(s.Label); err != nil {
			return nil, err
		}
		if fs, err = fields.ParseSelector(s.Field); err != nil {
			return nil, err
		}
	}
	i := &informer{indexer: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})}
	for _, o := range c.all[kind] {
		m := o.(metav1.Object)
		if (namespace == "" || m.GetNamespace() == namespace) && ls.Matches(labels.Set(m.GetLabels())) && fs.Matches(fieldsOf(o, m)) {
			o = o.DeepCopyObject() // discoverers append to slices in them
			decide(o.(metav1.Object))
			if err := i.indexer.Add(o); err != nil {
				return nil, err
			}
		}
	}
	return i, nil
}

// decide removes labels whose sanitised names are equal, all but the first, as the relay does. Prometheus would use one at random.
func decide(m metav1.Object) {
	seen := map[string]bool{}
	all := m.GetLabels()
	for _, k := range slices.Sorted(maps.Keys(all)) {
		name := strutil.SanitizeLabelName(k)
		if seen[name] {
			delete(all, k)
		}
		seen[name] = true
	}
}

// fieldsOf returns the fields by which an API server selects.
func fieldsOf(o runtime.Object, m metav1.Object) fields.Set {
	out := fields.Set{"metadata.name": m.GetName(), "metadata.namespace": m.GetNamespace()}
	switch o := o.(type) {
	case *corev1.Pod:
		out["spec.nodeName"], out["status.phase"], out["status.podIP"] = o.Spec.NodeName, string(o.Status.Phase), o.Status.PodIP
		out["spec.restartPolicy"], out["spec.schedulerName"] = string(o.Spec.RestartPolicy), o.Spec.SchedulerName
		out["spec.serviceAccountName"], out["spec.hostNetwork"] = o.Spec.ServiceAccountName, fmt.Sprint(o.Spec.HostNetwork)
		out["status.nominatedNodeName"] = o.Status.NominatedNodeName
	case *corev1.Service:
		out["spec.clusterIP"], out["spec.type"] = o.Spec.ClusterIP, string(o.Spec.Type)
	case *corev1.Node:
		out["spec.unschedulable"] = fmt.Sprint(o.Spec.Unschedulable)
	}
	return out
}

func (i *informer) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	i.handlers = append(i.handlers, h)
	return nil, nil
}

func (i *informer) GetStore() cache.Store     { return i.indexer }
func (i *informer) GetIndexer() cache.Indexer { return i.indexer }
func (i *informer) HasSynced() bool           { return true }

// last is the name of an object that does not exist. Its group, which is empty, comes after all others.
const last = "~last~"

// collect hands all objects to a discoverer and returns the groups that it makes.
func (i *informer) collect(ctx context.Context, run func(context.Context, chan<- []*targetgroup.Group)) (out []*targetgroup.Group) {
	ch := make(chan []*targetgroup.Group)
	go run(ctx, ch)
	go func() {
		for _, o := range i.indexer.List() {
			i.handlers[0].OnAdd(o, true)
		}
		i.handlers[0].OnDelete(cache.DeletedFinalStateUnknown{Key: last})
	}()
	for gs := range ch {
		for _, g := range gs {
			if g == nil { // a node without addresses
				continue
			}
			if strings.HasSuffix(g.Source, last) {
				return out
			}
			if len(g.Targets) > 0 {
				out = append(out, g)
			}
		}
	}
	return out
}
