//go:build linux

// Package cluster runs the servers of a Kubernetes cluster for tests: a real API server on etcd, and a real kubelet
// on containerd, built from Kubernetes' own source.
//
// Every cluster has its own directory, ports, certificates and etcd, so tests may run in parallel. Its processes end with the test,
// however that ends. Nothing leaves the machine: all servers listen on loopback, or on the loopback device of a network namespace that
// Main made.
//
// It is not a whole cluster. There is no controller manager: a deleted Namespace stays "Terminating", and the ServiceAccount "default"
// and the EndpointSlices of a Service exist only if the test makes them. There is no scheduler, no kube-proxy, and no image to run a Pod
// from.
package cluster

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"promrelay/test/process"
)

const (
	// startLimit bounds the start of a server; it takes 2 s on an idle machine.
	startLimit = 90 * time.Second
	// stopGrace is how long the API server has to end by itself.
	stopGrace = 15 * time.Second
)

// Options of a cluster; the zero value is an API server with the monitor kinds installed and no audit log.
type Options struct {
	// NoCRDs leaves the CRDs of monitors out; InstallCRDs installs them later.
	NoCRDs bool
	// Audit makes the API server record every request, for AuditEvents.
	Audit bool
	// Flags are added to the flags of the API server, and win over them.
	Flags []string
}

// Cluster is a running API server with its etcd.
type Cluster struct {
	dir       string
	port      int
	options   Options
	authority *authority
	serving   keyPair
	etcd      *process.Process
	apiserver *process.Process
	audited   atomic.Int64 // where the audit log of the present API server starts, in bytes

	admin   *rest.Config
	client  *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// Start brings up etcd and an API server, and the monitor CRDs unless they are left out. The test's end stops it.
func Start(t testing.TB, options Options) *Cluster {
	t.Helper()
	Build(t)
	c := &Cluster{dir: tempDir(t), port: Port(t), options: options}
	if err := c.prepare(); err != nil {
		t.Fatalf("prepare cluster: %v", err)
	}
	c.startEtcd(t)
	c.startAPIServer(t)
	if !options.NoCRDs {
		c.InstallCRDs(t, MonitorCRDs...)
	}
	return c
}

// prepare writes the cluster's files and makes the administrator's clients.
func (c *Cluster) prepare() (err error) {
	if c.authority, err = newAuthority(c.dir); err != nil {
		return err
	}
	c.serving, err = c.authority.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"},
		"127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	if _, _, err = writeKey(c.file("service-account.key")); err != nil {
		return err
	}
	if err = os.WriteFile(c.file("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	return c.newClients()
}

func (c *Cluster) newClients() error {
	pair, err := c.authority.issue("admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	if err != nil {
		return err
	}
	c.admin = c.config("promrelay-test", pair)
	if c.client, err = kubernetes.NewForConfig(c.admin); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfig(c.admin); err != nil {
		return fmt.Errorf("make dynamic client: %w", err)
	}
	c.mapper = newMapper(c.client)
	return nil
}

// Stop stops the API server and leaves etcd: clients see an outage, the data stays. It kills the server after 15 s.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if err := c.apiserver.Stop(stopGrace); err != nil {
		t.Log(err)
	}
}

// Kill ends the API server as a crash would, without closing connections.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	c.apiserver.Kill()
}

// StartAgain starts a stopped API server again, on its port and with its data.
func (c *Cluster) StartAgain(t testing.TB) {
	t.Helper()
	if !c.apiserver.Ended() {
		t.Fatal("start kube-apiserver again: it is running")
	}
	c.startAPIServer(t)
}

// URL is the API server's address.
func (c *Cluster) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.port) }

// CAFile holds the certificate that every server and client of the cluster is signed with.
func (c *Cluster) CAFile() string { return c.authority.file }

// Dir is the cluster's own directory, where a test may put files of its own.
func (c *Cluster) Dir() string { return c.dir }

// APIServer is the API server's process; StartAgain replaces it.
func (c *Cluster) APIServer() *process.Process { return c.apiserver }

// Client is the administrator's typed client, without a limit on its rate.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Dynamic is the administrator's client for any kind.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// AdminConfig is a copy of the administrator's client configuration.
func (c *Cluster) AdminConfig() *rest.Config { return rest.CopyConfig(c.admin) }

func (c *Cluster) file(name string) string { return filepath.Join(c.dir, name) }

// tempDir is short, unlike testing's own, because the path of a Unix socket holds 107 bytes.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "promrelay-test-")
	if err != nil {
		t.Fatalf("make directory: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Logf("remove directory: %v", err)
		}
	})
	return dir
}

// callContext bounds one call of the harness to a server.
func callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 30*time.Second)
}
