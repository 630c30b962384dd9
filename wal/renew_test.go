package wal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A directory that is removed under the log is made again, with positions; until then the log is not ready.
func TestDirectoryRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		with, logs := logged()
		w := openOn(t, d, with)
		stop := running(t, w)
		a, slow := destination(t, w, "main"), destination(t, w, "slow")
		r := newReader(t, w, w.Head())
		appendNumbered(t, w, 0, 30)
		readOn(t, r)
		a.Acknowledge(w.Head())
		if err := a.SetNote("note"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait() // timers of the same moment run in any order
		if err := w.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		before := w.Head()

		d.removeAll()
		mend := faultOn(d, "renew", dir, 0, syscall.EROFS)
		for i := range 5 { // as long as nothing can be made, readers at the head get what is appended
			mustAppend(t, w, Frame{Type: 2, Count: 1, Payload: []byte{byte(i)}})
			time.Sleep(time.Second)
			synctest.Wait() // timers of the same moment run in any order
			if err := w.Ready(); !errors.Is(err, syscall.EROFS) {
				t.Errorf("ready: %v", err)
			}
		}
		if got := readOn(t, r); len(got) != 5 || got[0].Lost > 0 {
			t.Errorf("read %+v", got)
		}
		mend()
		time.Sleep(3 * time.Second)
		synctest.Wait() // timers of the same moment run in any order
		if err := w.Ready(); err != nil {
			t.Errorf("not ready after the directory was made: %v", err)
		}
		mustAppend(t, w, numbered(1))
		if p := w.Head(); p.Segment == before.Segment || d.live[dir+"/"+segmentName(p.Segment)] == nil {
			t.Errorf("head is %+v, before it was %+v", p, before)
		}
		if got, lost := total(readOn(t, r)); got == 0 || lost > 0 {
			t.Errorf("read %d and lost %d", got, lost)
		}
		made := logs.FilterMessageSnippet("directory was removed").Len()
		if made != 1 || value(w.metrics.renewed) != 1 || logs.FilterMessageSnippet("background work").Len() != 2 {
			t.Errorf("logged %d times, counted %v", made, value(w.metrics.renewed))
		}
		killed := openOn(t, d.kill())
		if got := destination(t, killed, "main"); got.Position() != a.Position() || got.Note() != "note" {
			t.Errorf("after a kill the position is %+v, want %+v", got.mark, a.mark)
		}
		closeLog(t, killed)

		// The content of segments that nobody can open any more is lost, and counted.
		_, lost := settled(t, w, slow)
		if missing := value(w.metrics.lost.WithLabelValues("slow", reasonMissing)); lost == 0 || missing != float64(lost) || lostBy(t, w, "main") > 0 {
			t.Errorf("lost %d, lost_total is %v and %v", lost, missing, lostBy(t, w, "main"))
		}
		stop()
	})
}

// A rotation finds that the directory is gone, without waiting for the check.
func TestDirectoryRemovedBeforeRotation(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 3)
	d.removeAll()
	appendNumbered(t, w, 3, 50)
	if w.Ready() != nil || value(w.metrics.writeFailures) > 0 || d.live[dir+"/"+segmentName(w.Head().Segment)] == nil {
		t.Errorf("%v, %v failures", w.Ready(), value(w.metrics.writeFailures))
	}
	if err := w.Sync(); err != nil {
		t.Error(err)
	}
	closeLog(t, w)
}

// The file of the segment being written is removed, and nothing else.
func TestActiveSegmentRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		stop := running(t, w)
		a := destination(t, w, "main")
		mustAppend(t, w, numbered(4))
		lost := w.Head()
		late := newReader(t, w, Position{})
		d.mu.Lock()
		delete(d.live, dir+"/"+segmentName(lost.Segment))
		d.mu.Unlock()
		if _, ok, err := late.TryNext(); ok || err != nil {
			t.Errorf("read what is not there: %v", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait() // timers of the same moment run in any order
		mustAppend(t, w, numbered(0))
		if got := readOn(t, late); len(got) != 1 || got[0].Lost != lost.Count {
			t.Errorf("read %+v", got)
		}
		settled(t, w, a)
		if g := w.gone[len(w.gone)-1]; g.to != lost.Count {
			t.Errorf("gone is %+v, want it to end at %d", g, lost.Count)
		}
		if got := lostBy(t, w, "main"); got != float64(lost.Count) || w.Head().Segment != lost.Segment+1 {
			t.Errorf("lost_total is %v, want %d; head is %+v", got, lost.Count, w.Head())
		}
		stop()
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		stop := running(t, w)
		mend := faultOn(d, "write", segmentSuffix, 0, syscall.EIO)
		if _, err := tryAppend(w, numbered(0)); err == nil {
			t.Fatal("appended")
		}
		if err := w.Ready(); !errors.Is(err, syscall.EIO) {
			t.Errorf("ready: %v", err)
		}
		mend()
		time.Sleep(3 * time.Second)
		synctest.Wait() // timers of the same moment run in any order
		if err := w.Ready(); err != nil {
			t.Errorf("nobody appends, and it is not ready again: %v", err)
		}
		stop()
		if err := w.Ready(); !errors.Is(err, ErrClosed) {
			t.Errorf("ready after it was closed: %v", err)
		}
	})
}

func TestRenewOnRealDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	positions := filepath.Join(dir, positionsDir)
	c := must(osDisk{}.Claim(dir))
	tests := []struct {
		name  string
		first func() error
		made  bool
	}{
		{"nothing", func() error { return nil }, false},
		{"positions", func() error { return os.RemoveAll(positions) }, true},
		{"lock", func() error { return os.Remove(filepath.Join(dir, lockName)) }, true},
		{"directory", func() error { return os.RemoveAll(dir) }, true},
		{"with the one above", func() error { return os.RemoveAll(filepath.Dir(dir)) }, true},
		{"nothing more", func() error { return nil }, false},
	}
	for _, test := range tests {
		if err := test.first(); err != nil {
			t.Fatal(err)
		}
		if made, err := c.Renew(); made != test.made || err != nil {
			t.Errorf("%s: %v, %v", test.name, made, err)
		}
		if _, err := (osDisk{}).Claim(dir); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: the directory is not locked: %v", test.name, err)
		}
		if info, err := os.Stat(positions); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", test.name, err)
		}
	}

	// Another process was faster: the directory is its own.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other := must(osDisk{}.Claim(dir))
	if made, err := c.Renew(); made || !errors.Is(err, ErrLocked) {
		t.Errorf("took another's directory: %v, %v", made, err)
	}
	if err := errors.Join(other.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if _, err := c.Renew(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("renewed after it was closed: %v", err)
	}
}

// The log opens even if a segment or a position belongs to another owner and cannot be read.
func TestForbiddenFiles(t *testing.T) {
	for name, renames := range map[string]bool{"renamed": true, "not to be renamed": false} {
		t.Run(name, func(t *testing.T) {
			d := newMemDisk()
			w := openOn(t, d)
			destination(t, w, "main")
			appendNumbered(t, w, 0, 50)
			newest := w.Head().Segment
			closeLog(t, w)
			path := dir + "/" + segmentName(newest)
			d.fault = func(op, at string) (int, error) {
				if op == "open" && (at == path || strings.HasSuffix(at, positionSuffix)) || op == "rename" && at == path && !renames {
					return 0, syscall.EACCES
				}
				return 0, nil
			}
			for range 2 {
				with, logs := logged()
				w = openOn(t, d, with)
				messages := logs.FilterMessage("segment cannot be opened, and is kept aside").Len()
				if want := 1; value(w.metrics.unknown) != 1 || messages != want && !renames {
					t.Errorf("logged %d times, %v are counted", messages, value(w.metrics.unknown))
				}
				if w.Head().Segment <= newest {
					t.Errorf("number %d is used again", w.Head().Segment)
				}
				if got := destination(t, w, "main").Position(); got != w.Tail() {
					t.Errorf("position %+v, want the tail", got)
				}
				mustAppend(t, w, numbered(1))
				if got, lost := total(readFrom(t, w, Position{})); got == 0 || got+lost != w.Head().Count {
					t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
				}
				closeLog(t, w)
			}
			if kept := d.live[path+map[bool]string{true: unknownSuffix}[renames]]; kept == nil || len(kept.data) == 0 {
				t.Error("the segment is gone")
			}
		})
	}
}
