package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"promrelay/config/agent"
)

// kept compares a text with a stored one, or stores it if UPDATE=1.
func kept(t *testing.T, path string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(path)
	switch {
	case bytes.Equal(want, got):
	case os.Getenv("UPDATE") != "":
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	case err != nil:
		t.Fatal(err)
	default:
		t.Errorf("%s is not what comes out (UPDATE=1 writes it anew):\n%s", path, got)
	}
}

// TestMigrateAgent keeps what becomes of objects as teams have them, and demands that promrelay check accepts it.
func TestMigrateAgent(t *testing.T) {
	for file, kind := range map[string]string{"agent": agent.KindAgent, "prometheus": agent.KindPrometheus} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			config, patch := filepath.Join(dir, "promrelay.yml"), filepath.Join(dir, "patch.yaml")
			source := filepath.Join("testdata", "migrate", file)
			var out, report bytes.Buffer
			if err := migrateAgent(&out, &report, kind, migrateAgentOptions{Source: source + ".yaml", Namespace: "default", Output: config, Patch: patch}); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(config)
			if err != nil || out.Len() > 0 {
				t.Fatalf("%v; standard output has %q", err, &out)
			}
			kept(t, source+".promrelay.yml", text)
			kept(t, source+".report.txt", bytes.ReplaceAll(report.Bytes(), []byte(dir+"/"), nil))
			if text, err = os.ReadFile(patch); err != nil {
				t.Fatal(err)
			}
			kept(t, source+".patch.yaml", text)
			if err := check(&out, checkOptions{ConfigFile: config}); err != nil {
				t.Error(err)
			}
			if strings.Contains(out.String(), "monitors.") {
				t.Errorf("the block monitors has warnings:\n%s", &out)
			}
		})
	}
}

// TestMigrateAgentShows demands that the configuration and the report are shown if there are no files for them.
func TestMigrateAgentShows(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list.yaml")
	err := os.WriteFile(list, []byte(`
apiVersion: v1
kind: List
items:
- {kind: Secret, metadata: {name: idp}, data: {id: Y2xpZW50}}
- kind: PrometheusAgent
  metadata: {name: shop}
  spec:
    serviceMonitorSelector: {}
    remoteWrite: [{url: http://a/, oauth2: {clientId: {secret: {name: idp, key: id}}, clientSecret: {name: idp, key: secret}, tokenUrl: http://idp/}}]
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var out, report bytes.Buffer
	if err := migrateAgent(&out, &report, agent.KindAgent, migrateAgentOptions{Source: list, Namespace: "monitoring"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"client_id: client\n", "client_secret_file: /etc/promrelay-secrets/idp/secret\n", "kubernetes.io/metadata.name: monitoring\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if !strings.Contains(report.String(), "kind: StatefulSet") {
		t.Errorf("the report has no patch:\n%s", &report)
	}
}

// TestMigrateAgentMistakes demands errors that say what would be right.
func TestMigrateAgentMistakes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for source, want := range map[string]string{
		"none.yaml":                            "open none.yaml: no such file",
		write("service.yaml", "kind: Service"): "it holds no PrometheusAgent; it holds Service",
		write("empty.yaml", "# nothing"):       "it holds no PrometheusAgent; it holds no objects",
		write("broken.yaml", "a: [\n"):         "broken.yaml: document 1: ",
		write("two.yaml", "{kind: PrometheusAgent, metadata: {name: a}, spec: {}}\n---\n{kind: PrometheusAgent, metadata: {name: b}, spec: {}}"): "it holds 2 objects of kind PrometheusAgent: default/a, default/b; leave one in it",
		write("bad.yaml", "{kind: PrometheusAgent, metadata: {name: a}, spec: {serviceMonitorSelector: {}, scrapeInterval: 1x}}"):                "monitors.scrapeInterval: \"1x\": want a duration such as 30s",
	} {
		err := migrateAgent(&bytes.Buffer{}, &bytes.Buffer{}, agent.KindAgent, migrateAgentOptions{Source: source, Namespace: "default"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", filepath.Base(source), err, want)
		}
	}
}
