package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrateCategraf runs the command on the usual set-up: the configuration passes check, as a file and on standard output, and the
// report is text or JSON.
func TestMigrateCategraf(t *testing.T) {
	dir := filepath.Join("..", "..", "config", "categraf", "testdata", "eks")
	file := filepath.Join(t.TempDir(), "promrelay.yml")
	for _, labels := range []string{"same", "kube-prometheus"} {
		var out, report, checked bytes.Buffer
		if err := migrateCategraf(&out, &report, migrateCategrafOptions{Dir: dir, Labels: labels, Output: file, Report: "text"}); err != nil {
			t.Fatal(err)
		}
		if out.Len() > 0 || !strings.Contains(report.String(), filepath.Join(dir, "daemonset.yaml")+":34: instances.timeout: differs: ") {
			t.Errorf("output %q, report:\n%s", &out, &report)
		}
		if err := check(&checked, checkOptions{ConfigFile: file, Strict: true}); err != nil {
			t.Errorf("%s: %v", labels, err)
		}
		var again bytes.Buffer
		if err := migrateCategraf(&again, &report, migrateCategrafOptions{Dir: dir, Labels: labels, Report: "text"}); err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(file); err != nil || !bytes.Equal(kept, again.Bytes()) {
			t.Errorf("%v: the file differs from standard output", err)
		}
	}
	var out, report bytes.Buffer
	if err := migrateCategraf(&out, &report, migrateCategrafOptions{Dir: dir, Labels: "same", Report: "json"}); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Findings []struct{ File, Key, Kind string }
	}
	if err := json.Unmarshal(report.Bytes(), &r); err != nil || len(r.Findings) < 20 || r.Findings[0].Kind == "" {
		t.Errorf("%v: %+v", err, r)
	}
}

// TestMigrateCategrafMistakes: a directory that is none, one without files, and a scrape file that the relay refuses.
func TestMigrateCategrafMistakes(t *testing.T) {
	wrong := t.TempDir()
	if err := os.WriteFile(filepath.Join(wrong, "scrape.yaml"), []byte("scrape_configs:\n- job_name: a\n  scrape_intervall: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		filepath.Join(wrong, "scrape.yaml"): "is no directory",
		t.TempDir():                         "found nothing of categraf in 0 files",
		wrong:                               "scrape_intervall",
	} {
		var out, report bytes.Buffer
		err := migrateCategraf(&out, &report, migrateCategrafOptions{Dir: dir, Labels: "same"})
		if err == nil || !strings.Contains(strings.Join(lines(err), "\n"), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}
