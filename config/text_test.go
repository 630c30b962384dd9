package config

import (
	"strings"
	"testing"

	"promrelay/config/redact"
)

// TestTextShowsNoSecret: each secret of the file begins with "hidden", and each other value stays.
func TestTextShowsNoSecret(t *testing.T) {
	const file = `
# hidden-in-a-comment
global: {scrape_interval: 30s, external_labels: {cluster: prod, region: "${REGION}"}}
scrape_configs:
- job_name: a # password: hidden2
  metrics_path: /m
  params: {module: [http], token: [hidden-token, hidden-other]}
  basic_auth: {username: eve, password: "hidden pass: word"}
  relabel_configs:
  - {target_label: __param_token, replacement: hidden-r}
  - {target_label: __param_module, replacement: shown-r}
  tls_config: {cert: shown-cert, key: hidden-pem}
  static_configs: [{targets: ['b:1'], labels: {team: x, __param_password: hidden-l}}]
- job_name: b
  authorization: {type: Bearer, credentials: hidden}
  http_headers: {X-Scope: {values: [shown-h]}, X-Api-Key: {values: [hidden-v], secrets: [hidden-s], files: [/shown/file]}}
  proxy_url: http://eve:hidden@proxy:3128/?token=hidden&a=shown
  http_sd_configs: [{url: 'http://sd/x?key=hidden&b=1'}]
- job_name: c
  oauth2: {client_id: id, client_secret: hidden-cs, token_url: 'http://t/x', scopes: [s]}
  consul_sd_configs: [{server: 'c:1', token: hidden}]
remote_write:
- url: http://eve:hidden@central/write?db=hidden&u=hidden
  name: central
  headers: {X-Scope-OrgID: shown-tenant, X-Auth-Token: hidden-h}
  basic_auth: &auth {username: eve, password: hidden-a}
- url: https://other/write
  basic_auth: *auth
monitors:
  serviceMonitorSelector: {matchLabels: {team: a}, matchExpressions: [{key: shown-key, operator: In, values: [shown-value]}, {operator: Exists, key: shown-last}]}
wal: {max_bytes: 1GB}
`
	c, err := Load([]byte(file), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got := c.Text()
	if strings.Contains(got, "hidden") || strings.Contains(got, "#") {
		t.Errorf("secrets or comments are shown:\n%s", got)
	}
	for _, want := range []string{
		"scrape_interval: 30s", "cluster: prod", "${REGION}", "module: [http]", "username: eve", "password: " + redact.Mark, "shown-r", "shown-cert", "team: x",
		"type: Bearer", "shown-h", "/shown/file", "a=shown", "url: http://central/write", "b=1", "client_id: id", "token_url: 'http://t/x'", "shown-tenant",
		"serviceMonitorSelector", "max_bytes: 1GB", "name: central", "key: shown-key", "values: [shown-value]", "key: shown-last",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if _, err := Load([]byte(strings.ReplaceAll(got, redact.Mark, "x")), t.TempDir()); err != nil {
		t.Errorf("what is shown is no configuration: %v\n%s", err, got)
	}
}

func TestTextOfEmptyFile(t *testing.T) {
	c, err := Load(nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Text(); got != "{}\n" {
		t.Errorf("%q", got)
	}
}
