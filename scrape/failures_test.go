package scrape

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	promconfig "github.com/prometheus/prometheus/config"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/targets"
)

func TestFailureLog(t *testing.T) {
	core, logged := observer.New(zap.ErrorLevel)
	log := zap.New(core)
	path := filepath.Join(t.TempDir(), "failures.log")
	target := func(path string) *targets.Target {
		return &targets.Target{URL: "http://a/metrics", Job: &targets.Job{Name: "j", Config: &promconfig.ScrapeConfig{ScrapeFailureLogFile: path}}}
	}
	var f failureLogs
	f.add(target(""), errors.New("nobody asked"), log)
	f.add(target(path), errors.New("refused"), log)
	f.add(target(path), errors.New("too slow"), log)
	for range 2 {
		f.add(target(filepath.Join(path, "below a file")), errors.New("refused"), log)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if logged.Len() != 1 {
		t.Errorf("logged %v, want once that a file cannot be opened", logged.All())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line["msg"] != "too slow" || line["job_name"] != "j" || line["target"] != "http://a/metrics" {
		t.Errorf("line is %v", line)
	}
}
