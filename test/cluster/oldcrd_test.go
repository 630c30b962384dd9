//go:build linux

package cluster_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"promrelay/test/cluster"
)

var (
	crdResource   = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	scrapeConfigs = schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1alpha1", Resource: "scrapeconfigs"}
)

// TestObjectsOfAnOlderCRD has ScrapeConfigs that were stored when a field had another type, and are served as they are
// although the CRD has changed: each is rejected alone.
func TestObjectsOfAnOlderCRD(t *testing.T) {
	t.Parallel()
	good := startExporter(t, 6000)
	c := cluster.Start(t, cluster.Options{Audit: true})
	kubeconfig := install(t, c)
	asNow := headerSchema(t, c, map[string]any{"type": "object", "additionalProperties": map[string]any{
		"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}, "key": map[string]any{"type": "string"}},
	}})
	old := func(name string) string {
		return strings.ReplaceAll(fill(scrapeConfigOf, "NS", "old", "NAME", name, "ADDRESS", good.ip), "spec: {", "spec: {proxyConnectHeader: {X: {name: a, key: b}}, ")
	}
	c.Apply(t, fill(namespaceOf, "NS", "old"), fill(scrapeConfigOf, "NS", "old", "NAME", "good", "ADDRESS", good.ip))
	stored(t, c, old("before"))
	r := startRelay(t, startReceiver(t), everything(kubeconfig))
	const reason = "spec.proxyConnectHeader.X: it is an object, want a list"
	r.isUp(t, 10*time.Second, "scrapeConfig/old/good")
	r.shows(t, 10*time.Second, "old/before", reason)
	hasEvent(t, c, "old", 0)
	stored(t, c, old("later"))
	r.shows(t, 10*time.Second, "old/later")
	headerSchema(t, c, asNow)
	cluster.WaitFor(t, "the CRD to be as it is now", 10*time.Second, func() error {
		if err := create(t, c, old("refused")); err == nil || !strings.Contains(err.Error(), "proxyConnectHeader") {
			return fmt.Errorf("it does not refuse the old form (%w)", err)
		}
		return nil
	})
	again := startRelay(t, startReceiver(t), everything(kubeconfig))
	again.isUp(t, 10*time.Second, "scrapeConfig/old/good")
	again.shows(t, 10*time.Second, "old/before", "old/later", reason)
	for _, name := range []string{"before", "later"} {
		patch := []byte(`[{"op": "remove", "path": "/spec/proxyConnectHeader"}]`)
		if _, err := c.Dynamic().Resource(scrapeConfigs).Namespace("old").Patch(t.Context(), name, types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, one := range []*relay{r, again} {
			one.isUp(t, 10*time.Second, "scrapeConfig/old/"+name)
		}
	}
	if n := c.OpenWatches(t, cluster.AuditFilter{User: relayUser, Resource: "scrapeconfigs.monitoring.coreos.com"}).Total(); n != 2 {
		t.Errorf("%d watches of two relays", n)
	}
}

// stored makes a ScrapeConfig, as soon as the API server takes it.
func stored(t *testing.T, c *cluster.Cluster, manifest string) {
	t.Helper()
	cluster.WaitFor(t, "the CRD to take it", 10*time.Second, func() error { return create(t, c, manifest) })
}

func create(t *testing.T, c *cluster.Cluster, manifest string) error {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		t.Fatal(err)
	}
	_, err := c.Dynamic().Resource(scrapeConfigs).Namespace(o.GetNamespace()).Create(t.Context(), o, metav1.CreateOptions{})
	return err
}

// headerSchema sets the schema of a ScrapeConfig's proxyConnectHeader, and returns what it was.
func headerSchema(t *testing.T, c *cluster.Cluster, to any) (was any) {
	t.Helper()
	crd, err := c.Dynamic().Resource(crdResource).Get(t.Context(), "scrapeconfigs.monitoring.coreos.com", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%d versions (%v)", len(versions), err)
	}
	at := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "proxyConnectHeader"}
	was, found, err := unstructured.NestedFieldCopy(versions[0].(map[string]any), at...)
	if err != nil || !found {
		t.Fatalf("no schema of proxyConnectHeader (%v)", err)
	}
	patch, err := json.Marshal([]any{map[string]any{"op": "replace", "path": "/spec/versions/0/" + strings.Join(at, "/"), "value": to}})
	if err == nil {
		_, err = c.Dynamic().Resource(crdResource).Patch(t.Context(), crd.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return was
}
