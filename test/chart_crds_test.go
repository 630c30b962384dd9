//go:build linux

package test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"promrelay/test/cluster"
)

// keep is the annotation by which Helm leaves CRDs, and with them all monitors, when the chart is uninstalled.
const keep = "    helm.sh/resource-policy: keep\n"

// TestChartCRDs demands that the chart's CRDs are those of prometheus-operator, and that they are rendered only if they are wanted.
func TestChartCRDs(t *testing.T) {
	for _, name := range cluster.MonitorCRDs {
		text, err := cluster.CRDFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out := strings.Replace(strings.TrimPrefix(string(text), "---\n"), "  annotations:\n", "  annotations:\n"+keep, 1)
		if !strings.Contains(out, keep) {
			t.Errorf("the CRD of %s has no annotations", name)
		}
		generated(t, filepath.Join(chart, "files", "crds", name+".yaml"), []byte(out), chartMake)
	}
	names := func(args ...string) (out []string) {
		for _, doc := range objectsOf(helmTemplate(t, append(args, least...)...)) {
			var o unstructured.Unstructured
			if err := yaml.Unmarshal(doc, &o.Object); err != nil {
				t.Fatal(err)
			}
			if o.GetKind() != "CustomResourceDefinition" {
				continue
			}
			if o.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
				t.Errorf("%s goes with the chart", o.GetName())
			}
			out = append(out, strings.TrimSuffix(o.GetName(), ".monitoring.coreos.com"))
		}
		slices.Sort(out)
		return out
	}
	want := slices.Sorted(slices.Values(cluster.MonitorCRDs))
	if got := names("--set=crds.enabled=true"); !slices.Equal(got, want) {
		t.Errorf("the chart has the CRDs %q, want %q", got, want)
	}
	if got := names(); len(got) > 0 {
		t.Errorf("the chart has the CRDs %q unasked", got)
	}
}
