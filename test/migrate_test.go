package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// migrated are the files that "promrelay migrate prometheusagent" makes. TestMigrateAgent of cmd/promrelay keeps them.
const migrated = "cmd/promrelay/testdata/migrate/agent"

func decodedObjects(t *testing.T, text []byte) (out []runtime.Object) {
	t.Helper()
	d := decoder(t)
	for _, doc := range objectsOf(text) {
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		o, _, err := d.Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		out = append(out, o)
	}
	return out
}

// TestMigratedWithKustomize runs the commands of from-prometheus-operator.md that make a kustomization. What it renders to is all of the
// object's namespace, with the configuration and the Secrets, and does not touch the namespace itself.
func TestMigratedWithKustomize(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "docs", "from-prometheus-operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(cp -r deploy/.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no commands that copy the example")
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, example), os.DirFS(filepath.Join(repository, example))); err != nil {
		t.Fatal(err)
	}
	for to, from := range map[string]string{"promrelay.yml": ".promrelay.yml", "patch.yaml": ".patch.yaml"} {
		text, err := os.ReadFile(filepath.Join(repository, migrated+from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-ec", string(block[1]))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := decodedObjects(t, rendered(t, filepath.Join(dir, "shop")))
	if slices.ContainsFunc(all, func(o runtime.Object) bool { _, ok := o.(*corev1.Namespace); return ok }) {
		t.Error("the namespace of the object would be changed")
	}
	migratedPod(t, all)
}

// TestMigratedWithHelm gives the file to the chart, which must not change a byte of it: null means something.
func TestMigratedWithHelm(t *testing.T) {
	file := filepath.Join(repository, migrated+".promrelay.yml")
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := filepath.Join(t.TempDir(), "values.yaml")
	text := "image: {repository: registry.example.com/promrelay}\n"
	patch, err := os.ReadFile(filepath.Join(repository, migrated+".patch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var pod struct {
		Spec struct {
			Template struct{ Spec map[string]any }
		}
	}
	if err := yaml.Unmarshal(patch, &pod); err != nil {
		t.Fatal(err)
	}
	container := pod.Spec.Template.Spec["containers"].([]any)[0].(map[string]any)
	lists, err := yaml.Marshal(map[string]any{"extraVolumes": pod.Spec.Template.Spec["volumes"], "extraVolumeMounts": container["volumeMounts"]})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(values, append([]byte(text), lists...), 0o600); err != nil {
		t.Fatal(err)
	}
	all := decodedObjects(t, helmTemplate(t, "--namespace=monitoring", "--values="+values, "--set-file=configFile="+file))
	migratedPod(t, all)
	c := find(t, all, func(c *corev1.ConfigMap) bool { return c.Data["promrelay.yml"] != "" })
	if got := c.Data["promrelay.yml"]; strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
		t.Errorf("the configuration is\n%s", got)
	}
}

// migratedPod demands a pod of the namespace monitoring with the Secrets, and a role for its account there.
func migratedPod(t *testing.T, all []runtime.Object) {
	t.Helper()
	s := find(t, all, func(s *appsv1.StatefulSet) bool { return s.Namespace == "monitoring" })
	if !slices.ContainsFunc(s.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, "secret-") && v.Secret != nil }) {
		t.Errorf("no Secret is mounted: %v", s.Spec.Template.Spec.Volumes)
	}
	find(t, all, func(c *corev1.ConfigMap) bool {
		return c.Namespace == "monitoring" && strings.Contains(c.Data["promrelay.yml"], "job_name: promrelay") && strings.Contains(c.Data["promrelay.yml"], "probeSelector: null")
	})
	find(t, all, func(b *rbacv1.ClusterRoleBinding) bool { return b.Subjects[0].Namespace == "monitoring" })
}
