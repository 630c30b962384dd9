package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/scrape/order"
	"promrelay/wal"
)

// TestLongStep: a quick step says nothing, a long one says how far it is from time to time.
func TestLongStep(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	now := time.Now()
	s := newLongStep(zap.New(core), "reading")
	s.now, s.last = func() time.Time { return now }, now
	for i := range int64(100) {
		now = now.Add(100 * time.Millisecond)
		s.at(i, 200)
	}
	s.at(1, 0)
	var got []string
	for _, e := range seen.All() {
		got = append(got, fmt.Sprint(e.Message, " ", e.ContextMap()["percent"]))
	}
	if strings.Join(got, "|") != "reading 14|reading 29|reading 44" {
		t.Errorf("told %q", got)
	}
}

// TestStartTells: opening a log and reading its end tell how far they are, up to the end.
func TestStartTells(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wal")
	open := func(progress func(wal.OpenStep, int64, int64)) *wal.WAL {
		store, err := wal.Open(wal.Options{Dir: dir, MinFreeBytes: -1, SegmentBytes: 1 << 16, Progress: progress})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open(nil)
	for range 400 {
		if _, err := store.Append(store.Segment(), wal.Frame{Type: 1, Count: 10, Payload: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Sync(); err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "wal") // without the closing frame of the newest segment
	copyFiles(t, dir, crashed)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	dir = crashed
	last, total := map[wal.OpenStep]int64{}, map[wal.OpenStep]int64{}
	store = open(func(step wal.OpenStep, done, of int64) {
		if done < last[step] || done > of {
			t.Errorf("%s: %d of %d after %d", step, done, of, last[step])
		}
		last[step], total[step] = done, of
	})
	defer store.Close()
	if last[wal.StepSegments] < 6 || last[wal.StepNewest] == 0 || last[wal.StepNewest] != total[wal.StepNewest] {
		t.Errorf("told %v of %v", last, total)
	}
	core, seen := observer.New(zapcore.InfoLevel)
	if err := restore(order.New(), store, zap.New(core)); err != nil || seen.Len() > 0 {
		t.Errorf("a quick start: %v, told %v", err, seen.All())
	}
	r, err := store.NewReader(store.Tail())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	step := newLongStep(zap.New(core), "reading")
	now := time.Now()
	step.now = func() time.Time { now = now.Add(time.Second); return now }
	if err := order.New().RestoreFrom(countedLog{r, store.Tail(), store.Head(), step}); err != nil {
		t.Fatal(err)
	}
	if told := seen.All(); len(told) < 100 || told[len(told)-1].ContextMap()["percent"].(int64) < 98 {
		t.Errorf("%d lines", len(told))
	}
}

// copyFiles copies the files of a directory.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
