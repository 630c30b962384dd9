package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/relay"
	"promrelay/wal"
)

// reloaderOf returns a reloader of a new file that holds text, which is in force in no part yet.
func reloaderOf(t *testing.T, text string, parts ...prepare) *reloader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	write(t, path, text)
	c, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	seen, _ := fingerprint(path, c.Prometheus.ScrapeConfigFiles)
	return newReloader(reloaderOptions{Path: path, Config: c, Seen: seen, Parts: parts, Registerer: prometheus.NewRegistry(), Logger: zap.NewNop()})
}

// TestRefusedFileIsKept: the pages show which error refused the file, and when.
func TestRefusedFileIsKept(t *testing.T) {
	r := reloaderOf(t, "scrape_configs: []\n")
	if got := r.refused.Load(); got != nil {
		t.Fatalf("before the reload: %+v", got)
	}
	write(t, r.path, "scrap_configs: []\n")
	start := time.Now()
	if err := r.reload(); err == nil {
		t.Fatal("the file was accepted")
	}
	if got := r.refused.Load(); got == nil || !strings.Contains(got.Error, "scrap_configs") || got.At.Before(start) {
		t.Errorf("got %+v", got)
	}
	write(t, r.path, "scrape_configs: []\n")
	if err := r.reload(); err != nil || r.refused.Load() != nil {
		t.Errorf("after a good file: %v, %+v", err, r.refused.Load())
	}
}

// TestEmptyFileIsRefused: a file that is about to be written, or was cut off, removes no jobs and destinations.
func TestEmptyFileIsRefused(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "blanks": "\n \n", "comments": "# promrelay\n", "a document": "---\n", "null": "null\n"} {
		r := reloaderOf(t, "scrape_configs: []\n")
		good := r.cfg
		write(t, r.path, text)
		if err := r.reload(); err == nil || !strings.HasPrefix(err.Error(), r.path+": the file is empty") {
			t.Errorf("%s: got %v", name, err)
		}
		if r.cfg != good || r.refused.Load() == nil {
			t.Errorf("%s: the old configuration is gone, or the new one is not shown as refused", name)
		}
	}
}

// TestReloadIsPreparedThenCommitted: where the last part refuses a configuration, no part has changed, and the log has no position of a
// new destination, which would hold segments back.
func TestReloadIsPreparedThenCommitted(t *testing.T) {
	dir := t.TempDir()
	store, err := wal.Open(wal.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	delivery, err := relay.New(relay.Options{WAL: store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- delivery.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, store.Close()); err != nil {
			t.Error(err)
		}
	}()
	var refusal error
	committed := 0
	r := reloaderOf(t, "remote_write: [{name: old, url: 'http://127.0.0.1:1'}]\n",
		func(c *config.Config) (func(), error) { return delivery.Prepare(settings(c)) },
		func(*config.Config) (func(), error) { return func() { committed++ }, refusal })
	destinations := func() (names []string) {
		for _, s := range delivery.Statuses() {
			names = append(names, s.Name)
		}
		return names
	}
	positions := func() (names []string) {
		entries, err := os.ReadDir(filepath.Join(dir, "positions"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if err := r.apply(r.cfg); err != nil {
		t.Fatal(err)
	}
	before := positions()
	write(t, r.path, "remote_write: [{name: new, url: 'http://127.0.0.1:1'}]\n")
	refusal = errors.New("no such namespace")
	if err := r.reload(); !errors.Is(err, refusal) && err.Error() != refusal.Error() {
		t.Fatalf("got %v", err)
	}
	if got := positions(); !slices.Equal(destinations(), []string{"old"}) || !slices.Equal(got, before) || committed != 1 {
		t.Errorf("after the refusal: destinations %v, positions %v, before %v, %d commits of the last part", destinations(), got, before, committed)
	}
	if testutil.ToFloat64(r.success) != 0 {
		t.Error("promrelay_config_last_reload_successful is not 0")
	}
	refusal = nil
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	if got := positions(); !slices.Equal(destinations(), []string{"new"}) || len(got) != len(before)+1 || committed != 2 {
		t.Errorf("after the reload: destinations %v, positions %v, %d commits of the last part", destinations(), got, committed)
	}
}

// TestReloadOfBlocks: those that need a restart are named, and nothing else of the file is put in force.
func TestReloadOfBlocks(t *testing.T) {
	for text, want := range map[string]string{
		"wal: {dir: elsewhere}\n":               "block wal",
		"kubernetes: {namespaces: [a]}\n":       "block kubernetes",
		"manifests: {directory: m}\n":           "block manifests",
		"scrape: {body_size_limit: 1MB}\n":      "",
		"relay: {drain_timeout: 7s}\n":          "",
		"global: {external_labels: {a: b}}\n":   "",
		"remote_write: [{url: 'http://a/b'}]\n": "",
	} {
		commits := 0
		r := reloaderOf(t, "scrape_configs: []\n", func(*config.Config) (func(), error) { return func() { commits++ }, nil })
		write(t, r.path, text)
		switch err := r.reload(); {
		case want == "" && (err != nil || commits != 1):
			t.Errorf("%s: %v, %d commits", text, err, commits)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want+" has changed: that needs a restart") || commits != 0):
			t.Errorf("%s: got %v, %d commits, want %s", text, err, commits, want)
		}
	}
}

// TestDrainTimeoutOfTheConfiguration: the one in force is used.
func TestDrainTimeoutOfTheConfiguration(t *testing.T) {
	r := reloaderOf(t, "relay: {drain_timeout: 5s}\n")
	write(t, r.path, "relay: {drain_timeout: 7s}\n")
	if got := r.drainTimeout(); got != 5*time.Second {
		t.Errorf("before the reload: %s", got)
	}
	if err := r.reload(); err != nil || r.drainTimeout() != 7*time.Second {
		t.Errorf("after the reload: %v, %s", err, r.drainTimeout())
	}
}

// TestFingerprint differs where the file or one that it includes holds something else, and only there. A FIFO is not read.
func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	path, included := filepath.Join(dir, "promrelay.yml"), filepath.Join(dir, "more.yml")
	patterns := []string{filepath.Join(dir, "*.yml"), "["}
	if _, ok := fingerprint(path, patterns); ok {
		t.Error("a file that is missing has a fingerprint")
	}
	write(t, path, "a")
	write(t, included, "b")
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.yml"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, ok := fingerprint(path, patterns)
	if again, _ := fingerprint(path, patterns); !ok || again != first {
		t.Errorf("%v, or the same files have two fingerprints", ok)
	}
	write(t, included, "c")
	second, _ := fingerprint(path, patterns)
	if second.file != first.file || second.included == first.included {
		t.Error("a change of an included file is not seen, or taken for one of the file")
	}
	write(t, path, "d")
	if third, _ := fingerprint(path, nil); third.file == second.file {
		t.Error("a change of the file is not seen")
	}
}
