//go:build linux

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"promrelay/test/peers"
)

// Version is the release of Kubernetes that the servers are built from and report.
const Version = "v1.36.3"

// Binary names a program that Build compiles into <repository>/.cache/bin.
type Binary struct {
	// Name is the file's name, and what Path asks for.
	Name string
	// Package is what "go build" is given.
	Package string
	// Dir is where "go build" runs, from the repository's root; "" is the root itself.
	Dir string
	// Static leaves cgo out, as "make build" and the image do, so that the program runs without any library.
	Static bool
}

// servers are built from the tool lines of servers/go.mod, so their versions and sums are pinned there.
var servers = []Binary{
	{Name: "etcd", Package: "go.etcd.io/etcd/server/v3", Dir: "test/cluster/servers"},
	{Name: "kube-apiserver", Package: "k8s.io/kubernetes/cmd/kube-apiserver", Dir: "test/cluster/servers"},
	{Name: "kubelet", Package: "k8s.io/kubernetes/cmd/kubelet", Dir: "test/cluster/servers"},
	{Name: "kubectl", Package: "k8s.io/kubernetes/cmd/kubectl", Dir: "test/cluster/servers"},
}

// Build compiles the servers, once in a process. With a warm build cache it takes seconds; without one, about
// seven minutes on two cores. Start calls it, Main calls it before the test's clock starts.
func Build(t testing.TB) {
	t.Helper()
	if err := buildServers(); err != nil {
		t.Fatalf("build servers: %v", err)
	}
}

var buildServers = sync.OnceValue(func() error {
	if isolated() {
		return nil // the process outside has built them
	}
	return build(servers)
})

// Path gives the file of a program that Build or Main has compiled.
func Path(t testing.TB, name string) string {
	t.Helper()
	path, err := binaryPath(name)
	if err != nil {
		t.Fatalf("find binary %s: %v", name, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("find binary %s: %v", name, err)
	}
	return path
}

func binaryPath(name string) (string, error) {
	root, err := peers.Root()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, ".cache", "bin", name), nil
}

// build compiles under a lock on the directory, because two builds of Kubernetes at once starve a small machine.
func build(binaries []Binary) error {
	root, err := peers.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, ".cache", "bin")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	lock, err := os.Open(out)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", out, err)
	}
	for _, b := range binaries {
		if err := buildOne(root, out, b); err != nil {
			return err
		}
	}
	return nil
}

func buildOne(root, out string, b Binary) error {
	args := []string{"build", "-o", filepath.Join(out, b.Name)}
	if strings.HasPrefix(b.Package, "k8s.io/") {
		args = append(args, "-ldflags", versionFlags())
	}
	cmd := exec.Command("go", append(args, b.Package)...)
	cmd.Dir = filepath.Join(root, b.Dir)
	cmd.Env = append(os.Environ(), "PWD="+cmd.Dir)
	if b.Static {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", b.Name, err, output)
	}
	return nil
}

// versionFlags make the servers report Version; a plain build reports v0.0.0-master.
func versionFlags() string {
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X "+pkg+".gitVersion="+Version, "-X "+pkg+".gitMajor=1", "-X "+pkg+".gitMinor=36", "-X "+pkg+".gitTreeState=clean")
	}
	return strings.Join(flags, " ")
}
