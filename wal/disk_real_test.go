package wal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Writers, readers, Sync, bounds and acknowledgements at once, on a real disk, in two processes: every reader accounts for
// every frame, although segments are deleted while it reads them.
func TestEverythingAtOnce(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "a", "b"), SegmentBytes: 20_000, MaxBytes: 200_000, SyncInterval: time.Millisecond}
	for range 2 {
		w, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		everythingAtOnce(t, w)
		var size int64
		entries, err := os.ReadDir(o.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), segmentSuffix) {
				size += info.Size()
			}
		}
		if size > o.MaxBytes || size != w.size() {
			t.Errorf("segments take %d bytes, %d are counted, the bound is %d", size, w.size(), o.MaxBytes)
		}
	}
}

func everythingAtOnce(t *testing.T, w *WAL) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var run, writers, readers sync.WaitGroup
	run.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 4 {
		writers.Go(func() {
			for i := range 2000 {
				mustAppend(t, w, numbered(i), numbered(i+1))
			}
		})
	}
	written := make(chan struct{})
	for _, id := range []string{"fast", "slow", "dead"} {
		readers.Go(func() { follow(t, w, id, written) })
	}
	writers.Wait()
	close(written)
	cancel()
	run.Wait()
	closeLog(t, w)
	readers.Wait()
}

// follow reads as destination id to the end of the log. The fast one acknowledges; the dead one stands with its segment
// open, which is deleted, until all is written.
func follow(t *testing.T, w *WAL, id string, written <-chan struct{}) {
	a := destination(t, w, id)
	from := a.Position()
	r := newReader(t, w, from)
	count := from.Count
	for {
		e, err := r.Next(t.Context())
		if errors.Is(err, ErrClosed) {
			break
		}
		if err != nil {
			t.Error(err)
			return
		}
		if e.Replay {
			continue
		}
		if count += e.Lost; count != e.Start.Count {
			t.Errorf("%s: %d is accounted for at %+v", id, count, e.Start)
			return
		}
		count += uint64(e.Count)
		switch {
		case id == "fast":
			a.Acknowledge(e.End)
		case id == "dead":
			<-written
		}
	}
	if count != w.Head().Count {
		t.Errorf("%s: %d of %d are accounted for", id, count, w.Head().Count)
	}
	if n := value(w.metrics.corruptions); n > 0 {
		t.Errorf("%s: %v deletions were taken for damage", id, n)
	}
}

func TestRealDisk(t *testing.T) {
	dir := t.TempDir()
	var d osDisk
	if s, err := d.Space(dir); err != nil || s.free <= 0 || s.size < s.free {
		t.Errorf("space %+v, %v", s, err)
	}
	if _, err := d.Space(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("free space of what is missing: %v", err)
	}
	f, err := d.Open(filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeAll(f, []byte("bytes"), 3); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	f.Forget(0, 0)
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if entries, err := d.List(dir); err != nil || len(entries) != 1 || entries[0] != (entry{"file", 8}) {
		t.Errorf("listed %v, %v", entries, err)
	}
	if err := syncDir(d, dir); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err == nil {
		t.Error("a closed file was synced")
	}
}
