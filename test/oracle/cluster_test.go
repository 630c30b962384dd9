package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// kindsOf has the kind and the API of the resources that Prometheus lists.
var kindsOf = map[string][2]string{
	"endpointslices": {"EndpointSlice", "discovery.k8s.io/v1"}, "endpoints": {"Endpoints", "v1"}, "services": {"Service", "v1"},
	"pods": {"Pod", "v1"}, "nodes": {"Node", "v1"}, "namespaces": {"Namespace", "v1"}, "ingresses": {"Ingress", "networking.k8s.io/v1"},
	"replicasets": {"ReplicaSet", "apps/v1"}, "jobs": {"Job", "batch/v1"},
}

// server is as much of an API server as Prometheus's discovery needs.
func server(t *testing.T, all objects) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		kind := kindsOf[parts[len(parts)-1]]
		q := r.URL.Query()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case q.Get("sendInitialEvents") == "true":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: 422})
			return
		case q.Get("watch") == "true":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		ls, err := labels.Parse(q.Get("labelSelector"))
		fs, errFields := fields.ParseSelector(q.Get("fieldSelector"))
		if err != nil || errFields != nil {
			http.Error(w, "selector", http.StatusBadRequest)
			return
		}
		items := []runtime.Object{}
		for _, o := range all[kind[0]] {
			m := o.(metav1.Object)
			if i := slices.Index(parts, "namespaces"); i >= 0 && i < len(parts)-2 && m.GetNamespace() != parts[i+1] {
				continue
			}
			if ls.Matches(labels.Set(m.GetLabels())) && fs.Matches(fieldsOf(o, m)) {
				items = append(items, o)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind[0] + "List", "apiVersion": kind[1], "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// served returns what Prometheus finds with its whole Discovery on a server.
func served(t *testing.T, at string, sds []promk8s.SDConfig) []map[string]*targetgroup.Group {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	metrics, err := discovery.CreateAndRegisterSDMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := discovery.NewManager(ctx, silent, reg, metrics, discovery.Updatert(20*time.Millisecond))
	go m.Run()
	jobs := map[string]discovery.Configs{}
	out := make([]map[string]*targetgroup.Group, len(sds))
	for i, sd := range sds {
		sd.APIServer, sd.HTTPClientConfig = config_util.URL{URL: u}, config_util.DefaultHTTPClientConfig
		jobs[strconv.Itoa(i)] = discovery.Configs{&sd}
		out[i] = map[string]*targetgroup.Group{}
	}
	if err := m.ApplyConfig(jobs); err != nil {
		t.Fatal(err)
	}
	for quiet := time.After(time.Second); ; {
		select {
		case groups := <-m.SyncCh():
			for i := range sds {
				for _, g := range groups[strconv.Itoa(i)] {
					if len(g.Targets) > 0 {
						out[i][g.Source] = g
					}
				}
			}
		case <-quiet:
			return out
		}
	}
}

// TestDiscovery compares the short way by which the oracle finds groups with Prometheus's whole discovery.
func TestDiscovery(t *testing.T) {
	paths, err := filepath.Glob("../conformance/testdata/traps/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			all := readObjects(t, path)
			at := server(t, all)
			sds := []promk8s.SDConfig{
				{Role: promk8s.RoleEndpointSlice, AttachMetadata: promk8s.AttachMetadataConfig{Node: true}},
				{Role: promk8s.RoleEndpointSlice, NamespaceDiscovery: promk8s.NamespaceDiscovery{Names: []string{"default", "kube-system"}}},
				{Role: promk8s.RoleEndpointSlice, Selectors: []promk8s.SelectorConfig{{Role: promk8s.RoleEndpointSlice, Label: "app=web"}, {Role: promk8s.RoleService, Label: "app=web"}}},
				{Role: promk8s.RoleEndpoint, AttachMetadata: promk8s.AttachMetadataConfig{Node: true, Namespace: true}},
				{Role: promk8s.RolePod, AttachMetadata: promk8s.AttachMetadataConfig{Node: true}},
				{Role: promk8s.RolePod, Selectors: []promk8s.SelectorConfig{{Role: promk8s.RolePod, Field: "spec.nodeName=node1"}}},
				{Role: promk8s.RoleService},
				{Role: promk8s.RoleNode, NamespaceDiscovery: promk8s.NamespaceDiscovery{Names: []string{"default"}}},
				{Role: promk8s.RoleIngress},
			}
			for i, want := range served(t, at, sds) {
				sd := sds[i]
				found, err := newCluster(t.Context(), all, "default").groups(&sd)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]*targetgroup.Group{}
				for _, g := range found {
					got[g.Source] = g
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s %v: the short way gives\n%v\nPrometheus\n%v", sd.Role, sd.NamespaceDiscovery.Names, got, want)
				}
			}
		})
	}
}

func readObjects(t *testing.T, path string) objects {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var raws []json.RawMessage
	for _, doc := range strings.Split(string(text), "\n---\n")[1:] {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	all, err := decode(raws)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
