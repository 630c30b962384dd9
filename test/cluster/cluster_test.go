//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"promrelay/test/cluster"
)

var serviceMonitors = schema.GroupVersionResource{
	Group: "monitoring.coreos.com", Version: "v1", Resource: "servicemonitors",
}

const serviceMonitor = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  endpoints: [{port: metrics}]
`

func TestMain(m *testing.M) {
	cluster.Main(m,
		cluster.Binary{Name: "promrelay", Package: "./cmd/promrelay", Static: true},
		cluster.Binary{Name: "helm", Package: "helm.sh/helm/v4/cmd/helm", Dir: "test/helm"},
		cluster.Binary{Name: "kustomize", Package: "sigs.k8s.io/kustomize/kustomize/v5", Dir: "test/kustomize"})
}

// TestAPIServer covers what the relay's tests rest on: the kinds, the count of watches, an outage.
func TestAPIServer(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{Audit: true})
	version, err := c.Client().Discovery().ServerVersion()
	if err != nil || version.GitVersion != cluster.Version {
		t.Fatalf("version is %v (%v), want %s", version, err, cluster.Version)
	}
	c.Apply(t, serviceMonitor, serviceMonitor)
	mustExist(t, c)

	before := c.Watches(t)
	monitors := watch(t, c, "informer-under-test")
	held := map[string]int{"servicemonitors.monitoring.coreos.com": 1, "pods": 1}
	cluster.WaitFor(t, "two watches", 10*time.Second, func() error {
		return same(c.Watches(t).Since(before), held)
	})
	mine := cluster.AuditFilter{Agent: "informer-under-test"}
	if err := same(c.OpenWatches(t, mine), held); err != nil {
		t.Errorf("open watches in the audit log: %v", err)
	}
	// An informer asks for the present objects in its watch, and lists nothing.
	if err := same(c.Requests(t, mine), map[string]int{"watch servicemonitors.monitoring.coreos.com": 1, "watch pods": 1}); err != nil {
		t.Errorf("requests of the informers: %v", err)
	}

	url := c.URL()
	began := time.Now()
	c.Stop(t)
	t.Logf("stop took %s", time.Since(began))
	began = time.Now()
	c.StartAgain(t)
	t.Logf("start took %s", time.Since(began))
	if c.URL() != url {
		t.Errorf("address changed from %s to %s", url, c.URL())
	}
	mustExist(t, c)
	cluster.WaitFor(t, "two watches after the outage", 60*time.Second, func() error {
		return same(c.OpenWatches(t, mine), held)
	})
	if keys := monitors.ListKeys(); len(keys) != 1 || keys[0] != "shop/cart" {
		t.Errorf("informer holds %v, want shop/cart", keys)
	}
	c.Delete(t, serviceMonitor)
	cluster.WaitFor(t, "the informer to see the deletion", 10*time.Second, func() error {
		return same(map[string]int{"held": len(monitors.ListKeys())}, map[string]int{"held": 0})
	})
}

// TestCRDs installs and removes a kind on a running API server.
func TestCRDs(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	list := func() error {
		_, err := c.Dynamic().Resource(serviceMonitors).List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(); !apierrors.IsNotFound(err) {
		t.Errorf("list without the CRD: %v, want not found", err)
	}
	for range 2 {
		c.InstallCRDs(t, "servicemonitors")
		if err := list(); err != nil {
			t.Errorf("list with the CRD: %v", err)
		}
		c.Apply(t, serviceMonitor)
		c.RemoveCRDs(t, "servicemonitors")
		cluster.WaitFor(t, "the kind to go", 10*time.Second, func() error {
			if err := list(); !apierrors.IsNotFound(err) {
				return fmt.Errorf("list without the CRD: %w, want not found", err)
			}
			return nil
		})
	}
}

// TestServiceAccount shows that RBAC holds for a token, and only grants what a Role says.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{NoCRDs: true, Audit: true})
	client, err := kubernetes.NewForConfig(cluster.LoadKubeconfig(t, c.ServiceAccountKubeconfig(t, "monitoring", "relay")))
	if err != nil {
		t.Fatal(err)
	}
	services := func() error {
		_, err := client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := services(); !apierrors.IsForbidden(err) {
		t.Errorf("list services without a role: %v, want forbidden", err)
	}
	c.Apply(t, role("relay", "monitoring", "relay", `{apiGroups: [""], resources: [services], verbs: [list]}`))
	cluster.WaitFor(t, "the role to work", 10*time.Second, services)
	if _, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("list secrets: %v, want forbidden", err)
	}
	counts := c.Requests(t, cluster.AuditFilter{User: "system:serviceaccount:monitoring:relay", Resource: "secrets"})
	if err := same(counts, map[string]int{"list secrets": 1}); err != nil {
		t.Errorf("requests of the service account: %v", err)
	}
}

// role is a manifest that lets a ServiceAccount do one thing in the whole cluster.
func role(name, namespace, account, rule string) string {
	return strings.NewReplacer("NAMESPACE", namespace, "NAME", name, "ACCOUNT", account, "RULE", rule).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME}
rules: [RULE]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME}
subjects: [{kind: ServiceAccount, namespace: NAMESPACE, name: ACCOUNT}]
`)
}

// watch runs informers on ServiceMonitors and Pods until the test ends, and gives the store of the former.
func watch(t *testing.T, c *cluster.Cluster, agent string) cache.Store {
	t.Helper()
	config := c.AdminConfig()
	config.UserAgent = agent
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	informer := factory.ForResource(serviceMonitors).Informer()
	factory.ForResource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Informer()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return informer.GetStore()
}

func mustExist(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	if _, err := c.Dynamic().Resource(serviceMonitors).Namespace("shop").Get(t.Context(), "cart", metav1.GetOptions{}); err != nil {
		t.Errorf("get the ServiceMonitor: %v", err)
	}
}

func same(got, want map[string]int) error {
	var problems []error
	for key := range got {
		if want[key] != got[key] {
			problems = append(problems, fmt.Errorf("%s: got %d, want %d", key, got[key], want[key]))
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok && want[key] != 0 {
			problems = append(problems, fmt.Errorf("%s: got none, want %d", key, want[key]))
		}
	}
	return errors.Join(problems...)
}
