package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	sigsyaml "sigs.k8s.io/yaml"

	"promrelay/config"
	"promrelay/wal"
)

// configOf returns promrelay.yml of the ConfigMap or Secret among rendered objects.
func configOf(t *testing.T, objects []runtime.Object) (text string) {
	t.Helper()
	for _, o := range objects {
		switch o := o.(type) {
		case *corev1.ConfigMap:
			text += o.Data["promrelay.yml"]
		case *corev1.Secret:
			text += o.StringData["promrelay.yml"]
		}
	}
	if text == "" {
		t.Fatal("no configuration was rendered")
	}
	return text
}

// loaded loads a configuration, which is to give no warning.
func loaded(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load([]byte(text), t.TempDir())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, w := range c.Warnings {
		t.Errorf("%s\n%s", w, text)
	}
	return c
}

// TestChart lints and renders the chart with each file of values: the objects have no unknown fields, the configuration loads without a
// warning, and the pod fits it.
func TestChart(t *testing.T) {
	d := decoder(t)
	for name, file := range chartValues(t) {
		t.Run(name, func(t *testing.T) {
			out, errs, err := helmCommand(t, "lint", "--strict", "--values="+file, chartDir(t))
			if err != nil || strings.Contains(string(out)+errs, "[WARNING]") {
				t.Errorf("helm lint: %v\n%s%s", err, out, errs)
			}
			var objects []runtime.Object
			for _, doc := range objectsOf(helmTemplate(t, "--values="+file)) {
				if kindOf(t, doc) == "CustomResourceDefinition" {
					continue
				}
				o, _, err := d.Decode(doc, nil, nil)
				if err != nil {
					t.Fatalf("%v\n%s", err, doc)
				}
				objects = append(objects, o)
			}
			c := loaded(t, configOf(t, objects))
			fitsPod(t, c, find(t, objects, func(*appsv1.StatefulSet) bool { return true }))
			if c.NodeMode != nil {
				sameNodes(t, c, find(t, objects, func(*appsv1.DaemonSet) bool { return true }))
			}
			for role, rs := range rules(objects) {
				role = strings.Replace(role, "metrics-relay", "promrelay", 1) // full-values.yaml names it otherwise
				for _, x := range excess(role, rs) {
					t.Error(x)
				}
			}
		})
	}
}

// fitsPod demands that the WAL fits the volume, and a stop the time that the pod has for it.
func fitsPod(t *testing.T, c *config.Config, s *appsv1.StatefulSet) {
	t.Helper()
	pod := s.Spec.Template.Spec
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	if c.Relay.DrainTimeout+50*time.Second > grace { // the deadlines of the parts, in cmd/promrelay/run.go
		t.Errorf("the pod gets %s to end, and drains for %s", grace, c.Relay.DrainTimeout)
	}
	var storage int64
	for _, claim := range s.Spec.VolumeClaimTemplates {
		storage = claim.Spec.Resources.Requests.Storage().Value()
	}
	for _, v := range pod.Volumes {
		if v.EmptyDir != nil {
			storage = v.EmptyDir.SizeLimit.Value()
		}
	}
	if free := storage - int64(c.WAL.MaxBytes); free < 2*wal.DefaultMinFreeBytes {
		t.Errorf("the volume of %d bytes has %d more than the WAL may take", storage, free)
	}
	if *s.Spec.Replicas != 1 || c.WAL.Dir != "/var/lib/promrelay/wal" {
		t.Errorf("%d replicas, the WAL in %s", *s.Spec.Replicas, c.WAL.Dir)
	}
}

// sameNodes demands that the Nodes where the DaemonSet runs are those that the central relay leaves to it.
func sameNodes(t *testing.T, c *config.Config, d *appsv1.DaemonSet) {
	t.Helper()
	selector, err := k8slabels.Parse(c.NodeMode.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var terms []corev1.NodeSelectorTerm
	if a := d.Spec.Template.Spec.Affinity; a != nil {
		terms = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	affinity := k8slabels.Everything()
	for _, term := range terms {
		for _, e := range term.MatchExpressions {
			r, err := k8slabels.NewRequirement(e.Key, selection.Operator(strings.ToLower(strings.Replace(string(e.Operator), "DoesNotExist", "!", 1))), e.Values)
			if err != nil {
				t.Fatal(err)
			}
			affinity = affinity.Add(*r)
		}
	}
	if len(terms) > 1 || selector.String() != affinity.String() {
		t.Errorf("node_mode.selector is %q, the affinity %q", selector, affinity)
	}
}

// TestChartIsTheOverlays demands that the chart with the values of an overlay of deploy/kustomize makes the objects of that overlay.
func TestChartIsTheOverlays(t *testing.T) {
	for _, name := range []string{"example", "confined"} {
		theirs := plainObjects(t, rendered(t, filepath.Join(repository, kustomize, "overlays", name)))
		delete(theirs, "Namespace /promrelay") // Helm makes it by --create-namespace
		ours := plainObjects(t, helmTemplate(t, "--values="+chartValues(t)[name]))
		if a, b := slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)); !slices.Equal(a, b) {
			t.Errorf("%s: the chart makes %q\nkustomize %q", name, a, b)
		}
		for key, o := range ours {
			if !reflect.DeepEqual(o, theirs[key]) {
				a, _ := json.Marshal(o)
				b, _ := json.Marshal(theirs[key])
				t.Errorf("%s: %s is by the chart\n%s\nby kustomize\n%s", name, key, a, b)
			}
		}
	}
}

// plainObjects reads objects, without what only Helm needs, and with the configuration as it is loaded.
func plainObjects(t *testing.T, text []byte) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, doc := range objectsOf(ofHelm.ReplaceAll(text, nil)) {
		o := &unstructured.Unstructured{}
		if err := sigsyaml.Unmarshal(doc, &o.Object); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if file, ok, _ := unstructured.NestedString(o.Object, "data", "promrelay.yml"); ok {
			var m map[string]any
			if err := yaml.Unmarshal([]byte(file), &m); err != nil {
				t.Fatal(err)
			}
			m["wal"] = fmt.Sprintf("%+v", loaded(t, file).WAL) // 8GB is 8192MiB
			if jobs, ok := m["scrape_configs"].([]any); ok && len(jobs) == 0 {
				delete(m, "scrape_configs")
			}
			o.Object["data"] = m
		}
		if o.GetAnnotations()["helm.sh/hook"] != "" {
			continue
		}
		out[o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName()] = o.Object
	}
	return out
}

// least are the arguments that give what must be given.
var least = []string{"--set=cluster=c,image.repository=r,remoteWrite[0].url=https://w"}

// TestChartRefuses demands that each wrong value is refused with words that say what would be right.
func TestChartRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"nothing is set": {nil, []string{"cluster is not set", "image.repository is not set", "remoteWrite is empty"}},
		"no receiver":    {[]string{"--set=cluster=c,image.repository=r"}, []string{"remoteWrite is empty: give at least one receiver"}},
		"no cluster":     {[]string{"--set=image.repository=r,remoteWrite[0].url=https://w"}, []string{"cluster is not set: give the name of this cluster"}},
		"an unknown value": {
			append([]string{"--set=remote_write=x"}, least...), []string{"additional properties 'remote_write' not allowed"},
		},
		"an unknown value within another": {
			append([]string{"--set=image.name=x"}, least...), []string{"/image", "additional properties 'name' not allowed"},
		},
		"no size":                {append([]string{"--set-string=persistence.size=10"}, least...), []string{"/persistence/size"}},
		"a small volume":         {append([]string{"--set=persistence.size=1Gi"}, least...), []string{"persistence.size is 1Gi: the volume must have 2Gi or more"}},
		"a receiver without URL": {append([]string{"--set=remoteWrite[0].name=x"}, "--set=cluster=c"), []string{"/remoteWrite/0", "url"}},
		"a way to monitor":       {append([]string{"--set=selfMonitor=podMonitor"}, least...), []string{"/selfMonitor", "scrapeConfig"}},
		"node mode, confined": {
			append([]string{"--set=nodeMode.enabled=true,namespaces={a}"}, least...), []string{"nodeMode.enabled and namespaces exclude each other"},
		},
		"no account": {
			append([]string{"--set=serviceAccount.create=false"}, least...), []string{"serviceAccount.create is false: set serviceAccount.name"},
		},
	} {
		out, errs, err := helmCommand(t, append([]string{"template", "promrelay", chartDir(t)}, c.args...)...)
		if err == nil {
			t.Errorf("%s: rendered\n%s", name, out)
		}
		for _, w := range c.want {
			if !strings.Contains(errs, w) {
				t.Errorf("%s: %q is not in\n%s", name, w, errs)
			}
		}
	}
}

// TestChartMerges demands that "config" goes over what the other values make, at every depth, and that null removes a key.
func TestChartMerges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	values := `
nodes: {insecure_skip_verify: true, kubelet: {port: 1}}
monitors: {sampleLimit: 10000000}
externalLabels: {region: a}
config:
  nodes: {insecure_skip_verify: false, kubelet: {port: null, enabled: false}}
  global: {external_labels: {region: b, zone: c}}
  kubernetes: null
  relay: {drain_factor: 0}
`
	if err := os.WriteFile(file, []byte(values), 0o644); err != nil {
		t.Fatal(err)
	}
	objects := plainObjects(t, helmTemplate(t, least[0], "--values="+file, "--show-only=templates/config.yaml"))
	got := objects["ConfigMap promrelay/promrelay"]["data"].(map[string]any)
	delete(got, "wal")
	delete(got, "scrape_configs")
	want := map[string]any{
		"nodes":        map[string]any{"insecure_skip_verify": false, "kubelet": map[string]any{"enabled": false}},
		"monitors":     map[string]any{"sampleLimit": 10000000},
		"global":       map[string]any{"external_labels": map[string]any{"region": "b", "zone": "c", "cluster": "c"}},
		"relay":        map[string]any{"drain_factor": 0},
		"remote_write": []any{map[string]any{"url": "https://w"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestChartKeepsThePod demands that a changed value changes the pod only if the running relay cannot load the change.
func TestChartKeepsThePod(t *testing.T) {
	pod := func(arg string) []byte {
		return helmTemplate(t, least[0], arg, "--show-only=templates/statefulset.yaml")
	}
	before := pod("--set=rbac.create=true")
	for arg, restarts := range map[string]bool{
		"--set=remoteWrite[0].name=x":        false,
		"--set=monitors.sampleLimit=5":       false,
		"--set=externalLabels.region=a":      false,
		"--set=secretsNamespaces={a}":        false,
		"--set=config.relay.drain_factor=5":  false,
		"--set=config.wal.segment_bytes=1MB": true,
		"--set=namespaces={a}":               true,
	} {
		if changed := !bytes.Equal(pod(arg), before); changed != restarts {
			t.Errorf("%s: the pod changes: %t, want %t", arg, changed, restarts)
		}
	}
}

// TestNodeModeComponent demands that the component of deploy/kustomize gives the example a DaemonSet that its namespace lets in.
func TestNodeModeComponent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "prod-1")
	for from, to := range map[string]string{example: dir, kustomize + "/components/node-mode": filepath.Join(dir, "node-mode")} {
		if err := os.CopyFS(to, os.DirFS(filepath.Join(repository, from))); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.OpenFile(filepath.Join(dir, "kustomization.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("components:\n- node-mode\n"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	theirs := plainObjects(t, rendered(t, dir))
	label, _, _ := unstructured.NestedString(theirs["Namespace /promrelay"], "metadata", "labels", "pod-security.kubernetes.io/enforce")
	if label != "privileged" {
		t.Errorf("the namespace enforces %q, and hostNetwork needs privileged", label)
	}
	ours := plainObjects(t, helmTemplate(t, "--values="+chartValues(t)["example"], "--set=nodeMode.enabled=true"))
	for key, o := range ours {
		if strings.HasSuffix(key, "promrelay-node") && !reflect.DeepEqual(o, theirs[key]) {
			t.Errorf("%s is by the chart\n%v\nby kustomize\n%v", key, o, theirs[key])
		}
	}
	if theirs["DaemonSet promrelay/promrelay-node"] == nil {
		t.Error("there is no DaemonSet")
	}
}
