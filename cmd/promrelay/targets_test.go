package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const clusterManifest = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  endpoints:
  - port: web
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: secret, namespace: shop}
spec:
  selector: {}
  endpoints:
  - port: web
    basicAuth: {username: {name: none, key: u}, password: {name: none, key: p}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {ports: [{name: web, port: 80}, {name: admin, port: 81}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: web, port: 8080, protocol: TCP}, {name: admin, port: 8081, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1]}]
`

const pullRequest = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  endpoints: [{port: web}, {port: metrics}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {app: cart}}
spec: {ports: [{name: web, port: 80}]}
`

// TestListTargetsOfAPullRequest shows which Services are selected, and which of their ports match.
func TestListTargetsOfAPullRequest(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(pullRequest), 0o644); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := listTargets(&text, targetsOptions{Manifests: dir, Output: "text"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"no targets: Service shop/cart is selected, and its port web 80 matches;", `Service shop/cart is selected, but of its ports (web 80) none is called "metrics"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("lacks %q:\n%s", want, text.String())
		}
	}
}

func TestListTargets(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(clusterManifest), 0o644); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := listTargets(&text, targetsOptions{Manifests: dir, Output: "text"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ServiceMonitor shop/cart: accepted\n  serviceMonitor/shop/cart/0: 1 targets, 1 dropped\n    http://10.0.0.1:8080/metrics every 30s {",
		`service="cart"`, "dropped 10.0.0.1:8081: endpoints[0].port is ", `ServiceMonitor shop/secret: rejected: endpoints[0]: basicAuth: username: Secret shop/none`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("lacks %q:\n%s", want, text.String())
		}
	}

	var js bytes.Buffer
	if err := listTargets(&js, targetsOptions{Manifests: dir, Output: "json"}); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(js.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Monitors) != 2 || r.Monitors[0].Jobs[0].Targets[0].Labels["job"] != "cart" {
		t.Errorf("got %s", js.String())
	}
	if err := listTargets(&js, targetsOptions{Manifests: filepath.Join(dir, "none"), Output: "text"}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no directory: %v", err)
	}
}

// TestFailOn: a list of targets is a check in a pipeline, of what is named.
func TestFailOn(t *testing.T) {
	dir := t.TempDir()
	accepted, _, _ := strings.Cut(clusterManifest, "---\n")
	good := filepath.Join(dir, "good")
	bad := filepath.Join(dir, "bad")
	for path, text := range map[string]string{
		filepath.Join(good, "all.yaml"): accepted + "---\n" + clusterManifest[strings.Index(clusterManifest, "apiVersion: v1\nkind: Service"):],
		filepath.Join(bad, "all.yaml"):  strings.ReplaceAll(clusterManifest, "port: web\n---", "port: none\n---"),
		filepath.Join(good, "sd.yaml"):  "apiVersion: monitoring.coreos.com/v1alpha1\nkind: ScrapeConfig\nmetadata: {name: sd, namespace: shop}\nspec: {dnsSDConfigs: [{names: [a.example]}]}\n",
		filepath.Join(bad, "bad.yaml"):  "kind: Pod\nspec: 3\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		dir  string
		on   []string
		want string // parts of the error, by |; empty: none
	}{
		"good":     {good, []string{"rejected,empty", "dropped"}, ""},
		"no flag":  {bad, nil, ""},
		"rejected": {bad, []string{"rejected"}, "--fail-on=rejected: |bad.yaml: |ServiceMonitor shop/secret"},
		"empty":    {bad, []string{"empty"}, "--fail-on=empty: ServiceMonitor shop/cart"},
		"dropped":  {bad, []string{"dropped"}, "--fail-on=dropped: serviceMonitor/shop/cart/0"},
		"several":  {bad, []string{"empty,rejected", "dropped"}, "--fail-on=empty: |--fail-on=rejected: |--fail-on=dropped: "},
		"unknown":  {bad, []string{"reject"}, `--fail-on=reject, did you mean "rejected"?`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, output := range outputs {
				var out bytes.Buffer
				err := listTargets(&out, targetsOptions{Manifests: c.dir, Output: output, FailOn: c.on})
				if (err == nil) != (c.want == "") {
					t.Fatalf("%s: %v, want %q", output, err, c.want)
				}
				for part := range strings.SplitSeq(c.want, "|") {
					if err != nil && !strings.Contains(err.Error(), part) {
						t.Errorf("%s: %v, want %q in it", output, err, part)
					}
				}
				if name != "unknown" && out.Len() == 0 {
					t.Error("there is no list")
				}
			}
		})
	}
	if err := listTargets(&bytes.Buffer{}, targetsOptions{Manifests: good, Output: "yaml"}); err == nil || err.Error() != "--output=yaml: want text or json" {
		t.Errorf("another form: %v", err)
	}
}
