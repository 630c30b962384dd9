//go:build linux

package cluster_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
)

// TestKubelet reads a kubelet's four metric pages as a ServiceAccount that may, as one that may not, and as nobody.
func TestKubelet(t *testing.T) {
	t.Parallel()
	cluster.RequireKubelet(t)
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	k := cluster.StartKubelet(t, c, "node-1")
	granted, denied := c.ServiceAccountToken(t, "monitoring", "granted"), c.ServiceAccountToken(t, "monitoring", "denied")
	c.Apply(t, role("kubelet-metrics", "monitoring", "granted", `{apiGroups: [""], resources: [nodes/metrics], verbs: [get]}`))
	client := kubeletClient(t, c)

	for path, series := range map[string]string{
		"/metrics":          "kubelet_node_name{",
		"/metrics/cadvisor": "container_memory_working_set_bytes{",
		"/metrics/probes":   "", // no Pod, no probe
		"/metrics/resource": "node_cpu_usage_seconds_total ",
	} {
		// The role is new, and the page fills as the kubelet begins to collect.
		cluster.WaitFor(t, path, 60*time.Second, func() error {
			return fetch(client, k.URL()+path, granted, http.StatusOK, series)
		})
		words := "Forbidden (user=system:serviceaccount:monitoring:denied, verb=get, resource=nodes, subresource(s)=[metrics])"
		if err := fetch(client, k.URL()+path, denied, http.StatusForbidden, words); err != nil {
			t.Errorf("without a role: %v", err)
		}
		if err := fetch(client, k.URL()+path, "", http.StatusUnauthorized, "Unauthorized"); err != nil {
			t.Errorf("without a token: %v", err)
		}
	}
	nodeKeepsItsAddress(t, c, k)
}

// nodeKeepsItsAddress waits until the kubelet has written its Node's status, which must not change the address.
func nodeKeepsItsAddress(t *testing.T, c *cluster.Cluster, k *cluster.Kubelet) {
	t.Helper()
	cluster.WaitFor(t, "the kubelet to write its Node's status", 60*time.Second, func() error {
		node, err := c.Client().CoreV1().Nodes().Get(t.Context(), k.Node(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if version := node.Status.NodeInfo.KubeletVersion; version != cluster.Version {
			return fmt.Errorf("version is %q, want %s", version, cluster.Version)
		}
		if addresses := node.Status.Addresses; len(addresses) != 2 || addresses[0].Address != "127.0.0.1" {
			t.Errorf("addresses of the node are %v, want 127.0.0.1 and its name", addresses)
		}
		url := fmt.Sprintf("https://127.0.0.1:%d", node.Status.DaemonEndpoints.KubeletEndpoint.Port)
		if url != k.URL() {
			t.Errorf("the node says %s, the kubelet is at %s", url, k.URL())
		}
		return nil
	})
}

// kubeletClient trusts the cluster's authority.
func kubeletClient(t *testing.T, c *cluster.Cluster) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
		Timeout:   10 * time.Second,
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// fetch wants a status, and a body that contains a text.
func fetch(client *http.Client, url, token string, status int, text string) error {
	request, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != status || !strings.Contains(string(body), text) {
		return fmt.Errorf("get %s: %s, want %d and %q in:\n%.2000s", url, response.Status, status, text, body)
	}
	return nil
}
