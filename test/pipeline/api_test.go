package pipeline

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"go.yaml.in/yaml/v3"

	"promrelay/test/peers"
)

// apiConfig scrapes an exporter, and drops another address by a rule.
const apiConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: shop
  static_configs: [{targets: [%[1]q, 'dropped.example:1'], labels: {team: a}}]
  relabel_configs:
  - {source_labels: [__address__], regex: 'dropped.*', action: drop}
  - {source_labels: [team], target_label: squad, replacement: 'x-$1'}
- job_name: down
  metrics_path: /gone
  static_configs: [{targets: [%[1]q]}]
- job_name: empty
  static_configs: [{targets: []}]
`

const apiPage = "# HELP a What a counts.\n# TYPE a counter\na 1\n# HELP b_bytes What b weighs.\n# TYPE b_bytes gauge\nb_bytes 2\n# TYPE c untyped\nc 3\n"

// TestPrometheusAPI asks a Prometheus and the relay, with the same configuration, the same questions. The answers differ only as this
// test says.
func TestPrometheusAPI(t *testing.T) {
	t.Parallel()
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, apiPage)
	}))
	t.Cleanup(exporter.Close)
	config := fmt.Sprintf(apiConfig, strings.TrimPrefix(exporter.URL, "http://"))
	prometheus, err := peers.StartPrometheus(t.Context(), peers.Options{Dir: t.TempDir(), Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(prometheus.Kill)
	relay := startRelay(t, config)
	for _, server := range []string{prometheus.URL(), relay.URL()} {
		await(t, time.Minute, "all targets are scraped", func() error { return allScraped(t, server) })
	}
	pool := "scrapePool=shop"
	labels := "labels=" + url.QueryEscape(`{"__address__":"a:1","team":"b"}`)
	for _, path := range []string{
		"targets", "targets?state=active", "targets?state=Dropped", "targets?state=any&scrapePool=shop", "targets?state=other", "targets?scrapePool=nothing",
		"targets/metadata", "targets/metadata?metric=a", "targets/metadata?limit=0", "targets/metadata?limit=1&metric=b_bytes",
		"targets/metadata?match_target=" + url.QueryEscape(`{job="shop",squad=~"x-.*"}`), "targets/metadata?match_target=" + url.QueryEscape(`{job="other"}`),
		"targets/metadata?limit=x", "targets/relabel_steps", "targets/relabel_steps?" + pool, "targets/relabel_steps?" + pool + "&" + labels,
		"targets/relabel_steps?" + pool + "&labels=" + url.QueryEscape(`{"__address__":"dropped:1"}`),
		"scrape_pools", "scrape_pools/config", "scrape_pools/config?" + pool,
	} {
		compareAnswers(t, path, answerOf(t, prometheus.URL(), path), answerOf(t, relay.URL(), path))
	}
	for _, path := range []string{"status/config", "status/flags", "status/buildinfo", "status/runtimeinfo"} {
		want, got := answerOf(t, prometheus.URL(), path), answerOf(t, relay.URL(), path)
		if path == "status/flags" {
			want["data"], got["data"] = map[string]any{"x": ""}, map[string]any{"x": fmt.Sprint(len(got["data"].(map[string]any)) > 5)}
		}
		if path == "status/buildinfo" {
			delete(got["data"].(map[string]any), "application")
		}
		if d := cmp.Diff(shape(want), shape(got)); d != "" {
			t.Errorf("%s has another shape: %s", path, d)
		}
	}
	askByClient(t, relay.URL())
}

// allScraped returns an error while a target was not scraped yet.
func allScraped(t *testing.T, server string) error {
	data, _ := answerOf(t, server, "targets?state=active")["data"].(map[string]any)
	active, _ := data["activeTargets"].([]any)
	for _, a := range active {
		if a.(map[string]any)["health"] == "unknown" {
			return fmt.Errorf("%v", a)
		}
	}
	if len(active) != 2 {
		return fmt.Errorf("%d targets", len(active))
	}
	return nil
}

// answerOf returns the answer of a server, with its HTTP status.
func answerOf(t *testing.T, server, path string) map[string]any {
	t.Helper()
	resp, err := http.Get(server + "/api/v1/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{"HTTP status": resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return out
}

// compareAnswers compares what does not depend on the moment.
func compareAnswers(t *testing.T, path string, want, got map[string]any) {
	t.Helper()
	for _, answer := range []map[string]any{want, got} {
		switch data := answer["data"].(type) {
		case map[string]any:
			delete(data, "monitors") // the relay alone has it
			if active, ok := data["activeTargets"].([]any); ok {
				for _, a := range active {
					target := a.(map[string]any)
					for _, changing := range []string{"lastScrape", "lastScrapeDuration", "globalUrl"} { // the relay has no other URL for localhost
						target[changing] = fmt.Sprintf("%T", target[changing])
					}
					target["lastError"] = strings.Contains(fmt.Sprint(target["lastError"]), "418") // the relay adds what to do
				}
			}
			if dropped, ok := data["droppedTargets"].([]any); ok {
				for _, d := range dropped {
					delete(d.(map[string]any), "reason") // the relay alone has it
				}
			}
			if text, ok := data["yaml"].(string); ok {
				var parsed any
				if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				data["yaml"] = parsed
			}
		case []any: // metadata, in any order
			slices.SortFunc(data, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", path, d)
	}
}

// shape replaces each value by its type.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for k := range out {
			out[k] = shape(out[k])
		}
		return out
	case []any:
		if len(v) > 0 {
			return []any{shape(v[0])}
		}
		return v
	}
	return fmt.Sprintf("%T", v)
}

// askByClient asks the relay by the client of Prometheus's own library.
func askByClient(t *testing.T, server string) {
	t.Helper()
	c, err := api.NewClient(api.Config{Address: server})
	if err != nil {
		t.Fatal(err)
	}
	v1 := promv1.NewAPI(c)
	if got, err := v1.Targets(t.Context()); err != nil || len(got.Active) != 2 || len(got.Dropped) != 1 {
		t.Errorf("targets %+v, %v", got, err)
	}
	if got, err := v1.TargetsMetadata(t.Context(), `{team="a"}`, "", ""); err != nil || len(got) != 3 {
		t.Errorf("metadata %+v, %v", got, err)
	}
	if got, err := v1.Config(t.Context()); err != nil || !strings.Contains(got.YAML, "job_name: shop") {
		t.Errorf("configuration %+v, %v", got, err)
	}
	if got, err := v1.Flags(t.Context()); err != nil || got["log.level"] != "info" || got["web.listen-address"] == "" {
		t.Errorf("flags %+v, %v", got, err)
	}
	if got, err := v1.Buildinfo(t.Context()); err != nil || got.Version == "" {
		t.Errorf("build %+v, %v", got, err)
	}
	if got, err := v1.Runtimeinfo(t.Context()); err != nil || !got.ReloadConfigSuccess || time.Since(got.StartTime) > time.Hour || time.Since(got.LastConfigTime) > time.Hour {
		t.Errorf("runtime %+v, %v", got, err)
	}
	if _, err := v1.Rules(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "promrelay stores no samples") {
		t.Errorf("rules: %v", err)
	}
}
