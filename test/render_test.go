package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/config"
)

// programs are what program has compiled, by name.
var programs = map[string]string{}

// program compiles the tool of a module beside this package, and returns its path in Go's cache.
func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s is compiled for this", name)
	}
	if programs[name] == "" {
		cmd := exec.Command("go", "tool", "-n", name)
		cmd.Dir = filepath.Join(repository, "test", name)
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("compile %s: %v", name, err)
		}
		programs[name] = strings.TrimSpace(string(out))
	}
	return programs[name]
}

// rendered returns what "kubectl kustomize" would write for a directory.
func rendered(t *testing.T, dir string) []byte {
	t.Helper()
	cmd := exec.Command(program(t, "kustomize"), "build", dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("render %s: %v\n%s", dir, err, &errs)
	}
	if errs.Len() > 0 {
		t.Errorf("render %s: %s", dir, &errs)
	}
	return out
}

// objectsOf splits what rendered returns.
func objectsOf(text []byte) [][]byte { return bytes.Split(text, []byte("\n---\n")) }

// kindOf reads the kind of a document.
func kindOf(t *testing.T, doc []byte) string {
	t.Helper()
	var o struct{ Kind string }
	if err := yaml.Unmarshal(doc, &o); err != nil || o.Kind == "" {
		t.Fatalf("no object: %v\n%s", err, doc)
	}
	return o.Kind
}

// copied makes a copy of the example outside of the repository, as README says, with some edits.
func copied(t *testing.T, edits *strings.Replacer) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "prod-1")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository, example))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kustomization.yaml", "promrelay.yml"} {
		file := filepath.Join(dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		edited := edits.Replace(string(text))
		if edited == string(text) {
			t.Errorf("%s has nothing to edit", name)
		}
		if err := os.WriteFile(file, []byte(edited), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestExampleBase demands that the example's base.yaml is what the base renders to, without the ConfigMap, which the example makes.
func TestExampleBase(t *testing.T) {
	out := []byte("# What deploy/kustomize/base renders to. Written by \"make update-deploy\". Do not edit.\n")
	for i, doc := range objectsOf(rendered(t, filepath.Join(repository, kustomize, "base"))) {
		if kindOf(t, doc) == "ConfigMap" {
			continue
		}
		if i > 0 {
			out = append(out, "---\n"...)
		}
		out = append(append(out, bytes.TrimSuffix(doc, []byte("\n"))...), '\n')
	}
	file := filepath.Join(repository, example, "base.yaml")
	if *update {
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, out) {
		t.Errorf("%s is not what the base renders to (%v): run \"make update-deploy\"", example+"/base.yaml", err)
	}
}

// TestExampleCopied demands that a copy needs its image and its receiver, and nothing else of the repository or the cluster.
func TestExampleCopied(t *testing.T) {
	dir := copied(t, strings.NewReplacer(
		"newName: registry.example.com/promrelay", "newName: registry.internal/promrelay", "newTag: dev", "newTag: v1.2.3",
		"https://metrics.example.com/api/v1/write", "https://receiver.internal/api/v1/write",
	))
	d := decoder(t)
	var all []runtime.Object
	for _, doc := range objectsOf(rendered(t, dir)) {
		o, kind, err := d.Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if kind.Group == "monitoring.coreos.com" {
			t.Errorf("a %s needs a CRD that may not be there", kind.Kind)
		}
		all = append(all, o)
	}
	for _, o := range all {
		if b, ok := o.(*rbacv1.RoleBinding); ok && b.Namespace != "promrelay" {
			t.Errorf("RoleBinding %s is of namespace %s, which may not be there", b.Name, b.Namespace)
		}
	}
	find(t, all, func(n *corev1.Namespace) bool { return n.Name == "promrelay" })
	s := find(t, all, func(*appsv1.StatefulSet) bool { return true })
	if image := s.Spec.Template.Spec.Containers[0].Image; image != "registry.internal/promrelay:v1.2.3" {
		t.Errorf("the image is %s", image)
	}
	file := find(t, all, func(c *corev1.ConfigMap) bool { return c.Namespace == "promrelay" })
	for _, v := range s.Spec.Template.Spec.Volumes {
		if v.ConfigMap != nil && v.ConfigMap.Name != file.Name {
			t.Errorf("the pod mounts the ConfigMap %s, and there is %s", v.ConfigMap.Name, file.Name)
		}
	}
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	if err := os.WriteFile(path, []byte(file.Data["promrelay.yml"]), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if url := c.Destinations[0].URL.String(); url != "https://receiver.internal/api/v1/write" {
		t.Errorf("the receiver is %s", url)
	}
}

var commentedOut = regexp.MustCompile(`(?m)^#( {2,})?(\S)`)

// TestExamplePatches demands that the parts of the example that are commented out work when they are not.
func TestExamplePatches(t *testing.T) {
	dir := copied(t, strings.NewReplacer("newTag: dev", "newTag: v1", "prod-1", "prod-2"))
	const component = "network-policy"
	if err := os.CopyFS(filepath.Join(dir, component), os.DirFS(filepath.Join(repository, kustomize, "components", component))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, commentedOut.ReplaceAll(text, []byte("$1$2")), 0o644); err != nil {
		t.Fatal(err)
	}
	d := decoder(t)
	var all []runtime.Object
	for _, doc := range objectsOf(rendered(t, dir)) {
		o, _, err := d.Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		all = append(all, o)
	}
	find(t, all, func(p *networkingv1.NetworkPolicy) bool { return p.Namespace == "promrelay" })
	find(t, all, func(a *corev1.ServiceAccount) bool { return a.Annotations["eks.amazonaws.com/role-arn"] != "" })
	s := find(t, all, func(*appsv1.StatefulSet) bool { return true })
	claim, pod := s.Spec.VolumeClaimTemplates[0].Spec, s.Spec.Template.Spec
	if claim.StorageClassName == nil || *claim.StorageClassName != "gp3" || claim.Resources.Requests.Storage().String() != "50Gi" {
		t.Errorf("the claim of the volume is %v", claim)
	}
	resources := pod.Containers[0].Resources
	if resources.Requests.Memory().String() != "1Gi" || resources.Limits.Memory().String() != "4Gi" || resources.Requests.Cpu().IsZero() {
		t.Errorf("the resources are %v", resources)
	}
	if pod.PriorityClassName != "monitoring" || len(pod.Tolerations) != 1 {
		t.Errorf("the priority is %q, the tolerations are %v", pod.PriorityClassName, pod.Tolerations)
	}
}

// TestChangedConfigurationKeepsThePod demands that a changed promrelay.yml changes the ConfigMap alone, which the relay watches: a new
// pod would cost scrapes.
func TestChangedConfigurationKeepsThePod(t *testing.T) {
	root := filepath.Join(repository, kustomize)
	for _, dir := range []string{"base", "overlays/example", "overlays/confined"} {
		tree := filepath.Join(t.TempDir(), "deploy")
		if err := os.CopyFS(tree, os.DirFS(root)); err != nil {
			t.Fatal(err)
		}
		before := objectsOf(rendered(t, filepath.Join(tree, dir)))
		file := filepath.Join(tree, dir, "promrelay.yml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, "# changed\n"...), 0o644); err != nil {
			t.Fatal(err)
		}
		changed := 0
		for i, doc := range objectsOf(rendered(t, filepath.Join(tree, dir))) {
			if bytes.Equal(doc, before[i]) {
				continue
			}
			changed++
			if kind := kindOf(t, doc); kind != "ConfigMap" {
				t.Errorf("%s: a %s changes with the file", dir, kind)
			}
		}
		if changed != 1 {
			t.Errorf("%s: %d objects change with the file, want the ConfigMap", dir, changed)
		}
	}
}
