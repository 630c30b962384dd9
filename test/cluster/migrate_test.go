//go:build linux

package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
)

const agentManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: monitoring}
---
apiVersion: monitoring.coreos.com/v1alpha1
kind: PrometheusAgent
metadata: {name: shop, namespace: monitoring}
spec:
  serviceMonitorSelector: {matchLabels: {team: shop}}
  additionalScrapeConfigs: {name: additional, key: jobs}
  remoteWrite:
  - url: http://metrics.example.com/api/v1/write
    oauth2: {clientId: {configMap: {name: idp, key: id}}, clientSecret: {name: idp, key: secret}, tokenUrl: http://idp.example.com/}
---
apiVersion: v1
kind: Secret
metadata: {name: additional, namespace: monitoring}
stringData: {jobs: "- {job_name: edge, static_configs: [{targets: ['192.0.2.1:9100']}]}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: idp, namespace: monitoring}
data: {id: client}
`

// TestMigrateFromCluster makes a configuration from an object of the API server, with what the object's Secrets and ConfigMaps hold.
func TestMigrateFromCluster(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	c.InstallCRDs(t, "prometheusagents")
	c.Apply(t, agentManifest)
	dir := t.TempDir()
	program, kubeconfig := cluster.Path(t, "promrelay"), "--kubeconfig="+c.Kubeconfig(t, "admin", "system:masters")
	run := func(args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("migrate", "prometheusagent", "monitoring/shop", kubeconfig, "--output=promrelay.yml", "--patch=patch.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "promrelay.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"scrapeInterval: 30s\n", "team: shop\n", "job_name: edge", "client_id: client\n", "client_secret_file: /etc/promrelay-secrets/idp/secret\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if out, err := run("check", "--no-files", "--config.file=promrelay.yml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run("migrate", "prometheusagent", "monitoring/none", kubeconfig); err == nil || !strings.Contains(out, "the cluster has no PrometheusAgent monitoring/none") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFollow runs the relay with kubernetes.prometheusAgent and the role that deploy/ ships, and edits the object.
func TestFollow(t *testing.T) {
	t.Parallel()
	e := startExporter(t, 4100)
	c := cluster.Start(t, cluster.Options{})
	c.InstallCRDs(t, "prometheusagents")
	kubeconfig := install(t, c)
	c.Apply(t, agentManifest, app("shop", "cart", e.ip))
	r := startRelay(t, startReceiver(t), fmt.Sprintf("kubernetes: {kubeconfig: %s, prometheusAgent: monitoring/shop}\nglobal: {external_labels: {cluster: a}}", kubeconfig))
	r.shows(t, 15*time.Second, "PrometheusAgent monitoring/shop: the relay may not get it; apply the component prometheus-agent")
	c.ApplyFiles(t, "../../deploy/kustomize/components/prometheus-agent/rbac.yaml")
	r.hides(t, 20*time.Second, "PrometheusAgent monitoring/shop")
	if one := r.target(t, jobOf("shop", "cart")); one != nil {
		t.Errorf("%v is a target, and its monitor is not selected", one.Labels)
	}
	edit := func(from, to string) { c.Apply(t, strings.Replace(agentManifest, from, to, 1)) }
	const selector, all = "serviceMonitorSelector: {matchLabels: {team: shop}}", "serviceMonitorSelector: {}\n  serviceMonitorNamespaceSelector: {}\n  scrapeInterval: 2s"
	edit(selector, all)
	r.isUp(t, 20*time.Second, jobOf("shop", "cart"))
	edit(selector, all+"\n  scrapeTimeout: 50s")
	r.shows(t, 20*time.Second, "PrometheusAgent monitoring/shop: monitors.scrapeTimeout: 50s is longer than scrapeInterval, 2s")
	r.isUp(t, time.Second, jobOf("shop", "cart"))
	cluster.WaitFor(t, "an Event", 10*time.Second, func() error {
		events, err := c.Client().EventsV1().Events("monitoring").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(events.Items) != 1 || events.Items[0].Regarding.Kind != "PrometheusAgent" {
			return fmt.Errorf("%v, %v", events, err)
		}
		return nil
	})
	edit(selector, all)
	r.hides(t, 20*time.Second, "PrometheusAgent monitoring/shop")
}
