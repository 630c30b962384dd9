package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"promrelay/config"
)

// TestTargetsOfARelay: a running relay gives the list that its manifests give, and the results of its scrapes.
func TestTargetsOfARelay(t *testing.T) {
	dir := t.TempDir()
	manifests := filepath.Join(dir, "manifests")
	if err := os.Mkdir(manifests, 0o755); err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up_ 1\n")) }))
	defer page.Close()
	write(t, filepath.Join(manifests, "all.yaml"), strings.ReplaceAll(clusterManifest, "10.0.0.1", "127.0.0.1")+"---\n"+
		"apiVersion: monitoring.coreos.com/v1alpha1\nkind: ScrapeConfig\nmetadata: {name: page, namespace: shop}\nspec:\n  scrapeInterval: 1s\n  scrapeTimeout: 1s\n  staticConfigs: [{targets: ['"+
		strings.TrimPrefix(page.URL, "http://")+"']}]\n")
	path := filepath.Join(dir, "promrelay.yml")
	write(t, path, "monitors: {}\nmanifests: {directory: manifests}\n")
	p := start(t, path)
	list := func(o targetsOptions) string {
		var out bytes.Buffer
		o.Output = "text"
		if err := listTargets(&out, o); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	p.await("the page is scraped", func() bool { return strings.Contains(list(targetsOptions{Relay: apiClient{URL: p.url}}), "} up\n") })
	health := regexp.MustCompile(`(?m)\} (up|down: .*|unknown)$`)
	got := health.ReplaceAllString(list(targetsOptions{Relay: apiClient{URL: p.url + "/"}}), "}")
	if want := list(targetsOptions{Manifests: manifests}); got != want {
		t.Errorf("the relay says\n%s\nits manifests give\n%s", got, want)
	}
	err := listTargets(&bytes.Buffer{}, targetsOptions{Relay: apiClient{URL: p.url}, Output: "json", FailOn: []string{"rejected,dropped"}})
	if err == nil || !strings.Contains(err.Error(), "--fail-on=rejected: ServiceMonitor shop/secret") {
		t.Errorf("--fail-on: %v", err)
	}
}

// TestAnswersOfOthers: what answers at --url may be anything. Errors say so, and what to do, without secrets.
func TestAnswersOfOthers(t *testing.T) {
	answer := func(status int, kind, text string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}))
		t.Cleanup(s.Close)
		return strings.Replace(s.URL, "://", "://user:SEKRET@", 1)
	}
	for name, c := range map[string]struct{ url, want string }{
		"credentials":  {answer(401, "text/plain", "no"), "it answers 401 Unauthorized: give credentials with --http.config.file"},
		"starting":     {answer(503, "text/plain", "The relay is starting.\nmore"), "it answers 503 Service Unavailable: The relay is starting."},
		"another page": {answer(404, "text/plain", "none"), "it answers 404 Not Found: is this the URL of its pages?"},
		"HTML":         {answer(200, "text/html", "<p>"), "its answer is not that of Prometheus's API"},
		"other JSON":   {answer(200, "application/json", `{"data": [1]}`), "its answer is not that of Prometheus's API"},
		"an error":     {answer(400, "application/json", `{"status": "error", "error": "state: want active"}`), "state: want active"},
		"Prometheus":   {answer(200, "application/json", `{"status": "success", "data": {"activeTargets": []}}`), "its answer has no monitors: is this a Prometheus, and no relay?"},
		"nobody":       {"http://" + freeAddress(t), "no server answers there: dial tcp"},
		"no URL":       {"localhost:9099", "want a URL such as http://localhost:9099"},
	} {
		_, err := targetsOptions{Relay: apiClient{URL: c.url}}.report()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "--url=") || strings.Contains(err.Error(), "SEKRET") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestOneSource: the flags name one place where targets are.
func TestOneSource(t *testing.T) {
	for name, c := range map[string]struct {
		o    targetsOptions
		want string
	}{
		"none":          {targetsOptions{}, "want one of --url, --manifests and --kubeconfig"},
		"two":           {targetsOptions{Manifests: "a", Relay: apiClient{URL: "http://a"}}, "want one of"},
		"a file":        {targetsOptions{ConfigFile: "a", Relay: apiClient{URL: "http://a"}}, "--config.file has no use with --url"},
		"no kubeconfig": {targetsOptions{Cluster: config.Kubernetes{Kubeconfig: "none-such"}}, "--kubeconfig=none-such: "},
	} {
		if _, err := c.o.report(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
