package informers

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/discovery/targetgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/randfill"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// TestTransformsKeepAllLabels makes groups of objects whose fields are all filled with something, before and after the
// transforms: they must be the same, also in what a later Prometheus may read.
func TestTransformsKeepAllLabels(t *testing.T) {
	roles := []string{targets.RoleEndpointSlice, targets.RoleEndpoints, targets.RolePod, targets.RoleService, targets.RoleIngress, targets.RoleNode}
	found := map[string]int{}
	for seed := range int64(100) {
		whole := fullObjects(seed)
		for _, role := range roles {
			src := targets.Source{Role: role, Attach: targets.Attach{Node: true, Namespace: true, Deployment: true, Job: true, CronJob: true}}
			want := groupsOf(t, src, indexersOf(t, whole, false))
			got := groupsOf(t, src, indexersOf(t, whole, true))
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("seed %d, role %s: groups are\n%s\nwithout transforms\n%s", seed, role, show(got), show(want))
			}
			for _, g := range want {
				found[role] += len(g.Targets)
			}
		}
	}
	for _, role := range roles {
		if found[role] < 50 {
			t.Errorf("only %d targets of role %s", found[role], role)
		}
	}
}

func show(groups map[string]*targetgroup.Group) string {
	var b strings.Builder
	for name, g := range groups {
		fmt.Fprintln(&b, name, g.Labels)
		for _, ls := range g.Targets {
			fmt.Fprintln(&b, "  ", ls)
		}
	}
	return b.String()
}

// fullObjects are objects that refer to each other.
func fullObjects(seed int64) (out []runtime.Object) {
	f := randfill.New().RandSource(rand.NewSource(seed)).NilChance(0.15).NumElements(1, 3).Funcs(
		func(m *metav1.ObjectMeta, c randfill.Continue) {
			c.FillNoCustom(m)
			m.Namespace, m.DeletionTimestamp = "shop", nil
			for i := range m.OwnerReferences {
				m.OwnerReferences[i].Kind = []string{"ReplicaSet", "Job", "CronJob", "Deployment"}[c.Intn(4)]
				m.OwnerReferences[i].Name = "o"
			}
		},
		func(m *map[string]string, c randfill.Continue) { // names that stay apart when they are sanitised
			*m = map[string]string{"a": c.String(9), "b/c": c.String(9)}
		},
		func(p *corev1.PodStatus, c randfill.Continue) {
			c.FillNoCustom(p)
			for i := range p.Conditions {
				p.Conditions[i].Type = corev1.PodReady
			}
		},
		func(s *corev1.ServiceSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			s.Type = []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName}[c.Intn(3)]
		},
		func(n *corev1.NodeAddress, c randfill.Continue) {
			c.FillNoCustom(n)
			n.Type = corev1.NodeInternalIP
		},
	)
	add := func(o runtime.Object, name string, unspaced bool) {
		f.Fill(o)
		m, err := meta.Accessor(o)
		if err != nil {
			panic(err)
		}
		if m.SetName(name); unspaced {
			m.SetNamespace("")
		}
		out = append(out, o)
	}
	add(&corev1.Namespace{}, "shop", true)
	add(&corev1.Node{}, "n", true)
	add(&appsv1.ReplicaSet{}, "o", false)
	add(&batchv1.Job{}, "o", false)
	add(&corev1.Service{}, "web", false)
	add(&networkingv1.Ingress{}, "web", false)
	pod := &corev1.Pod{}
	add(pod, "p", false)
	pod.Spec.NodeName = "n"
	if len(pod.Spec.Containers) > 0 && len(pod.Status.ContainerStatuses) > 0 {
		pod.Status.ContainerStatuses[0].Name = pod.Spec.Containers[0].Name
	}
	node, ref := "n", corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "p"}
	slice := &discoveryv1.EndpointSlice{}
	add(slice, "web-x", false)
	if slice.Labels == nil {
		slice.Labels = map[string]string{}
	}
	slice.Labels[discoveryv1.LabelServiceName] = "web"
	for i := range slice.Endpoints {
		slice.Endpoints[i].TargetRef, slice.Endpoints[i].NodeName = &ref, &node
	}
	e := &corev1.Endpoints{} //nolint:staticcheck // the role endpoints reads them
	add(e, "web", false)
	for i := range e.Subsets {
		for j := range e.Subsets[i].Addresses {
			e.Subsets[i].Addresses[j].TargetRef, e.Subsets[i].Addresses[j].NodeName = &ref, &node
		}
	}
	return out
}

// indexersOf holds the objects as informers would, after the transforms or without them.
func indexersOf(t *testing.T, given []runtime.Object, transformed bool) func(string) cache.Indexer {
	t.Helper()
	all := map[string]cache.Indexer{}
	for _, r := range objects.All() {
		all[r.Name] = cache.NewIndexer(cache.MetaNamespaceKeyFunc, r.Indexers)
	}
	for _, o := range given {
		o, r := o.DeepCopyObject(), objects.Of(o) // discoverers append to slices in them
		if transformed {
			r.Transform(o)
		}
		if err := all[r.Name].Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) cache.Indexer { return all[name] }
}

// groupsOf makes all groups of a source.
func groupsOf(t *testing.T, src targets.Source, of func(string) cache.Indexer) map[string]*targetgroup.Group {
	t.Helper()
	b, err := newBuilder(t.Context(), src, func(name string) lookup { return of(name).GetByKey }, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := slices.Clone(of(resourceOf[src.Role]).ListKeys())
	out := map[string]*targetgroup.Group{}
	for _, g := range b.build(t.Context(), keys) {
		if out[g.Source] != nil {
			panic(fmt.Sprintf("group %s twice", g.Source))
		}
		out[g.Source] = g
	}
	return out
}
