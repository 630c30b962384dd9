package objects

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// TestTable finds each resource by its name, by its kind and by its objects.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range All() {
		if seen[r.Name] || ByName(r.Name) != r || Of(r.Example) != r {
			t.Errorf("%s is not found as itself", r.Name)
		}
		seen[r.Name] = true
		if r.Kind != "" && OfKind(r.Kind) != r {
			t.Errorf("kind %s is not found", r.Kind)
		}
		if (r.Transform == nil) != r.ByNameOnly {
			t.Errorf("%s: read by name only is %t, has a transform is %t", r.Name, r.ByNameOnly, r.Transform != nil)
		}
		if _, ok := r.Indexers[ByNamespace]; ok == r.ClusterScoped {
			t.Errorf("%s: cluster-scoped is %t, has an index of namespaces is %t", r.Name, r.ClusterScoped, ok)
		}
	}
	for _, kind := range targets.Kinds {
		if OfKind(kind) == nil {
			t.Errorf("kind %s has no resource", kind)
		}
	}
	if ByName("deployments") != nil || OfKind("Pod") != nil || OfKind("") != nil || Of(&corev1.PodList{}) != nil {
		t.Error("something is found that is not in the table")
	}
	if u := (&Undecoded{Resource: OfKind(targets.Probe)}); Of(u).Kind != targets.Probe {
		t.Error("an Undecoded is not of its resource")
	}
	if got := ByName("scrapeconfigs").GroupVersion() + " " + ByName("pods").GroupVersion(); got != "monitoring.coreos.com/v1alpha1 v1" {
		t.Errorf("got %s", got)
	}
}

// TestIndexes demands the keys under which the worker looks for related objects.
func TestIndexes(t *testing.T) {
	node, port := "n1", int32(8443)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "web-x", Namespace: "shop", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Endpoints: []discoveryv1.Endpoint{{
			NodeName: &node, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web-a"},
		}},
	}
	yes := true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-a", Namespace: "shop", OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: &yes}}},
		Spec:       corev1.PodSpec{NodeName: "n1"},
	}
	named := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeHostName, Address: "n1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
	}}
	for name, c := range map[string]struct {
		o            runtime.Object
		index, value string
	}{
		"the Service of a slice":  {slice, ByService, "shop/web"},
		"the Pod of a slice":      {slice, ByPod, "shop/web-a"},
		"the Node of a slice":     {slice, ByNode, "n1"},
		"the namespace":           {slice, ByNamespace, "shop"},
		"the Node of a Pod":       {pod, ByNode, "n1"},
		"the ReplicaSet of a Pod": {pod, ByReplicaSet, "shop/web"},
		"the kubelet of a Node":   {named, ByKubelet, "10.0.0.1:8443"},
	} {
		r := Of(c.o)
		all := cache.NewIndexer(cache.MetaNamespaceKeyFunc, r.Indexers)
		if err := all.Add(c.o); err != nil {
			t.Fatal(err)
		}
		if keys, err := all.IndexKeys(c.index, c.value); err != nil || len(keys) != 1 {
			t.Errorf("%s: %q, %v", name, keys, err)
		}
	}
	for _, port := range []int32{0, -1, 65536} {
		if got := KubeletPort(&corev1.Node{Status: corev1.NodeStatus{DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}}}}); got != targets.KubeletPort {
			t.Errorf("of %d: port %d", port, got)
		}
	}
}

func TestSameContent(t *testing.T) {
	probe := func(version, module string, generation int64) *monitoringv1.Probe {
		return &monitoringv1.Probe{
			ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: version, Generation: generation}, Spec: monitoringv1.ProbeSpec{Module: module},
		}
	}
	a := probe("1", "m", 1)
	if !SameContent(a, probe("2", "m", 3)) || SameContent(a, probe("1", "n", 1)) || SameContent(a, &monitoringv1.PodMonitor{}) {
		t.Error("the content is compared wrongly")
	}
	if a.ResourceVersion != "1" || a.Generation != 1 {
		t.Error("an object was changed")
	}
}
