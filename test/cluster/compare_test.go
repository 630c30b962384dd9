//go:build linux

package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"promrelay/test/cluster"
	"promrelay/test/peers"
)

// prometheusOf is a Prometheus with the job that prometheus-operator makes of a ServiceMonitor of monitorOf, and one of its own.
const prometheusOf = `
global: {scrape_interval: INTERVAL, scrape_timeout: INTERVAL}
scrape_configs:
- job_name: serviceMonitor/shop/both/0
  kubernetes_sd_configs: [{role: endpointslice, kubeconfig_file: KUBECONFIG, namespaces: {names: [shop]}}]
  relabel_configs:
  - {source_labels: [job], target_label: __tmp_prometheus_job_name}
  - {action: keep, source_labels: [__meta_kubernetes_service_label_app, __meta_kubernetes_service_labelpresent_app], regex: (both);true}
  - {action: keep, source_labels: [__meta_kubernetes_endpointslice_port_name], regex: metrics}
  - {source_labels: [__meta_kubernetes_endpointslice_address_target_kind, __meta_kubernetes_endpointslice_address_target_name], separator: ;, regex: Node;(.*), replacement: '${1}', target_label: node}
  - {source_labels: [__meta_kubernetes_endpointslice_address_target_kind, __meta_kubernetes_endpointslice_address_target_name], separator: ;, regex: Pod;(.*), replacement: '${1}', target_label: pod}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_service_name], target_label: service}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_container_name], target_label: container}
  - {action: drop, source_labels: [__meta_kubernetes_pod_phase], regex: (Failed|Succeeded)}
  - {source_labels: [__meta_kubernetes_pod_label_release], target_label: release, regex: (.+), replacement: '${1}'}
  - {source_labels: [__meta_kubernetes_service_name], target_label: job, replacement: '${1}'}
  - {target_label: endpoint, replacement: metrics}
- job_name: edge
  static_configs: [{targets: ['EDGE']}]
`

// comparison is the output of promrelay compare, as far as tests look at it.
type comparison struct {
	SameTargets int
	Differences []struct {
		Kind, Job, Text string
		Targets         []string
	}
	Series []struct {
		Job                           string
		PrometheusSeries, RelaySeries int
	}
}

// compared runs promrelay compare, and returns what it finds, and whether it ended with 1.
func compared(t *testing.T, args ...string) (c comparison, failed bool) {
	t.Helper()
	out, err := exec.Command(cluster.Path(t, "promrelay"), append([]string{"compare", "--output=json"}, args...)...).Output()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatalf("%v\n%s", exit, exit.Stderr)
	}
	return c, failed
}

// differences are those of some kinds, without their texts.
func (c comparison) differences(kinds ...string) (out []string) {
	for _, d := range c.Differences {
		if slices.Contains(kinds, d.Kind) {
			out = append(out, d.Kind+" "+d.Job)
		}
	}
	slices.Sort(out)
	return out
}

// TestCompare compares a Prometheus with the relay, at the same API server: targets, and what both write to a receiver.
func TestCompare(t *testing.T) {
	t.Parallel()
	binary, err := peers.Build(t.Context(), "", peers.KubernetesPrometheus)
	if err != nil {
		t.Fatal(err)
	}
	both, edge, more := startExporter(t, 4000), startExporter(t, 4001), startExporter(t, 4002)
	c := cluster.Start(t, cluster.Options{})
	kubeconfig := install(t, c)
	c.Apply(t, app("shop", "both", both.ip), app("shop", "more", more.ip))
	fill := strings.NewReplacer("INTERVAL", interval.String(), "KUBECONFIG", kubeconfig, "EDGE", edge.instance())
	prometheus, err := peers.StartPrometheus(t.Context(), peers.Options{Dir: t.TempDir(), Binary: binary, Config: fill.Replace(prometheusOf)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prometheus.Stop() })
	config := everything(kubeconfig)
	r := startRelay(t, nil, config,
		"remote_write: [{url: '"+prometheus.URL()+"/api/v1/write', write_relabel_configs: [{target_label: replica, replacement: relay}]}]")
	r.isUp(t, 10*time.Second, jobOf("shop", "both"))
	r.isUp(t, 10*time.Second, jobOf("shop", "more"))

	want := []string{"extra " + jobOf("shop", "more"), "missing edge"}
	at := []string{"--prometheus=" + prometheus.URL(), "--url=" + r.url}
	cluster.WaitFor(t, "the same targets", 20*time.Second, func() error {
		found, failed := compared(t, at...)
		if got := found.differences("missing", "labels", "down", "url", "interval", "extra"); !slices.Equal(got, want) || found.SameTargets != 1 || !failed {
			return fmt.Errorf("%d are the same, and %+v; failed %v", found.SameTargets, found.Differences, failed)
		}
		return nil
	})
	if _, failed := compared(t, append(at, "--fail-on=labels,url")...); failed {
		t.Error("it fails for differences that --fail-on does not name")
	}

	file := filepath.Join(t.TempDir(), "promrelay.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	found, _ := compared(t, "--prometheus="+prometheus.URL(), "--kubeconfig="+kubeconfig, "--config.file="+file)
	if got := found.differences("missing", "labels", "down", "url", "interval", "extra"); !slices.Equal(got, want) || found.SameTargets != 1 {
		t.Errorf("what a relay would scrape: %d are the same, and %+v", found.SameTargets, found.Differences)
	}

	query := []string{"--query=" + prometheus.URL(), `--old={job=~"both|edge",replica=""}`, `--new={job=~"both|edge",replica="relay"}`, "--window=10s"}
	cluster.WaitFor(t, "the same series", 30*time.Second, func() error {
		found, failed := compared(t, query...)
		if got := found.differences("series", "samples"); !slices.Equal(got, []string{"samples edge", "series edge"}) || !failed {
			return fmt.Errorf("%+v; failed %v", found.Differences, failed)
		}
		if s := found.Series; len(s) != 2 || s[0].Job != "both" || s[0].PrometheusSeries != 7 || s[0].RelaySeries != 7 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	out, err := exec.Command(cluster.Path(t, "promrelay"), append([]string{"compare"}, append(at, query...)...)...).CombinedOutput()
	t.Logf("%v\n%s", err, out)
	for _, text := range []string{"1 the same", "1 target only Prometheus scrapes:\n  edge (1): the relay has no such job", "1 target only the relay scrapes:\n  " + jobOf("shop", "more"), "Series by job", "will change"} {
		if !strings.Contains(string(out), text) {
			t.Errorf("%q is missing", text)
		}
	}
}
