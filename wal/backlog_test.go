package wal

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// contents reads every file below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Backlogs are exact whether the log is open, closed, or torn. Backlogs writes nothing.
func TestBacklogs(t *testing.T) {
	dir := t.TempDir()
	if _, err := Backlogs(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v of a log that is not there", err)
	}
	w, err := Open(Options{Dir: dir, SegmentBytes: 300, MaxBytes: 3_000})
	if err != nil {
		t.Fatal(err)
	}
	compare := func(when string) {
		t.Helper()
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		before := contents(t, dir)
		found, err := Backlogs(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != len(w.destinations) {
			t.Errorf("%s: found %+v", when, found)
		}
		for _, b := range found {
			p := destination(t, w, b.ID).Position()
			if want := w.Head().Count - max(p.Count, w.Tail().Count); b.Samples != want || b.Label != labelOf(b.ID) {
				t.Errorf("%s: found %+v, want %d", when, b, want)
			}
		}
		if !maps.Equal(before, contents(t, dir)) {
			t.Errorf("%s: something was written", when)
		}
	}
	compare("empty")
	behind, near, _ := destination(t, w, "behind"), destination(t, w, "near"), destination(t, w, "https://u:p@host/x")
	compare("positions alone")
	appendNumbered(t, w, 0, 5)
	near.Acknowledge(w.Head())
	appendNumbered(t, w, 5, 8)
	compare("one segment")
	appendNumbered(t, w, 8, 200)
	if !behind.Position().Before(w.Tail()) {
		t.Fatal("nothing was deleted")
	}
	near.Acknowledge(w.Head())
	mustAppend(t, w, numbered(7))
	compare("behind the tail")
	closeLog(t, w)
	head := w.Head().Count

	damage := map[string]func(newest string) error{
		"torn":          func(path string) error { return appendTo(path, "unfinished") },
		"an empty file": func(string) error { return os.WriteFile(filepath.Join(dir, segmentName(1<<40)), nil, 0o600) },
		"an unknown version": func(string) error {
			return os.WriteFile(filepath.Join(dir, segmentName(1<<41)), []byte(strings.Repeat("x", 99)), 0o600)
		},
		"a damaged position":  func(string) error { return os.WriteFile(filepath.Join(dir, positionsDir, "x.pos"), []byte("x"), 0o600) },
		"an unfinished one":   func(string) error { return os.WriteFile(filepath.Join(dir, positionsDir, "y.pos.tmp"), nil, 0o600) },
		"something of others": func(string) error { return os.WriteFile(filepath.Join(dir, "x.wal"), nil, 0o600) },
	}
	for _, name := range slices.Sorted(maps.Keys(damage)) {
		if err := damage[name](filepath.Join(dir, segmentName(w.Head().Segment))); err != nil {
			t.Fatal(err)
		}
		found, err := Backlogs(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range found {
			if want := head - max(destinationCount(w, b.ID), w.Tail().Count); b.Samples != want {
				t.Errorf("with %s: found %+v, want %d", name, b, want)
			}
		}
		if len(found) != 3 {
			t.Errorf("with %s: found %+v", name, found)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func destinationCount(w *WAL, id string) uint64 {
	return w.destinations[positionFileName(id)].Position().Count
}
