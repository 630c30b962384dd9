package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"promrelay/config"
)

// aCluster is an API server with one Service and its slice, of which nothing changes. It counts requests that write.
func aCluster(t *testing.T) (kubeconfig string, writes *atomic.Int64) {
	t.Helper()
	const (
		service = `{"metadata": {"name": "cart", "namespace": "shop", "labels": {"app": "cart"}}, "spec": {"ports": [{"name": "web", "port": 80}]}}`
		slice   = `{"metadata": {"name": "cart-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "cart"}}, "addressType": "IPv4", "ports": [{"name": "web", "port": 8080}], "endpoints": [{"addresses": ["10.0.0.1"]}]}`
		monitor = `{"metadata": {"name": "there", "namespace": "shop"}, "spec": {"selector": {}, "endpoints": [{"port": "web"}]}}`
	)
	kinds := map[string][3]string{ // apiVersion, kind and items, by resource
		"services": {"v1", "Service", service}, "endpointslices": {"discovery.k8s.io/v1", "EndpointSlice", slice}, "pods": {"v1", "Pod", ""},
		"servicemonitors": {"monitoring.coreos.com/v1", "ServiceMonitor", monitor}, "podmonitors": {"monitoring.coreos.com/v1", "PodMonitor", ""},
		"probes": {"monitoring.coreos.com/v1", "Probe", ""}, "scrapeconfigs": {"monitoring.coreos.com/v1alpha1", "ScrapeConfig", ""},
		"namespaces": {"v1", "Namespace", ""}, "nodes": {"v1", "Node", ""}, "endpoints": {"v1", "Endpoints", ""},
	}
	writes = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			writes.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		of, ok := kinds[path.Base(r.URL.Path)]
		switch {
		case r.URL.Query().Get("watch") != "" && r.URL.Query().Get("sendInitialEvents") != "":
			http.Error(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}`, http.StatusUnprocessableEntity)
		case r.URL.Query().Get("watch") != "":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case ok:
			fmt.Fprintf(w, `{"apiVersion": %q, "kind": "%sList", "metadata": {"resourceVersion": "1"}, "items": [%s]}`, of[0], of[1], of[2])
		default: // which resources are served
			var names []string
			for name := range kinds {
				names = append(names, fmt.Sprintf(`{"name": %q, "verbs": ["list"]}`, name))
			}
			fmt.Fprintf(w, `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": %q, "resources": [%s]}`, strings.TrimPrefix(r.URL.Path, "/apis/"), strings.Join(names, ","))
		}
	}))
	t.Cleanup(s.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	write(t, kubeconfig, `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "`+s.URL+`"}}], contexts: [{name: c, context: {cluster: c, user: ""}}]}`)
	return kubeconfig, writes
}

// TestLintOfCluster: the monitors of files are compared with the Services of a cluster.
func TestLintOfCluster(t *testing.T) {
	kubeconfig, writes := aCluster(t)
	path := filepath.Join(t.TempDir(), "monitors.yaml")
	const monitor = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: %s, namespace: shop}\nspec:\n  selector: {matchLabels: {app: %s}}\n  endpoints:\n  - {port: %s}\n---\n"
	write(t, path, fmt.Sprintf(monitor+monitor+monitor+monitor, "good", "cart", "web", "port", "cart", "metrics", "label", "crat", "web", "rejected", "cart", `web, interval: "no"`))
	var out bytes.Buffer
	err := lintFiles(&out, nil, lintOptions{Paths: []string{path}, Output: "text", FailOn: "error", Cluster: config.Kubernetes{Kubeconfig: kubeconfig}})
	if err != errFindings {
		t.Errorf("error %v", err)
	}
	got := out.String()
	for _, want := range []string{":15: error: ServiceMonitor shop/port has no targets: ", ":21: warning: ServiceMonitor shop/label selects nothing: ", "error: ServiceMonitor shop/rejected is rejected: ", "4 monitors in 1 file: 2 errors, 1 warning, 0 notes"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if writes.Load() > 0 {
		t.Errorf("%d requests write", writes.Load())
	}
}

// TestTargetsOfCluster: the list is what a relay would scrape there.
func TestTargetsOfCluster(t *testing.T) {
	kubeconfig, writes := aCluster(t)
	var out bytes.Buffer
	if err := listTargets(&out, targetsOptions{Output: "text", Cluster: config.Kubernetes{Kubeconfig: kubeconfig}, FailOn: []string{"rejected,empty,dropped"}}); err != nil {
		t.Error(err)
	}
	if got := out.String(); !strings.Contains(got, "ServiceMonitor shop/there: accepted") || !strings.Contains(got, "http://10.0.0.1:8080/metrics every 30s") || strings.Contains(got, "secrets") {
		t.Errorf("got %s", got)
	}
	if writes.Load() > 0 {
		t.Errorf("%d requests write", writes.Load())
	}
}
