//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
	"promrelay/test/process"
)

// pod runs the container of a template as the kubelet would: with a root directory of its own that holds the image, the mounts and the
// token of its account, as the user that the template names, who may write to no other directory than the volume. There is no limit on
// its memory.
type pod struct {
	root      string
	namespace string
	spec      corev1.PodSpec
	env       []string // also in args, as $(NAME)
	process   *process.Process
	relay     *relay
}

// newPod makes the root directory of a pod on a Node.
func newPod(t *testing.T, c *cluster.Cluster, namespace string, spec corev1.PodSpec, node string) *pod {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a root directory for the pod needs root")
	}
	server, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: its parents are closed to other users.
	root, err := os.MkdirTemp("", "promrelay-pod-")
	if err == nil {
		err = os.Chmod(root, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	p := &pod{
		root: root, namespace: namespace, spec: spec,
		env: []string{"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port()},
		relay: &relay{
			client: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second},
		},
	}
	for _, port := range spec.Containers[0].Ports {
		p.relay.url = fmt.Sprintf("http://127.0.0.1:%d", port.ContainerPort)
	}
	for _, e := range spec.Containers[0].Env {
		if from := e.ValueFrom; from != nil && from.FieldRef != nil && from.FieldRef.FieldPath == "spec.nodeName" {
			e.Value = node
		}
		p.env = append(p.env, e.Name+"="+e.Value)
	}
	t.Cleanup(p.relay.client.CloseIdleConnections)
	binary, err := os.ReadFile(cluster.Path(t, "promrelay"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "promrelay", binary, 0o755)
	hosts := "127.0.0.1 localhost\n"
	services, err := c.Client().CoreV1().Services(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services.Items {
		hosts += "127.0.0.1 " + s.Name + "." + namespace + ".svc\n"
	}
	p.write(t, "etc/hosts", []byte(hosts), 0o644)
	ca, err := os.ReadFile(c.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	if account := spec.ServiceAccountName; account != "" {
		for file, text := range map[string]string{"ca.crt": string(ca), "namespace": namespace, "token": c.ServiceAccountToken(t, namespace, account)} {
			p.write(t, "var/run/secrets/kubernetes.io/serviceaccount/"+file, []byte(text), 0o644)
		}
	}
	p.mount(t, c)
	return p
}

func (p *pod) write(t *testing.T, file string, text []byte, mode os.FileMode) {
	t.Helper()
	file = filepath.Join(p.root, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// mount writes the ConfigMaps and Secrets that the pod mounts to their places, and makes the other mounts as volumes that its user may
// write.
func (p *pod) mount(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	spec := p.spec
	volumes := map[string]corev1.VolumeSource{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = v.VolumeSource
	}
	for _, m := range spec.Containers[0].VolumeMounts {
		files := map[string][]byte{}
		switch v := volumes[m.Name]; {
		case v.ConfigMap != nil:
			o, err := c.Client().CoreV1().ConfigMaps(p.namespace).Get(t.Context(), v.ConfigMap.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range o.Data {
				files[name] = []byte(text)
			}
		case v.Secret != nil:
			o, err := c.Client().CoreV1().Secrets(p.namespace).Get(t.Context(), v.Secret.SecretName, metav1.GetOptions{})
			if err != nil && (v.Secret.Optional == nil || !*v.Secret.Optional || !apierrors.IsNotFound(err)) {
				t.Fatal(err)
			}
			maps.Copy(files, o.Data)
		default:
			dir, user := filepath.Join(p.root, m.MountPath), int(*spec.SecurityContext.RunAsUser)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(dir, user, int(*spec.SecurityContext.FSGroup)); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range files {
			p.write(t, filepath.Join(m.MountPath, name), text, 0o644)
		}
	}
}

// start runs the pod and waits until it is ready, by its probe.
func (p *pod) start(t *testing.T) {
	t.Helper()
	p.process = cluster.StartProcess(t, process.Program{
		Path: chroot, Args: p.arguments(), Env: p.env, Log: filepath.Join(t.TempDir(), "pod.log"),
	})
	probe := p.spec.Containers[0].ReadinessProbe.HTTPGet
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	if err := p.process.WaitFor(ctx, "ready", func() error { return fetch(p.relay.client, p.relay.url+probe.Path, "", http.StatusOK, "ready") }); err != nil {
		t.Fatal(err)
	}
}

const chroot = "/usr/sbin/chroot"

// arguments are those of chroot for the container of the pod.
func (p *pod) arguments() []string {
	container, user := p.spec.Containers[0], p.spec.SecurityContext
	out := []string{
		"--userspec=" + strconv.FormatInt(*user.RunAsUser, 10) + ":" + strconv.FormatInt(*user.RunAsGroup, 10), p.root, "/promrelay",
	}
	for _, arg := range container.Args {
		for _, e := range p.env {
			name, value, _ := strings.Cut(e, "=")
			arg = strings.ReplaceAll(arg, "$("+name+")", value)
		}
		out = append(out, arg)
	}
	return out
}

// run runs a pod that ends by itself, and returns what it has written.
func (p *pod) run(t *testing.T) (string, error) {
	t.Helper()
	cmd := exec.Command(chroot, p.arguments()...)
	cmd.Env = append(os.Environ(), p.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// stop ends the pod as the kubelet does, within the grace of its template.
func (p *pod) stop(t *testing.T) {
	t.Helper()
	if err := p.process.Stop(time.Duration(*p.spec.TerminationGracePeriodSeconds) * time.Second); err != nil {
		t.Fatal(err)
	}
}
