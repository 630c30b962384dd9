//go:build linux

package cluster

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"promrelay/test/process"
)

// containerdConfig keeps everything that containerd writes inside one directory, and turns off what needs the
// machine's devices. There is no network for Pods.
const containerdConfig = `version = 2
root = "DIR/root"
state = "DIR/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
  address = "DIR/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "DIR/opt"
[plugins."io.containerd.grpc.v1.cri"]
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "DIR/cni/bin"
    conf_dir = "DIR/cni/conf"
`

// startContainerd runs a containerd of the kubelet's own under dir, and gives its socket.
func startContainerd(t testing.TB, dir string) (*process.Process, string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("make directory: %v", err)
	}
	path, socket := filepath.Join(dir, "config.toml"), filepath.Join(dir, "containerd.sock")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(containerdConfig, "DIR", dir)), 0o600); err != nil {
		t.Fatalf("write containerd's configuration: %v", err)
	}
	executable, err := exec.LookPath("containerd")
	if err != nil {
		t.Fatalf("find containerd: %v", err)
	}
	p := StartProcess(t, process.Program{
		Path: executable,
		Args: []string{"--config=" + path, "--log-level=warn"},
		Log:  filepath.Join(dir, "containerd.log"),
	})
	await(t, p, "listening", func() error {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p, socket
}
