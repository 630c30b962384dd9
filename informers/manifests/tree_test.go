package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"promrelay/informers/objects"
	"promrelay/targets"
)

const listed = `apiVersion: v1
kind: Service
metadata: {name: a}
---
apiVersion: v1
kind: List
items:
- apiVersion: monitoring.coreos.com/v1
  kind: PodMonitor
  metadata: {name: a}
  spec:
    podMetricsEndpoints:
    - port: x
    - &second
      port: web
      relabelings:
      - {action: drop}
- apiVersion: monitoring.coreos.com/v1
  kind: PodMonitor
  metadata: {name: b}
  spec:
    podMetricsEndpoints: [*second]
`

// TestTreeLines: each field has its line, also in lists, behind other documents, and by an alias.
func TestTreeLines(t *testing.T) {
	for name, text := range map[string]string{"plain": listed, "CRLF": strings.ReplaceAll(listed, "\n", "\r\n"), "a byte order mark": "\ufeff" + listed} {
		path := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		tree, err := ReadTree(TreeOptions{Paths: []string{path, filepath.Dir(path)}})
		if err != nil {
			t.Fatal(err)
		}
		if len(tree.Problems()) > 0 || tree.Files() != 1 {
			t.Errorf("%s: %d files, problems %q", name, tree.Files(), tree.Problems())
		}
		for at, want := range map[string]struct {
			line  int
			there bool
		}{
			"a metadata.name": {10, true}, "a spec.podMetricsEndpoints[0].port": {13, true}, "a spec.podMetricsEndpoints[1].relabelings[0].action": {17, true},
			"a spec.podMetricsEndpoints[1].path": {14, false}, "b spec.podMetricsEndpoints[0].port": {15, true}, "b spec.selector": {22, false},
		} {
			monitor, field, _ := strings.Cut(at, " ")
			found, ok := tree.Find(objects.OfKind(targets.PodMonitor), "default/"+monitor)
			if !ok {
				t.Fatalf("%s: no %s", name, monitor)
			}
			if line, there := found.Line(field); line != want.line || there != want.there {
				t.Errorf("%s: %s is in line %d, %v, want %d, %v", name, at, line, there, want.line, want.there)
			}
		}
	}
}

// FuzzTree: no file makes the reader panic or name a line that is not there.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{
		listed, "\ufeff" + listed, "%YAML 1.2\n---\na: b\n", "a: &a [*a]\n", "{{ if x }}\na: b\n", "apiVersion: v1\nkind: List\nitems: {}\n", "\t- a", "---\n---\n...\n", "\x00\x01",
		`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}, "spec": 3}`,
		"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a}\nspec:\n  endpoints: [{prt: x, interval: [1]}]\n",
	} {
		f.Add([]byte(seed))
	}
	c, err := newDecoder("n", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tree := &Tree{memoryAPI: newMemoryAPI(), at: map[string]int{}}
		m := c.decode(text)
		tree.add("f", m)
		tree.publish()
		lines := strings.Count(string(text), "\n") + 1
		for _, p := range tree.Problems() {
			if p.Line < 0 || p.Line > lines+1 {
				t.Errorf("line %d of %d: %s", p.Line, lines, p.Text)
			}
		}
		for i := range tree.found {
			if line, _ := tree.found[i].Line("spec.endpoints[0].port"); line < 0 || line > lines {
				t.Errorf("line %d of %d", line, lines)
			}
		}
	})
}
