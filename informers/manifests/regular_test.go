package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestManifestsThatAreNoFiles: devices and pipes are reported, not read, and do not affect other files.
func TestManifestsThatAreNoFiles(t *testing.T) {
	dir, beside := t.TempDir(), t.TempDir()
	pipe := filepath.Join(beside, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "own.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(beside, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxManifest+1); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"own.yaml": "not a regular file", "pipe.yaml": "not a regular file", "zero.yaml": "not a regular file", "tty.json": "not a regular file", "large.yml": "more than 268435456 bytes",
	}
	for name, to := range map[string]string{"pipe.yaml": pipe, "zero.yaml": "/dev/zero", "tty.json": "/dev/null", "large.yml": large} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	probe := "apiVersion: monitoring.coreos.com/v1\nkind: Probe\nmetadata: {name: sound, namespace: a}\nspec: {}\n"
	if err := os.WriteFile(filepath.Join(dir, "sound.yaml"), []byte(probe), 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan *Directory, 1)
	go func() {
		m, err := New(dir, zap.NewNop())
		if err != nil {
			t.Error(err)
		}
		read <- m
	}()
	select {
	case m := <-read:
		if len(m.files[filepath.Join(dir, "sound.yaml")].objects) != 1 {
			t.Error("the sound file is not read")
		}
		if len(m.problems) != len(want) {
			t.Errorf("problems %q", m.problems)
		}
		for name, words := range want {
			if all := strings.Join(m.problems, "\n"); !strings.Contains(all, filepath.Join(dir, name)+": it ") || !strings.Contains(all, words) {
				t.Errorf("%s: want %q in %q", name, words, all)
			}
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the directory is not read within 20 s")
	}
}
