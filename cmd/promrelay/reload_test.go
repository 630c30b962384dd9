package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"promrelay/config"
)

// What was refused, and when, is kept for the pages.
func TestRefusedFileIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("scrape_configs: []\n")
	good, err := config.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write("scrap_configs: []\n")
	r := newReloader(path, good, prometheus.NewRegistry(), zap.NewNop())
	if got := r.refused.Load(); got != nil {
		t.Fatalf("before it was read: %+v", got)
	}
	start := time.Now()
	if err := r.reload(); err == nil {
		t.Fatal("the file was taken")
	}
	if got := r.refused.Load(); got == nil || !strings.Contains(got.Error, "scrap_configs") || got.At.Before(start) {
		t.Errorf("got %+v", got)
	}
}

// TestEmptyFileIsRefused: what is about to be written, or was cut off, takes no jobs and destinations away.
func TestEmptyFileIsRefused(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "blanks": "\n \n", "comments": "# promrelay\n", "a document": "---\n", "null": "null\n"} {
		path := filepath.Join(t.TempDir(), "promrelay.yml")
		write(t, path, "scrape_configs: []\n")
		good, err := config.LoadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
		r := newReloader(path, good, prometheus.NewRegistry(), zap.NewNop())
		if err := r.reload(); err == nil || !strings.HasPrefix(err.Error(), path+": the file is empty") {
			t.Errorf("%s: got %v", name, err)
		}
		if r.cfg != good || r.refused.Load() == nil {
			t.Errorf("%s: the old configuration is gone, or nothing tells of the new one", name)
		}
	}
}
