package informers

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/discovery/targetgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/guard"
	"promrelay/targets"
)

// in returns the objects of a map by key.
func in(objects map[string]runtime.Object) lookup {
	return func(key string) (any, bool, error) {
		o, ok := objects[key]
		return o, ok, nil
	}
}

// keyed returns objects by their keys.
func keyed(t *testing.T, objects ...runtime.Object) map[string]runtime.Object {
	t.Helper()
	out := map[string]runtime.Object{}
	for _, o := range objects {
		key, err := cache.MetaNamespaceKeyFunc(o)
		if err != nil {
			t.Fatal(err)
		}
		out[key] = o
	}
	return out
}

func somePod(name string) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name, p.Status.PodIP = "shop", name, "10.0.0.1"
	p.Spec.Containers = []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}
	return p
}

func someService(name string) *corev1.Service {
	s := &corev1.Service{}
	s.Namespace, s.Name, s.Spec.Ports = "shop", name, []corev1.ServicePort{{Port: 80}}
	return s
}

func someNode(name string) *corev1.Node {
	n := &corev1.Node{}
	n.Name, n.Status.Addresses = name, []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}
	return n
}

// startBuilder starts a builder on the objects of a role, without any others. A build that takes too long fails the test.
func startBuilder(t *testing.T, src targets.Source, of lookup, g *guard.Guard) (build func(keys ...string) []*targetgroup.Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	b, err := newBuilder(ctx, src, func(resource string) lookup {
		if resource == resourceOf[src.Role] {
			return of
		}
		return in(nil)
	}, g)
	if err != nil {
		t.Fatal(err)
	}
	return func(keys ...string) []*targetgroup.Group {
		t.Helper()
		out := b.build(ctx, keys)
		if ctx.Err() != nil {
			t.Fatal("the build does not end")
		}
		slices.SortFunc(out, func(a, b *targetgroup.Group) int { return cmp.Compare(a.Source, b.Source) })
		return out
	}
}

// sourcesOf requires these Sources of groups with targets, and these of all other groups.
func sourcesOf(t *testing.T, groups []*targetgroup.Group, full, empty []string) {
	t.Helper()
	var gotFull, gotEmpty []string
	for _, g := range groups {
		if len(g.Targets) > 0 {
			gotFull = append(gotFull, g.Source)
		} else {
			gotEmpty = append(gotEmpty, g.Source)
		}
	}
	if !slices.Equal(gotFull, full) || !slices.Equal(gotEmpty, empty) {
		t.Errorf("groups with targets are %q, want %q; without %q, want %q", gotFull, full, gotEmpty, empty)
	}
}

// TestBuild builds twice for each role: with the objects, and after they are gone.
func TestBuild(t *testing.T) {
	slice := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}}
	slice.Namespace, slice.Name, slice.Ports = "shop", "a", []discoveryv1.EndpointPort{{Port: new(int32(80))}}
	endpoints := &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{ //nolint:staticcheck // the role endpoints reads them
		Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}}, Ports: []corev1.EndpointPort{{Port: 80}},
	}}}
	endpoints.Namespace, endpoints.Name = "shop", "a"
	ingress := &networkingv1.Ingress{Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: "h"}}}}
	ingress.Namespace, ingress.Name = "shop", "a"
	for role, c := range map[string]struct {
		object runtime.Object
		key    string
		source string
	}{
		targets.RolePod:           {somePod("a"), "shop/a", "pod/shop/a"},
		targets.RoleService:       {someService("a"), "shop/a", "svc/shop/a"},
		targets.RoleNode:          {someNode("a"), "a", "node/a"},
		targets.RoleEndpointSlice: {slice, "shop/a", "endpointslice/shop/a"},
		targets.RoleEndpoints:     {endpoints, "shop/a", "endpoints/shop/a"},
		targets.RoleIngress:       {ingress, "shop/a", "ingress/shop/a"},
	} {
		t.Run(role, func(t *testing.T) {
			objects := keyed(t, c.object)
			build := startBuilder(t, targets.Source{Role: role}, in(objects), nil)
			sourcesOf(t, build(c.key), []string{c.source}, nil)
			clear(objects)
			sourcesOf(t, build(c.key), nil, []string{c.source})
			if got := build(); got != nil {
				t.Errorf("of no keys: %v", got)
			}
		})
	}
	if _, err := newBuilder(t.Context(), targets.Source{Role: "x"}, func(string) lookup { return in(nil) }, nil); err == nil {
		t.Error("there is a builder of an unknown role")
	}
}

// TestBuildOfNames that a person may write into a manifest: none of them ends a build before its time.
func TestBuildOfNames(t *testing.T) {
	for name, names := range map[string][]string{
		"numbers":      {"#1", "#2", "a#1", "b"},
		"no letters":   {" ", "-", ".", "#", "~"},
		"control":      {"\x00", "\n", "é"},
		"like a group": {"pod", "node", "svc"},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Sort(names)
			var keys, nodes, podSources, nodeSources []string
			pods, nodeObjects := []runtime.Object{}, []runtime.Object{}
			for _, n := range names {
				pods, nodeObjects = append(pods, somePod(n)), append(nodeObjects, someNode(n))
				keys, nodes = append(keys, "shop/"+n), append(nodes, n)
				podSources, nodeSources = append(podSources, "pod/shop/"+n), append(nodeSources, "node/"+n)
			}
			buildPods := startBuilder(t, targets.Source{Role: targets.RolePod}, in(keyed(t, pods...)), nil)
			buildNodes := startBuilder(t, targets.Source{Role: targets.RoleNode}, in(keyed(t, nodeObjects...)), nil)
			for range 3 {
				sourcesOf(t, buildPods(keys...), podSources, nil)
				sourcesOf(t, buildNodes(nodes...), nodeSources, nil)
			}
		})
	}
}

// TestPodWithANumber has a manifest of a Pod whose name looked like the end of a build: no Pod had targets then. No API server
// accepts that name, so the Pod is refused, and affects nothing else.
func TestPodWithANumber(t *testing.T) {
	named := func(name, ip string) string {
		return strings.NewReplacer("web-a", name, "10.1.0.1", ip).Replace(pod("x"))
	}
	w := newWorld(t, "scrape_configs:\n- job_name: pods\n  kubernetes_sd_configs: [{role: pod}]\n", map[string]string{
		"all.yaml": named("'a#1'", "10.1.0.1") + "---" + named("b", "10.1.0.2"),
	})
	w.becomes(`pods http://10.1.0.2:8080/metrics {instance="10.1.0.2:8080", job="pods"}`)
}

// TestPanicOfAnObject costs one group, also where the discoverer looks it up in a goroutine of its own.
func TestPanicOfAnObject(t *testing.T) {
	g, metrics, logs := newGuard()
	objects := in(keyed(t, someService("a"), someService("b")))
	build := startBuilder(t, targets.Source{Role: targets.RoleService}, func(key string) (any, bool, error) {
		if key == "shop/a" {
			panic("a is wrong")
		}
		return objects(key)
	}, g)
	for range 2 {
		sourcesOf(t, build("shop/a", "shop/b"), []string{"svc/shop/b"}, []string{"svc/shop/a"})
	}
	caught(t, metrics, logs, guard.Group, 2, 1)
}

// TestStandIn calls the methods that Prometheus's discoverers may call in addition to those that they call today.
func TestStandIn(t *testing.T) {
	objects := keyed(t, somePod("a"))
	i := newInformer(in(objects))
	if got, ok, err := i.GetStore().Get(somePod("a")); got != objects["shop/a"] || !ok || err != nil {
		t.Errorf("Get returns %v, %t, %v", got, ok, err)
	}
	if _, _, err := i.GetStore().Get("no object"); err == nil {
		t.Error("Get takes what is no object")
	}
	first, second := cache.ResourceEventHandlerFuncs{AddFunc: func(any) {}}, cache.ResourceEventHandlerFuncs{}
	for _, add := range []func() (cache.ResourceEventHandlerRegistration, error){
		func() (cache.ResourceEventHandlerRegistration, error) { return i.AddEventHandler(first) },
		func() (cache.ResourceEventHandlerRegistration, error) {
			return i.AddEventHandlerWithResyncPeriod(second, time.Second)
		},
		func() (cache.ResourceEventHandlerRegistration, error) {
			return i.AddEventHandlerWithOptions(second, cache.HandlerOptions{})
		},
	} {
		if r, err := add(); err != nil || !r.HasSynced() {
			t.Errorf("a handler is registered as %v, %v", r, err)
		}
	}
	if i.handler.(cache.ResourceEventHandlerFuncs).AddFunc == nil {
		t.Error("the first handler is not kept")
	}
	select {
	case <-i.GetController().HasSyncedChecker().Done():
	default:
		t.Error("it is not in sync")
	}
	x := i.GetIndexer()
	for what, err := range map[string]error{
		"Add": x.Add(1), "Update": x.Update(1), "Delete": x.Delete(1), "Replace": x.Replace(nil, ""), "AddIndexers": x.AddIndexers(nil), "SetTransform": i.SetTransform(nil),
	} {
		if !errors.Is(err, errReadOnly) {
			t.Errorf("%s returns %v", what, err)
		}
	}
}
