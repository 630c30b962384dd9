package lint

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"promrelay/config"
)

var update = flag.Bool("update", false, "write what lint finds in testdata to the files want.txt")

// in checks files, and returns the report.
func in(t *testing.T, o Options) Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asText returns a report as text.
func asText(t *testing.T, r Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, "text", r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestFindings: each directory of testdata has the findings of its file want.txt.
func TestFindings(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) < 15 {
		t.Fatalf("%d directories, %v", len(dirs), err)
	}
	wants := map[string]string{}
	for _, dir := range dirs {
		want, err := os.ReadFile(filepath.Join(dir, "want.txt"))
		if err != nil && !*update {
			t.Fatal(err)
		}
		wants[dir] = string(want)
	}
	t.Chdir("testdata")
	for dir, want := range wants {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			o := Options{Paths: []string{filepath.Base(dir)}}
			if c, err := config.LoadFile(filepath.Join(filepath.Base(dir), "promrelay.conf")); err == nil {
				o.Config = c
			} else if !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
				t.Fatal(err)
			}
			got := asText(t, in(t, o))
			if *update {
				if err := os.WriteFile(filepath.Join(filepath.Base(dir), "want.txt"), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestStdin: the output of kustomize and helm is checked as files are.
func TestStdin(t *testing.T) {
	text, err := os.ReadFile("testdata/port/monitor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := in(t, Options{Paths: []string{"-", "testdata/port/app.yaml"}, Input: bytes.NewReader(text)})
	if got := asText(t, r); !strings.Contains(got, "-:9: error: ServiceMonitor shop/cart has no targets") {
		t.Errorf("got %s", got)
	}
}

// TestNamespace: objects without a namespace are in the one that is given.
func TestNamespace(t *testing.T) {
	r := in(t, Options{Paths: []string{"testdata/workloads"}, Namespace: "team"})
	if got := asText(t, r); !strings.Contains(got, "PodMonitor team/wrong has no targets") {
		t.Errorf("got %s", got)
	}
}

// TestWrongPaths are refused by name.
func TestWrongPaths(t *testing.T) {
	for path, want := range map[string]string{"none": "none: no such file or directory; want a file or directory with manifests", t.TempDir(): "holds no file whose name ends in .yaml, .yml or .json"} {
		if _, err := Run(t.Context(), Options{Paths: []string{path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	c, err := config.Load([]byte("nodes: {}\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Options{Paths: []string{"testdata/good"}, Config: c}); err == nil || !strings.Contains(err.Error(), "add `monitors: {}`") {
		t.Errorf("without the block monitors: %v", err)
	}
}

// TestManyFiles: 2,000 files are checked in seconds.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 2000 {
		text := fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: a%[1]d, namespace: n%[2]d}
spec:
  template:
    metadata: {labels: {app: a%[1]d}}
    spec: {containers: [{name: a, image: a, ports: [{name: metrics, containerPort: 9090}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: a%[1]d, namespace: n%[2]d, labels: {app: a%[1]d}}
spec:
  selector: {app: a%[1]d}
  ports: [{name: metrics, port: 9090, targetPort: metrics}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: a%[1]d, namespace: n%[2]d}
spec:
  selector: {matchLabels: {app: a%[1]d}}
  endpoints: [{port: %[3]s}]
`, i, i%50, map[bool]string{true: "metrics", false: "metric"}[i%2 == 0])
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	steps, begin := 0, time.Now()
	r := in(t, Options{Paths: []string{dir}, Progress: func(done, total int) {
		if steps++; done != steps || total != 2000 {
			t.Errorf("%d of %d after %d", done, total, steps)
		}
	}})
	if r.Monitors != 2000 || r.Targets != 1000 || len(r.Findings) != 1000 || steps != 2000 {
		t.Errorf("%d monitors, %d targets, %d findings, %d steps", r.Monitors, r.Targets, len(r.Findings), steps)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	t.Logf("it took %s", time.Since(begin))
}
