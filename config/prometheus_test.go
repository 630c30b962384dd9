package config

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
)

// prometheusFiles are the configurations that Prometheus is tested with, of the version that the relay is built with.
func prometheusFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "config", "testdata", "*.yml"))
	if err != nil || len(paths) < 200 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	return paths
}

// beyond holds beginnings and parts of the messages about files that the relay refuses and Prometheus accepts.
var beyond = []string{"is refused: ", "a URL must begin with http", "is no port"}

// TestAsPrometheus: what Prometheus refuses is refused, each mistake with its line and the job or destination that it is in; what it
// accepts is accepted, except what the relay refuses in addition.
func TestAsPrometheus(t *testing.T) {
	bad := 0
	for _, path := range prometheusFiles(t) {
		c, theirs := promconfig.LoadFile(path, false, promslog.NewNopLogger())
		if theirs == nil {
			_, theirs = c.GetScrapeConfigs()
		}
		_, ours := LoadFile(path)
		if theirs == nil && ours == nil {
			continue
		}
		if ours == nil {
			t.Errorf("%s is taken, and Prometheus says %v", filepath.Base(path), theirs)
			continue
		}
		bad++
		problems, ok := errors.AsType[Problems](ours)
		if !ok {
			t.Errorf("%s: no problems in %v", filepath.Base(path), ours)
		}
		more := 0
		for _, p := range problems {
			if slices.ContainsFunc(beyond, func(s string) bool { return strings.Contains(p.Text, s) }) {
				more++
			} else if theirs == nil {
				t.Errorf("%s: Prometheus takes it, and here is %s", filepath.Base(path), p)
			}
			if p.Line == 0 || strings.Contains(p.Text, "\n") || p.File == "" && !placed(p.Text) {
				t.Errorf("%s: no line or no place in %q", filepath.Base(path), p)
			}
		}
		refused := slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Text, "is refused: ") })
		if theirs != nil && more == len(problems) && !refused {
			t.Errorf("%s: nothing is said of %v, only %v", filepath.Base(path), theirs, problems)
		}
		if n := len(problems) - more; n > 2 {
			t.Errorf("%s: %d problems: %v", filepath.Base(path), n, problems)
		}
	}
	if bad < 130 {
		t.Errorf("only %d files are bad", bad)
	}
}

// placed reports whether a text begins with a place in the file.
func placed(text string) bool {
	for _, begin := range append(slices.Clone(prometheusKeys), "unknown key ", "key ") {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}
