package test

import (
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"promrelay/config"
)

// TestCategrafDeployment renders deploy/categraf: the relay's pod gets the configuration that the migration made, which loads without a
// warning. (go test ./config/categraf compares that with what the migration makes.)
func TestCategrafDeployment(t *testing.T) {
	dir := filepath.Join(repository, "deploy", "categraf")
	made, err := os.ReadFile(filepath.Join(dir, "promrelay.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(made, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Warnings {
		t.Errorf("promrelay.yml: %s", w)
	}
	kinds, mounted := map[string]int{}, ""
	for _, doc := range objectsOf(rendered(t, dir)) {
		kinds[kindOf(t, doc)]++
		var o struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		if o.Kind == "ConfigMap" && o.Metadata.Name == "promrelay" {
			mounted = o.Data["promrelay.yml"]
		}
	}
	if mounted != string(made) || kinds["StatefulSet"] != 1 || kinds["ClusterRole"] == 0 {
		t.Errorf("rendered are %v; the configuration in it:\n%s", kinds, mounted)
	}
}
