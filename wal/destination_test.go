package wal

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func destination(t testing.TB, w *WAL, id string) *Destination {
	t.Helper()
	d, err := w.Destination(id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPositionsOutliveTheProcess(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 5)
	ids := []string{"", "main", "https://user:secret@host:9090/api/v1/write?x=1", "käse / brot", strings.Repeat("n", maxID)}
	positions := map[string]Position{}
	for i, id := range ids {
		a := destination(t, w, id)
		if a.Position() != w.Head() {
			t.Errorf("%q starts at %+v, head is %+v", id, a.Position(), w.Head())
		}
		appendNumbered(t, w, 5+5*i, 10+5*i)
		a.Acknowledge(w.Head())
		positions[id] = w.Head()
		if destination(t, w, id) != a {
			t.Errorf("%q is two destinations", id)
		}
		appendNumbered(t, w, 100, 103)
	}
	closeLog(t, w)
	for path := range d.live {
		if strings.Contains(path, "secret") || strings.Contains(path, "user") {
			t.Errorf("credentials in a file name: %s", path)
		}
	}
	for range 3 { // the second time from files written anew
		w = openOn(t, d)
		for _, id := range ids {
			if got := destination(t, w, id).Position(); got != positions[id] {
				t.Errorf("%q goes on from %+v, want %+v", id, got, positions[id])
			}
			destination(t, w, id).Acknowledge(w.Head())
			positions[id] = w.Head()
		}
		closeLog(t, w)
	}
	if _, err := openOn(t, d).Destination(strings.Repeat("n", maxID+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v for a long id", err)
	}
}

func TestAcknowledge(t *testing.T) {
	w := openOn(t, newMemDisk())
	defer closeLog(t, w)
	a := destination(t, w, "main")
	appendNumbered(t, w, 0, 30)
	all := readFrom(t, w, Position{})
	middle := all[len(all)/2].End
	tests := []struct{ acknowledged, want Position }{
		{all[0].End, all[0].End},
		{middle, middle},
		{all[0].End, middle},
		{Position{}, middle},
		{Position{Segment: w.Head().Segment, Offset: w.Head().Offset + 1}, middle},
		{Position{Segment: math.MaxUint64}, middle},
		{w.Head(), w.Head()},
		{middle, w.Head()},
	}
	for _, test := range tests {
		if a.Acknowledge(test.acknowledged); a.Position() != test.want {
			t.Errorf("acknowledged %+v, position is %+v, want %+v", test.acknowledged, a.Position(), test.want)
		}
	}
}

// A position outlives a SIGKILL as soon as Run had a moment, and does no harm in a power loss.
func TestNotedPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- w.Run(ctx) }()
		a := destination(t, w, "main")
		acknowledged := []Position{a.Position()}
		for i := range 30 {
			mustAppend(t, w, numbered(i))
			a.Acknowledge(w.Head())
			acknowledged = append(acknowledged, w.Head())
			synctest.Wait()
			killed := openOn(t, d.kill())
			if got := destination(t, killed, "main").Position(); got != w.Head() {
				t.Fatalf("position after a kill is %+v, want %+v", got, w.Head())
			}
			closeLog(t, killed)
			for seed := range 20 {
				with, logs := logged()
				crashed := openOn(t, d.crash(someSectors, testRand(seed)), with)
				a := destination(t, crashed, "main")
				if !slices.Contains(acknowledged, a.Position()) || logs.FilterField(zap.Bool("older_one_found", false)).Len() > 0 {
					t.Fatalf("position after a power loss is %+v", a.Position())
				}
				r := newReader(t, crashed, a.Position())
				mustAppend(t, crashed, numbered(1000))
				for {
					e, ok, err := r.TryNext()
					if err != nil || !ok {
						t.Fatalf("what comes after a power loss is not read: %v", err)
					}
					if string(e.Payload) == string(numbered(1000).Payload) {
						break
					}
				}
				closeLog(t, crashed)
			}
			time.Sleep(130 * time.Millisecond)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		closeLog(t, w)
	})
}

// A note outlives a SIGKILL as soon as Run had a moment and a power loss after the next Sync, also where no position moves.
func TestNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- w.Run(ctx) }()
		found := func(d *memDisk) string {
			w := openOn(t, d)
			defer closeLog(t, w)
			return destination(t, w, "main").Note()
		}
		a := destination(t, w, "main")
		for _, note := range []string{"1", "", "two\x00\xff", strings.Repeat("n", maxID-len("main"))} {
			if err := a.SetNote(note); err != nil || a.Note() != note {
				t.Errorf("note %.10q: %v, found %.10q", note, err, a.Note())
			}
			synctest.Wait()
			if got := found(d.kill()); got != note {
				t.Errorf("after a kill the note is %.10q, want %.10q", got, note)
			}
			time.Sleep(w.opts.SyncInterval)
			synctest.Wait()
			if got := found(d.crash(nothingUnsynced, nil)); got != note {
				t.Errorf("after a power loss the note is %.10q, want %.10q", got, note)
			}
		}
		before := a.Note()
		if err := a.SetNote(before + "n"); !errors.Is(err, ErrTooLarge) || a.Note() != before {
			t.Errorf("error %v for a long note", err)
		}
		mustAppend(t, w, numbered(0))
		a.Acknowledge(w.Head())
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		closeLog(t, w)
		if got := found(d); got != before {
			t.Errorf("the note goes when the position moves: %.10q", got)
		}
	})
}

func TestRunSavesPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- w.Run(ctx) }()

		a := destination(t, w, "main")
		var syncs, writes int
		d.mu.Lock()
		d.fault = func(op, path string) (int, error) {
			if strings.HasSuffix(path, temporarySuffix) {
				syncs += map[string]int{"sync": 1}[op]
				writes += map[string]int{"write": 1}[op]
			}
			return 0, nil
		}
		d.mu.Unlock()
		for i := range 50 {
			mustAppend(t, w, numbered(i))
			a.Acknowledge(w.Head())
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		saved := a.Position()
		if syncs != 5 || writes > 50+5 {
			t.Errorf("%d syncs and %d writes in 5 s, want 5 syncs, and 50 writes beside theirs", syncs, writes)
		}
		crashed := d.crash(nothingUnsynced, nil)
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		closeLog(t, w)

		w = openOn(t, crashed)
		defer closeLog(t, w)
		got := destination(t, w, "main").Position()
		if got.Before(Position{saved.Segment - 1, 0, 0}) || got.Count+50 < saved.Count {
			t.Errorf("position after a power loss is %+v, a second before it was %+v", got, saved)
		}
		r := newReader(t, w, got)
		mustAppend(t, w, numbered(50))
		if _, lost := total(readOn(t, r)); lost > 0 {
			t.Errorf("lost %d behind the position", lost)
		}
	})
}

// A position that was acknowledged while its segment was being synced is not saved before the next sync.
func TestPositionIsSavedAfterItsSegment(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	a := destination(t, w, "main")
	mustAppend(t, w, numbered(0))
	a.Acknowledge(w.Head())
	first := w.Head()
	d.fault = func(op, path string) (int, error) {
		if op == "sync" && path == w.segments[0].path {
			w.publish(w.segments[0], Position{first.Segment, first.Offset + 1, first.Count + 1})
			a.Acknowledge(w.Head())
		}
		return 0, nil
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	d.fault = nil
	if a.Position() == first || a.saved.position != first {
		t.Errorf("saved is %+v, acknowledged %+v; want %+v saved", a.saved, a.Position(), first)
	}
}

// Segments deleted by hand: numbers go on above the position.
func TestPositionAboveAllSegments(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	a := destination(t, w, "main")
	appendNumbered(t, w, 0, 50)
	a.Acknowledge(w.Head())
	p := w.Head()
	closeLog(t, w)
	for path := range d.live {
		if strings.HasSuffix(path, segmentSuffix) {
			delete(d.live, path)
		}
	}
	w = openOn(t, d)
	defer closeLog(t, w)
	if w.Segment() <= p.Segment || w.Head().Count != p.Count {
		t.Errorf("head is %+v, the position %+v", w.Head(), p)
	}
	r := newReader(t, w, destination(t, w, "main").Position())
	mustAppend(t, w, numbered(50))
	if entries := readOn(t, r); len(entries) != 1 || entries[0].Lost > 0 {
		t.Errorf("read %+v", entries)
	}
}

// Without room for a position the destination works, and is saved when there is room.
func TestDestinationOnFullDisk(t *testing.T) {
	d := newMemDisk()
	with, logs := logged()
	w := openOn(t, d, with)
	mend := faultOn(d, "open", positionSuffix, 0, syscall.ENOSPC)
	a := destination(t, w, "main")
	appendNumbered(t, w, 0, 3)
	a.Acknowledge(w.Head())
	p := w.Head()
	for range 3 {
		w.maintain()
	}
	mend()
	w.maintain()
	if n := logs.FilterMessageSnippet("background work").Len(); n != 2 {
		t.Errorf("failure and recovery are logged with %d messages, want 2", n)
	}
	d = d.crash(nothingUnsynced, nil)
	w.Close()
	w = openOn(t, d)
	defer closeLog(t, w)
	if got := destination(t, w, "main").Position(); got != p {
		t.Errorf("position %+v, want %+v", got, p)
	}
}
