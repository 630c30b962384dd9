package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"promrelay/wal"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"good":    {"scrape_configs: [{job_name: a}]\nremote_write:\n- url: http://a/write\n", "valid, with 1 scrape_configs and 1 remote_write"},
		"warning": {"remote_write:\n- url: http://a/write\n  queue_config: {capacity: 5}\n", "warning: line 3: remote_write[].queue_config.capacity has no effect"},
		"key":     {"scrape_config: []\n", `unknown key "scrape_config"`},
		"twice":   {"remote_write:\n- url: http://a/write\n- url: http://a/write\n", `remote_write "http://a/write": another one has the same name or URL`},
		"query":   {"remote_write:\n- url: http://u:secret@a/write?p=secret\n- url: http://a/write?p=secret\n", `remote_write "http://a/write": another one has the same name or URL`},
		"status":  {"relay: {retry_status_codes: [204]}\n", "relay.retry_status_codes: 204: want statuses"},
		"ca":      {"remote_write:\n- url: http://a/write\n  tls_config: {ca_file: none.crt}\n", "none.crt: no such file"},
		"volume":  {"wal: {dir: a/b, min_free_bytes: 4000000TB}\n", "wal.min_free_bytes is 4000000TB, and the volume of "},
		"manifests": {
			"manifests: {directory: manifests}\n", "bad.yaml: an object without kind",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "promrelay.yml")
			if err := os.Mkdir(filepath.Join(dir, "manifests"), 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"promrelay.yml": c.config, "manifests/bad.yaml": "kind: Pod\nspec: 3\n"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			got := ""
			if err := check(&out, path); err != nil {
				got = err.Error()
			}
			got += out.String()
			if !strings.Contains(got, c.want) || !strings.Contains(got, path) || strings.Contains(got, "secret") {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

// Check tells of samples that wait for a destination which is not there any more, while the log is in use.
func TestCheckTellsOfBacklogs(t *testing.T) {
	dir := t.TempDir()
	store, err := wal.Open(wal.Options{Dir: filepath.Join(dir, "wal"), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, id := range []string{"old", "http://h/write?x=secret", "kept", "taken"} {
		mark, err := store.Destination(id)
		if err != nil {
			t.Fatal(err)
		}
		head, err := store.Append(store.Segment(), wal.Frame{Type: 1, Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		if id == "taken" {
			mark.Acknowledge(head)
		}
	}
	if err := store.Sync(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "promrelay.yml")
	told := func(text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := check(&out, path); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const floor = "wal: {dir: wal, min_free_bytes: -1}\n"
	got := told(floor + "remote_write:\n- {name: kept, url: http://h/write}\n")
	for _, want := range []string{
		`warning: destination removed with samples waiting: "old", for which ` + filepath.Join(dir, "wal") + " has 40", "wal has 30;", "10m after",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if n := strings.Count(got, "warning"); n != 2 || strings.Contains(got, "secret") {
		t.Errorf("%d warnings, want 2: %s", n, got)
	}
	if got := told(floor + "remote_write:\n- {name: kept, url: http://h/write}\n- {name: old, url: http://h/write}\n- {url: 'http://h/write?x=secret'}\n"); strings.Contains(got, "warning") {
		t.Errorf("warned of destinations that are there: %s", got)
	}
	if got := told("wal: {dir: none, min_free_bytes: -1}\n"); strings.Contains(got, "removed") {
		t.Errorf("warned without a log: %s", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("check made a directory")
	}
}

func TestBlocksThatNeedARestart(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		path := filepath.Join(dir, "promrelay.yml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, err := load(write("scrape_configs: [{job_name: a}]\nwal: {max_bytes: 1GB}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"scrape_configs: [{job_name: b}]\nwal: {max_bytes: 1GB}\n":                            "",
		"scrape_configs: [{job_name: a}]\nwal: {max_bytes: 2GB}\n":                            "block wal has changed: that needs a restart",
		"scrape_configs: [{job_name: a}]\nwal: {max_bytes: 1GB}\nmanifests: {directory: .}\n": "block manifests has changed: that needs a restart",
	} {
		next, err := load(write(text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := needsRestart(old, next); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
