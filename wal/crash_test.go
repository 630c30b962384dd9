package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func testRand(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 5)) }

// A power loss at any moment: readers get everything that a Sync covered and nothing that was not appended. No position is
// used twice, and every missing frame is reported.
func TestPowerLoss(t *testing.T) {
	for seed := range 400 {
		powerLossRun(t, seed, powerLoss(seed%3))
	}
}

// history records what a test has done to a log over several processes.
type history struct {
	payloads map[Position]string // of every frame that was appended, by its end
	synced   []Position          // ends of frames that a Sync covered and that no bound has deleted
	highest  uint64              // segment number
	saved    Position            // what is known to be on disk of it
}

func powerLossRun(t *testing.T, seed int, how powerLoss) {
	t.Helper()
	rnd := testRand(seed)
	d := newMemDisk()
	h := history{payloads: map[Position]string{}}
	for life := range 4 {
		w := openOn(t, d)
		a := destination(t, w, "main")
		if w.Segment() <= h.highest {
			t.Fatalf("seed %d: segment %d is used twice", seed, w.Segment())
		}
		if a.Position().Before(h.saved) {
			t.Fatalf("seed %d: position %+v, saved was %+v", seed, a.Position(), h.saved)
		}
		h.checkRead(t, w, seed)
		h.work(t, w, a, rnd, life)
		h.highest = w.Head().Segment
		crashed := d.crash(how, rnd)
		closeLog(t, w)
		d = crashed
	}
}

func (h *history) work(t *testing.T, w *WAL, a *Destination, rnd *rand.Rand, life int) {
	t.Helper()
	var unsynced []Position
	for i := range rnd.IntN(60) {
		f := numbered(1000*life + i)
		p := mustAppend(t, w, f)
		h.payloads[p] = string(f.Payload)
		unsynced = append(unsynced, p)
		if rnd.IntN(4) == 0 {
			a.Acknowledge(p)
		}
		if rnd.IntN(8) == 0 {
			acked := a.Position()
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			h.synced, unsynced = append(h.synced, unsynced...), nil
			h.saved = acked
		}
		if rnd.IntN(16) == 0 {
			w.keepBounds()
		}
	}
}

func (h *history) checkRead(t *testing.T, w *WAL, seed int) {
	t.Helper()
	mark := mustAppend(t, w, Frame{Type: 4, Count: 1, Payload: []byte("life")})
	h.payloads[mark] = "life"
	tail := w.Tail()
	entries := readFrom(t, w, tail)
	read := map[Position]bool{}
	for _, e := range entries {
		if h.payloads[e.End] != string(e.Payload) {
			t.Fatalf("seed %d: read %q at %+v, appended was %q", seed, e.Payload, e.End, h.payloads[e.End])
		}
		read[e.End] = true
	}
	for _, p := range h.synced {
		if !p.Before(tail) && !read[p] {
			t.Fatalf("seed %d: synced frame that ends at %+v is not read", seed, p)
		}
	}
	if h.saved.Segment > 0 && !tail.Before(h.saved) && slices.ContainsFunc(h.synced, func(p Position) bool { return h.saved.Before(p) && p.Before(tail) }) {
		t.Fatalf("seed %d: tail %+v, but %+v was saved", seed, tail, h.saved)
	}
	if got, lost := total(entries); tail.Count+got+lost != mark.Count {
		t.Fatalf("seed %d: read %d and lost %d between %+v and %+v", seed, got, lost, tail, mark)
	}
}

// One operation after the other fails, once or from then on. Readers get the groups that Append accepted, before and after a
// restart. They do not get a refused group, unless its debris could not be cut off. Nothing panics, and Close returns.
func TestEveryOperationFails(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for _, times := range []int{1, 3, 1 << 30} {
			for step := 0; failingRun(t, cause, times, step); step++ {
			}
		}
	}
}

// failingRun lets times operations fail from the step-th on, and returns whether there were so many.
func failingRun(t *testing.T, cause error, times, step int) bool {
	t.Helper()
	what := fmt.Sprintf("%v %d times from operation %d on", cause, times, step)
	d := newMemDisk()
	w := openOn(t, d)
	a := destination(t, w, "main")
	appendNumbered(t, w, 0, 10)
	before := payloads(readFrom(t, w, Position{}))
	operations := 0
	d.fault = func(op, path string) (int, error) {
		operations++
		if operations > step && operations <= step+times {
			return step % 40, cause
		}
		return 0, nil
	}
	var appended []string
	for i := range 30 {
		w.retryAt = w.retryAt.AddDate(-1, 0, 0) // as if time had passed
		payload := "after " + strconv.Itoa(i)
		if _, err := tryAppend(w, Frame{Type: 2, Count: 2, Payload: []byte(payload)}); err == nil {
			appended = append(appended, payload)
		} else if !errors.Is(err, cause) {
			t.Fatalf("%s: append: %v", what, err)
		}
		if i%4 == 0 {
			w.maintain()
		}
	}
	d.mu.Lock()
	reached := operations > step
	d.fault = nil
	d.mu.Unlock()

	check := func(w *WAL, when string, exact bool) {
		w.retryAt = time.Time{}
		mustAppend(t, w, Frame{Type: 3, Count: 1, Payload: []byte("last")})
		entries := readFrom(t, w, Position{})
		returned, lost := total(entries)
		if returned+lost != w.Head().Count {
			t.Fatalf("%s, %s: read %d and lost %d, head %+v", what, when, returned, lost, w.Head())
		}
		want := slices.Concat(before, appended, []string{"last"})
		if got := payloads(entries); exact && (lost > 0 || !slices.Equal(got, want)) {
			t.Fatalf("%s, %s: read %q and lost %d, appended %q", what, when, got, lost, want)
		}
	}
	deleted := value(w.metrics.deleted.WithLabelValues(reasonDiskFull)) > 0
	// With no segment after it, the debris of the last group may pass for a group.
	debris := w.active == nil
	early := d.kill()
	check(w, "at once", !deleted)
	late := d.kill()
	a.Acknowledge(w.Head())
	if err := w.Close(); err != nil {
		t.Fatalf("%s: close: %v", what, err)
	}
	if d.handles != 0 {
		t.Fatalf("%s: %d files are open after Close", what, d.handles)
	}
	w = openOn(t, early)
	check(w, "after SIGKILL", !deleted && !debris)
	closeLog(t, w)
	w = openOn(t, late)
	appended = append(appended, "last")
	check(w, "after a late SIGKILL", !deleted)
	closeLog(t, w)
	return reached
}

// Data that a killed process left unsynced is durable after the first Sync of the next process.
func TestRecoveredSegmentsAreSynced(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 50)
	d = d.kill()
	w.Close()
	w = openOn(t, d)
	defer closeLog(t, w)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	for path, f := range d.live {
		if string(f.data) != string(f.synced) {
			t.Errorf("%s is not synced", path)
		}
	}
	if d.handles != 1 {
		t.Errorf("%d files are open, want the active segment", d.handles)
	}
}

func TestSecondProcess(t *testing.T) {
	o := Options{Dir: t.TempDir() + "/new/wal"}
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), o.Dir) {
		t.Errorf("second open: %v", err)
	}
	closeLog(t, w)
	if w, err = Open(o); err != nil {
		t.Fatal(err)
	}
	closeLog(t, w)
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(Options{SegmentBytes: -1, MaxBytes: -2, SyncInterval: -3})
	for _, flag := range []string{"Dir", "SegmentBytes", "MaxBytes", "SyncInterval"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("error %v does not name %s", err, flag)
		}
	}
	for _, op := range []string{"list", "open", "write", "sync"} {
		d := newMemDisk()
		w := openOn(t, d)
		appendNumbered(t, w, 0, 10)
		closeLog(t, w)
		mend := faultOn(d, op, dir, 0, syscall.EACCES)
		if _, err := tryOpen(d); !errors.Is(err, syscall.EACCES) {
			t.Errorf("open with failing %s: %v", op, err)
		}
		mend()
		if d.claimed || d.handles > 0 {
			t.Errorf("open with failing %s: claimed is %v and %d files are open", op, d.claimed, d.handles)
		}
		closeLog(t, openOn(t, d))
	}
}

// Processes that crash before they append leave nothing behind. No number and no count is used twice, even if only a segment
// without frames records them.
func TestCrashLoop(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	mustAppend(t, w, Frame{Type: 1, Count: 100})
	closeLog(t, w)
	w = openOn(t, d)
	w.remove(w.segments[0], reasonAcknowledged)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	highest := w.Segment()
	for i := range 30 {
		d = d.crash(powerLoss(i%3), testRand(i))
		w := openOn(t, d)
		if w.Segment() <= highest || w.Head().Count != 100 || len(w.segments) != 1 {
			t.Fatalf("life %d: head is %+v after segment %d, %d segments", i, w.Head(), highest, len(w.segments))
		}
		highest = w.Segment()
		t.Cleanup(func() { w.Close() })
	}
}
