//go:build linux

package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"promrelay/test/process"
)

// startEtcd runs etcd on Unix sockets, so it needs no port, and without fsync: its data goes with the test.
func (c *Cluster) startEtcd(t testing.TB) {
	t.Helper()
	// The address for other members, of which there are none: nothing listens there and nobody dials it.
	const advertised = "http://localhost:2380"
	c.etcd = StartProcess(t, process.Program{
		Path: Path(t, "etcd"),
		Log:  c.file("etcd.log"),
		Args: []string{
			"--name=test",
			"--data-dir=" + c.file("etcd"),
			"--listen-client-urls=unix://" + c.file("etcd.sock"),
			"--advertise-client-urls=" + advertised,
			"--listen-peer-urls=unix://" + c.file("peer.sock"),
			"--initial-advertise-peer-urls=" + advertised,
			"--initial-cluster=test=" + advertised,
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.file("etcd.sock"))
	}}
	defer transport.CloseIdleConnections()
	await(t, c.etcd, "healthy", func() error { return get(transport, "http://etcd/health") })
}

// get requests a page and demands a 200.
func get(transport http.RoundTripper, url string) error {
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	return nil
}

// startAPIServer runs the API server and waits until it is ready.
func (c *Cluster) startAPIServer(t testing.TB) {
	t.Helper()
	if info, err := os.Stat(c.auditLog()); err == nil {
		c.audited.Store(info.Size())
	}
	c.apiserver = StartProcess(t, process.Program{
		Path: Path(t, "kube-apiserver"),
		Log:  c.file("kube-apiserver.log"),
		Args: c.apiserverFlags(),
	})
	await(t, c.apiserver, "ready", func() error {
		ctx, cancel := callContext()
		defer cancel()
		return c.client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

func (c *Cluster) apiserverFlags() []string {
	key := c.file("service-account.key")
	flags := []string{
		"--etcd-servers=unix://" + c.file("etcd.sock"),
		"--bind-address=127.0.0.1",
		// Without it the server looks for a default route, which a network namespace does not have.
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.port),
		"--tls-cert-file=" + c.serving.certFile,
		"--tls-private-key-file=" + c.serving.keyFile,
		"--client-ca-file=" + c.authority.file,
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
		// The plugin demands the ServiceAccount "default" of every Pod, and nobody makes it.
		"--disable-admission-plugins=ServiceAccount",
		// A reconciler would put the loopback address into the EndpointSlice of "kubernetes".
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/12",
		// Without it a server that is stopped waits a minute for its watches to end.
		"--shutdown-watch-termination-grace-period=1s",
		"--profiling=false",
	}
	if c.options.Audit {
		flags = append(flags,
			"--audit-policy-file="+c.file("audit-policy.yaml"),
			"--audit-log-path="+c.auditLog(),
			"--audit-log-maxsize=100000", // megabytes: never rotate
		)
	}
	return append(flags, c.options.Flags...)
}
