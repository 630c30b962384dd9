//go:build linux

package cluster

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"promrelay/test/process"
)

// Kubelet is a running kubelet and its Node.
type Kubelet struct {
	node       string
	port       int
	cluster    *Cluster
	dir        string
	process    *process.Process
	containerd *process.Process
}

// KubeletAvailable tells whether a kubelet can run here, and if not, why.
func KubeletAvailable() (bool, string) {
	if os.Geteuid() != 0 {
		return false, "a kubelet needs root"
	}
	if !isolated() {
		return false, "a kubelet needs the namespaces of cluster.Main"
	}
	for _, program := range []string{"containerd", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			return false, "a kubelet needs Debian's packages containerd and runc: " + err.Error()
		}
	}
	return true, ""
}

// RequireKubelet skips the test where no kubelet can run, or fails it there under PROMRELAY_NO_SKIP=1. A test calls
// it first, to skip before it starts a cluster.
func RequireKubelet(t testing.TB) {
	t.Helper()
	if ok, reason := KubeletAvailable(); !ok {
		skip(t, reason)
	}
}

// StartKubelet makes a Node with the InternalIP 127.0.0.1 and runs its kubelet, on a containerd of its own. It
// returns when the kubelet says that it is healthy. The test's end stops both.
func StartKubelet(t testing.TB, c *Cluster, nodeName string) *Kubelet {
	t.Helper()
	RequireKubelet(t)
	k := &Kubelet{node: nodeName, port: Port(t), cluster: c, dir: c.file("node-" + fileName(nodeName))}
	containerd, socket := startContainerd(t, filepath.Join(k.dir, "containerd"))
	k.containerd = containerd
	kubeconfig := c.Kubeconfig(t, "system:node:"+nodeName, "system:nodes")
	config, err := k.writeConfig("unix://" + socket)
	if err != nil {
		t.Fatalf("write kubelet's configuration: %v", err)
	}
	k.createNode(t)
	// The kubelet mounts its directory over itself, and leaves that when it is killed.
	t.Cleanup(func() { _ = syscall.Unmount(filepath.Join(k.dir, "root"), syscall.MNT_DETACH) })
	k.process = StartProcess(t, process.Program{
		Path: Path(t, "kubelet"),
		Log:  filepath.Join(k.dir, "kubelet.log"),
		Args: k.flags(config, kubeconfig),
	})
	transport, err := rest.TransportFor(c.admin)
	if err != nil {
		t.Fatalf("make client of kubelet: %v", err)
	}
	await(t, k.process, "healthy", func() error { return get(transport, k.URL()+"/healthz") })
	return k
}

func (k *Kubelet) flags(config, kubeconfig string) []string {
	return []string{
		"--config=" + config,
		"--kubeconfig=" + kubeconfig,
		"--hostname-override=" + k.node,
		// It makes the kubelet keep the addresses that the Node has, instead of looking for the machine's.
		"--cloud-provider=external",
		"--root-dir=" + filepath.Join(k.dir, "root"),
		"--cert-dir=" + filepath.Join(k.dir, "certificates"),
	}
}

// URL is the kubelet's address; its certificate is signed by the cluster's authority.
func (k *Kubelet) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", k.port) }

// Node is the name of the kubelet's Node.
func (k *Kubelet) Node() string { return k.node }

// Process is the kubelet's process.
func (k *Kubelet) Process() *process.Process { return k.process }

func (k *Kubelet) createNode(t testing.TB) {
	t.Helper()
	ctx, cancel := callContext()
	defer cancel()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   k.node,
			Labels: map[string]string{corev1.LabelHostname: k.node, corev1.LabelOSStable: "linux"},
		},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: "127.0.0.1"},
				{Type: corev1.NodeHostName, Address: k.node},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{
				KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(k.port)},
			},
		},
	}
	if _, err := k.cluster.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create node %s: %v", k.node, err)
	}
}

// writeConfig writes the kubelet's configuration file and makes the directories that it names.
func (k *Kubelet) writeConfig(runtimeEndpoint string) (string, error) {
	pair, err := k.cluster.authority.issue("kubelet-"+fileName(k.node),
		pkix.Name{CommonName: "system:node:" + k.node, Organization: []string{"system:nodes"}}, "127.0.0.1", k.node)
	if err != nil {
		return "", err
	}
	config, err := yaml.Marshal(k.config(runtimeEndpoint, pair))
	if err != nil {
		return "", err
	}
	for _, dir := range []string{"root", "manifests", "plugins", "pod-logs"} {
		if err := os.MkdirAll(filepath.Join(k.dir, dir), 0o755); err != nil {
			return "", err
		}
	}
	path := filepath.Join(k.dir, "kubelet.yaml")
	return path, os.WriteFile(path, config, 0o600)
}

// config is a KubeletConfiguration.
func (k *Kubelet) config(runtimeEndpoint string, pair keyPair) map[string]any {
	type fields map[string]any
	return fields{
		"apiVersion":        "kubelet.config.k8s.io/v1beta1",
		"kind":              "KubeletConfiguration",
		"address":           "127.0.0.1",
		"port":              k.port,
		"healthzPort":       0, // /healthz is on the port above too
		"tlsCertFile":       pair.certFile,
		"tlsPrivateKeyFile": pair.keyFile,
		"authentication": fields{
			"x509":      fields{"clientCAFile": k.cluster.authority.file},
			"webhook":   fields{"enabled": true},
			"anonymous": fields{"enabled": false},
		},
		"authorization":            fields{"mode": "Webhook"},
		"containerRuntimeEndpoint": runtimeEndpoint,
		"staticPodPath":            filepath.Join(k.dir, "manifests"),
		"volumePluginDir":          filepath.Join(k.dir, "plugins"),
		"podLogsDir":               filepath.Join(k.dir, "pod-logs"),
		// The machine may have control groups of version 1, and they are not the kubelet's.
		"failCgroupV1":           false,
		"cgroupDriver":           "cgroupfs",
		"cgroupsPerQOS":          false,
		"enforceNodeAllocatable": []string{"none"},
		"failSwapOn":             false,
		"registerNode":           false,
		// The machine's packet filter is not the kubelet's either, and a full disk is no reason to evict.
		"makeIPTablesUtilChains": false,
		"evictionHard":           fields{"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
	}
}
