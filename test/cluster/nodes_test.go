//go:build linux

package cluster_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"promrelay/test/cluster"
	fake "promrelay/test/receiver"
)

// nodeName is that of the kubelet's Node.
const nodeName = "node-1"

// kubeletPages are the paths of the kubelet's pages, each with a series of it; a node without Pods has no probes.
var kubeletPages = map[string]string{
	"/metrics":          "kubelet_node_name",
	"/metrics/cadvisor": "container_memory_working_set_bytes",
	"/metrics/probes":   "",
	"/metrics/resource": "node_cpu_usage_seconds_total",
}

// TestNodes scrapes a kubelet with the role that deploy/ ships, and with that role without nodes/metrics.
func TestNodes(t *testing.T) {
	t.Parallel()
	cluster.RequireKubelet(t)
	proxy := startKubeProxy(t)
	c := cluster.Start(t, cluster.Options{Audit: true})
	k := cluster.StartKubelet(t, c, nodeName)
	kubeconfig := install(t, c)
	c.Apply(t, lesserRole(t))
	to := startReceiver(t)
	nodes := func(account, ca string) string {
		return fmt.Sprintf(`
kubernetes: {kubeconfig: %s}
nodes:
  scrape_interval: 1s
  scrape_timeout: 1s
  authorization: {credentials_file: %s}
  %s
  resource: {enabled: true}
  kube_proxy: {port: %s}
`, kubeconfig, tokenFile(t, c, account), ca, proxy)
	}
	shipped := startRelay(t, to, nodes("promrelay", "tls_config: {ca_file: "+c.CAFile()+"}"))
	lesser := startRelay(t, startReceiver(t), nodes("lesser", "insecure_skip_verify: true"))

	// The kubelet says who may not do what.
	words := "server returned HTTP status 403 Forbidden (credentials were sent, of type Bearer): Forbidden (user=system:serviceaccount:promrelay:lesser, verb=get, resource=nodes, subresource(s)=[metrics])"
	for path := range kubeletPages {
		cluster.WaitFor(t, path+" to be refused", 20*time.Second, func() error {
			one := lesser.target(t, "", "job", "kubelet", "metrics_path", path)
			if one == nil || one.Health != "down" || one.LastError != words {
				return fmt.Errorf("it is %+v", one)
			}
			return nil
		})
	}
	lesser.shows(t, time.Second, words)

	instance := strings.TrimPrefix(k.URL(), "https://")
	for path, name := range kubeletPages {
		labels := []string{"job", "kubelet", "metrics_path", path, "node", nodeName, "instance", instance}
		shipped.isUp(t, 30*time.Second, "", labels...)
		cluster.WaitFor(t, path+" in the receiver", 60*time.Second, func() error { return delivered(to, name, labels...) })
	}
	shipped.isUp(t, 10*time.Second, "nodes/kube-proxy", "job", "kube-proxy", "node", nodeName)
	cluster.WaitFor(t, "kube-proxy in the receiver", 10*time.Second, func() error {
		return delivered(to, "kubeproxy_sync_proxy_rules_duration_seconds_count", "job", "kube-proxy", "node", nodeName)
	})
	ownTimestamps(t, to)
	onlyForbidden(t, c, relayUser)
}

// lesserRole is the shipped role without nodes/metrics, for the ServiceAccount lesser.
func lesserRole(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(shippedRole)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var shipped struct {
			Kind     string                `json:"kind"`
			Metadata struct{ Name string } `json:"metadata"`
			Rules    []map[string]any      `json:"rules"`
		}
		if err := yaml.Unmarshal([]byte(document), &shipped); err != nil {
			t.Fatal(err)
		}
		if shipped.Kind != "ClusterRole" || shipped.Metadata.Name != "promrelay" {
			continue
		}
		rules := slices.DeleteFunc(shipped.Rules, func(rule map[string]any) bool {
			return fmt.Sprint(rule["resources"]) == "[nodes/metrics]"
		})
		if len(rules) != len(shipped.Rules)-1 || len(rules) == 0 {
			t.Fatalf("%d of %d rules are not nodes/metrics", len(rules), len(shipped.Rules))
		}
		out, err := yaml.Marshal(rules)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(role("lesser", "promrelay", "lesser", ""), "rules: []", "rules:\n"+string(out), 1)
	}
	t.Fatal("there is no ClusterRole promrelay in " + shippedRole)
	return ""
}

// delivered wants up to be 1 in the receiver, for a target that is the only one with its labels, and a series of its page.
func delivered(to *fake.Server, name string, labels ...string) error {
	up := to.Select(append(labels, "__name__", "up")...)
	if len(up) != 1 || len(up[0].Samples) < 3 {
		return fmt.Errorf("%d series up, want one with three samples", len(up))
	}
	if last := up[0].Samples[len(up[0].Samples)-1]; last.Value != 1 {
		return fmt.Errorf("up is %v", last.Value)
	}
	if name != "" && len(to.Select(append(labels, "__name__", name)...)) == 0 {
		return fmt.Errorf("no series %s", name)
	}
	return nil
}

// ownTimestamps wants cadvisor's samples to bear the times at which cadvisor looked, which are not those of scrapes, and
// the samples of the kubelet's own page the times of its scrapes. A sample that cadvisor repeats ends no series.
func ownTimestamps(t *testing.T, to *fake.Server) {
	t.Helper()
	for path, own := range map[string]bool{"/metrics/cadvisor": true, "/metrics": false} {
		// Requests overtake each other: a sample may be there before the one of up.
		cluster.WaitFor(t, "times of "+path, 10*time.Second, func() error {
			scrapes := map[int64]bool{}
			for _, p := range to.Select("__name__", "up", "metrics_path", path)[0].Samples {
				scrapes[p.Time] = true
			}
			samples, others, ends := 0, 0, 0
			for _, s := range to.Select("__name__", kubeletPages[path], "metrics_path", path) {
				for _, p := range s.Samples {
					switch {
					case p.Stale():
						ends++
					case scrapes[p.Time]:
						samples++
					default:
						samples++
						others++
					}
				}
			}
			text := fmt.Sprintf("%s in %d scrapes: %d of %d samples have times of their own, and %d staleness markers", kubeletPages[path], len(scrapes), others, samples, ends)
			if samples == 0 || ends > 0 || (own && others < samples*9/10) || (!own && others > 0) {
				return errors.New(text)
			}
			t.Log(text)
			return nil
		})
	}
}

// startKubeProxy serves a page like kube-proxy's on the node's address, and returns its port.
func startKubeProxy(t *testing.T) (port string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, "kubeproxy_sync_proxy_rules_duration_seconds_count 1")
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
