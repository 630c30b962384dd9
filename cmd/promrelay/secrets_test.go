package main

import (
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each secret of this configuration holds the word hidden.
const secretConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {cluster: eu-1}}
manifests: {directory: manifests}
monitors: {}
scrape_configs:
- job_name: basic
  basic_auth: {username: eve, password: hidden-basic}
  params: {token: [hidden-param], module: [shown]}
  static_configs: [{targets: [%[1]q], labels: {__param_password: hidden-label}}]
- job_name: bearer
  authorization: {credentials: hidden-bearer}
  http_headers: {X-Api-Key: {values: [hidden-header]}}
  static_configs: [{targets: [%[1]q]}]
  relabel_configs: [{target_label: __param_token, replacement: hidden-rule}, {target_label: __param_secret, source_labels: [__address__], regex: (.*), replacement: 'hidden-rule-$1'}]
- job_name: file
  basic_auth: {username: eve, password_file: password}
  static_configs: [{targets: [%[1]q]}]
- job_name: dropped
  static_configs: [{targets: [%[1]q], labels: {__param_token: hidden-dropped}}]
  relabel_configs: [{action: drop, source_labels: [__param_token], regex: hidden.*}]
- job_name: found
  http_sd_configs: [{url: 'http://eve:hidden-sd@%[1]s/sd?token=hidden-sd-query', refresh_interval: 1s}]
- job_name: oauth
  oauth2: {client_id: id, client_secret: hidden-oauth, token_url: 'http://%[1]s/token'}
  static_configs: [{targets: [%[1]q]}]
remote_write:
- {name: basic, url: 'http://eve:hidden-url@%[1]s/write?token=hidden-query', queue_config: {batch_send_deadline: 50ms}}
- {name: header, url: 'http://%[1]s/write', headers: {X-Token: hidden-sent}, basic_auth: {username: eve, password: hidden-write}, queue_config: {batch_send_deadline: 50ms}}
`

const secretManifests = `
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: shop}
stringData: {user: eve, password: hidden-secret}
---
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: front, namespace: shop}
spec:
  prober: {url: %[1]s, path: /probe}
  params: [{name: token, values: [hidden-probe]}]
  basicAuth: {username: {name: login, key: user}, password: {name: login, key: password}}
  targets:
    staticConfig:
      static: ['http://eve:hidden-target@front.example/?token=hidden-target-query']
      relabelingConfigs: [{targetLabel: instance, replacement: front}] # a label of series is no secret: it is sent
`

// echo repeats in its answers what it was asked with, as some servers do.
func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	user, password, _ := r.BasicAuth()
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprintf(w, "%s is not allowed: %s, %s %s, %v", r.URL, r.Header.Get("Authorization"), user, password, r.Header)
}

var (
	link    = regexp.MustCompile(`(?:href|action|src)="([^"]*)"`)
	apiPath = regexp.MustCompile("(?m)^\\| `(/api/v1/[^`]*)` \\|")
)

// TestNoEndpointShowsSecrets follows all links of the pages, and asks for all paths of the API, in all formats.
func TestNoEndpointShowsSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(server.Close)
	dir, host := t.TempDir(), strings.TrimPrefix(server.URL, "http://")
	if err := os.Mkdir(filepath.Join(dir, "manifests"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "manifests", "all.yaml"), fmt.Sprintf(secretManifests, host))
	write(t, filepath.Join(dir, "password"), "hidden-file")
	write(t, filepath.Join(dir, "promrelay.yml"), fmt.Sprintf(secretConfig, host))
	p := start(t, filepath.Join(dir, "promrelay.yml"), "--web.enable-tap", "--log.level=debug")
	p.await("all is tried", func() bool {
		return strings.Count(p.get("/api/v1/targets"), `"health":"down"`) >= 4 && strings.Contains(p.get("/metrics"), `promrelay_relay_requests_total{destination="header",status="401"}`) &&
			strings.Contains(p.text(), "found")
	})
	queue := []string{"/", "/metrics", "/-/healthy", "/-/ready", "/nothing?token=x", "/api/v1/scrape_pools/config?scrapePool=probe/shop/front"}
	for _, path := range apiPath.FindAllStringSubmatch(documentOf(t, "api.md"), -1) {
		queue = append(queue, path[1]+"?duration=500ms")
		for _, job := range []string{"basic", "bearer", "file", "dropped", "found", "oauth"} {
			queue = append(queue, path[1]+"?duration=1ms&scrapePool="+job+"&labels="+url.QueryEscape(`{"__address__":"a"}`))
		}
	}
	seen := map[string]bool{}
	for len(queue) > 0 && len(seen) < 400 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		body := p.get(path)
		if found := secretIn(body); found != "" {
			t.Errorf("%s shows %s", path, found)
		}
		for _, l := range link.FindAllStringSubmatch(body, -1) {
			base, err := url.Parse(path)
			if err != nil {
				t.Fatal(err)
			}
			if to, err := base.Parse(html.UnescapeString(l[1])); err == nil && to.Host == "" && to.Scheme == "" {
				to.Fragment = ""
				queue = append(queue, to.String())
			}
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d addresses were asked for", len(seen))
	}
	if found := secretIn(p.text()); found != "" {
		t.Errorf("the log shows %s", found)
	}
}

// secretIn returns the part of a text around a secret, also one in base64; empty if there is none.
func secretIn(text string) string {
	words := []string{"hidden"}
	for _, password := range []string{"hidden-basic", "hidden-file", "hidden-url", "hidden-write", "hidden-secret", "hidden-sd"} {
		words = append(words, base64.StdEncoding.EncodeToString([]byte("eve:"+password)))
	}
	for _, w := range words {
		for from := 0; ; {
			i := strings.Index(text[from:], w)
			if i < 0 {
				break
			}
			i += from
			around := text[max(i-60, 0):min(i+60, len(text))]
			if w != "hidden" || strings.HasPrefix(text[i:], "hidden-") {
				return fmt.Sprintf("%q", around)
			}
			from = i + len(w)
		}
	}
	return ""
}
