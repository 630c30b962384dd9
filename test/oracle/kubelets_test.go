package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus-operator/prometheus-operator/pkg/kubelet"
	"github.com/prometheus-operator/prometheus-operator/pkg/operator"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// TestKubelets asks the operator's own code where it reaches kubelets, with the table with which the tests of informers ask the relay.
func TestKubelets(t *testing.T) {
	text, err := os.ReadFile("../../informers/testdata/kubelets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name     string
		Nodes    map[string]string
		Operator []string
	}
	if err := yaml.Unmarshal(text, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var nodes []runtime.Object
				for name, n := range c.Nodes {
					nodes = append(nodes, node(t, name, n))
				}
				if got := endpoints(t, nodes); !slices.Equal(got, c.Operator) {
					t.Errorf("the operator has %q, the table %q", got, c.Operator)
				}
			})
		})
	}
}

// node reads a Node of the table.
func node(t *testing.T, name, text string) *corev1.Node {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for i, part := range strings.Split(text, ",") {
		typ, address, _ := strings.Cut(strings.TrimPrefix(part, " "), " ")
		switch {
		case i > 0:
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeAddressType(typ), Address: address})
		case typ != "-":
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionStatus(typ)}}
		}
	}
	return n
}

// endpoints are what the operator's EndpointSlices for the kubelets hold, as "node address", sorted.
func endpoints(t *testing.T, nodes []runtime.Object) (out []string) {
	t.Helper()
	client := fake.NewClientset(nodes...)
	client.PrependReactor("create", "endpointslices", func(a clienttesting.Action) (bool, runtime.Object, error) {
		s := a.(clienttesting.CreateAction).GetObject().(*discoveryv1.EndpointSlice)
		s.Name = s.GenerateName + string(s.AddressType) // as an API server would
		return false, nil, nil
	})
	var selector operator.LabelSelector
	c, err := kubelet.New(silent, client, nil, "kubelet", "kube-system", selector, operator.Map{}, operator.Map{},
		kubelet.WithEndpointSlice(), kubelet.WithMaxEndpointsPerSlice(512), kubelet.WithSyncPeriod(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	all, err := client.DiscoveryV1().EndpointSlices("kube-system").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Items {
		for _, e := range s.Endpoints {
			out = append(out, *e.NodeName+" "+e.Addresses[0])
		}
	}
	slices.Sort(out)
	return out
}
