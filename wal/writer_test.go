package wal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestRotateNow(t *testing.T) {
	tests := map[string]struct {
		fresh, repeated, group int64
		want                   bool
	}{
		"empty":                                   {0, 0, 1000, false},
		"not full":                                {99, 0, 1, false},
		"full":                                    {100, 0, 1, true},
		"full, tables a fifth":                    {80, 20, 1, true},
		"full, tables more than a fifth":          {79, 21, 1, false},
		"grown until tables are a fifth":          {160, 40, 1, true},
		"full, asked for no group":                {100, 0, 0, true},
		"tables alone":                            {0, 399, 0, false},
		"group up to the ceiling":                 {50, 250, 100, false},
		"group beyond the ceiling":                {50, 250, 101, true},
		"small segment, group beyond the ceiling": {1, 0, 400, true},
		"at the ceiling, asked for no group":      {100, 300, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rotateNow(test.fresh, test.repeated, test.group, 100); got != test.want {
				t.Errorf("rotateNow = %v, want %v", got, test.want)
			}
		})
	}
}

func TestAppendAndRead(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	if got, want := w.Head(), (Position{Segment: 1, Offset: segmentHeaderBytes}); got != want || w.Tail() != want {
		t.Errorf("head %+v and tail %+v of a new log, want %+v", got, w.Tail(), want)
	}
	var want []string
	var count uint64
	for i := range 100 {
		f, g := numbered(2*i), Frame{Type: 7, Payload: nil}
		before := w.Head()
		p := mustAppend(t, w, f, g)
		count += uint64(f.Count)
		if p != w.Head() || !before.Before(p) || p.Count != count {
			t.Fatalf("append returned %+v, head is %+v, was %+v, count should be %d", p, w.Head(), before, count)
		}
		want = append(want, string(f.Payload), "")
	}
	entries := readFrom(t, w, Position{})
	if got := payloads(entries); !slices.Equal(got, want) {
		t.Fatalf("read %q, want %q", got, want)
	}
	checkChain(t, entries, w.Head())
	closeLog(t, w)
	if d.handles != 0 {
		t.Errorf("%d files are open after Close", d.handles)
	}

	w = openOn(t, d)
	defer closeLog(t, w)
	if got := payloads(readFrom(t, w, w.Tail())); !slices.Equal(got, want) {
		t.Errorf("read %q after a restart, want %q", got, want)
	}
	if w.Head().Count != count {
		t.Errorf("running count %d after a restart, want %d", w.Head().Count, count)
	}
}

// checkChain checks what entries say of their places. The last one ends at head.
func checkChain(t *testing.T, entries []Entry, head Position) {
	t.Helper()
	var last Entry
	for i, e := range entries {
		if e.Lost > 0 || e.Replay {
			t.Errorf("entry %d: %+v", i, e)
		}
		if e.NewSegment != (e.Start.Segment != last.End.Segment) {
			t.Errorf("entry %d: NewSegment is %v behind %+v at %+v", i, e.NewSegment, last.End, e.Start)
		}
		if !e.NewSegment && e.Start != last.End || e.Start.Count != last.End.Count {
			t.Errorf("entry %d starts at %+v, the one before ends at %+v", i, e.Start, last.End)
		}
		if e.End.Offset-e.Start.Offset != frameHeaderBytes+int64(len(e.Payload)) {
			t.Errorf("entry %d lies between %+v and %+v", i, e.Start, e.End)
		}
		last = e
	}
	if last.End != head {
		t.Errorf("last entry ends at %+v, head is %+v", last.End, head)
	}
}

func TestGroupIsOneWrite(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	var writes int
	d.fault = func(op, _ string) (int, error) {
		if op == "write" {
			writes++
		}
		return 0, nil
	}
	mustAppend(t, w, numbered(1), numbered(2), numbered(3), table(1))
	if writes != 1 {
		t.Errorf("group took %d writes", writes)
	}
}

func TestAppendRefuses(t *testing.T) {
	w := openOn(t, newMemDisk(), func(o *Options) { o.MaxBytes = 10_000 })
	defer closeLog(t, w)
	tests := map[string]struct {
		group []Frame
		want  error
	}{
		"type 0":      {[]Frame{{Type: 0}}, nil},
		"type 128":    {[]Frame{{Type: 1}, {Type: 128}}, nil},
		"whole bound": {[]Frame{{Type: 1, Payload: make([]byte, 10_000)}}, ErrTooLarge},
		"payload":     {[]Frame{{Type: 1, Payload: make([]byte, maxPayload+1)}}, ErrTooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := w.Head()
			_, err := w.Append(w.Segment(), test.group...)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if w.Head() != before {
				t.Errorf("head moved to %+v", w.Head())
			}
		})
	}
	if p, err := w.Append(w.Segment()); err != nil || p != w.Head() {
		t.Errorf("group without frames: %+v, %v", p, err)
	}
}

func TestRotation(t *testing.T) {
	w := openOn(t, newMemDisk())
	defer closeLog(t, w)
	f := Frame{Type: 1, Count: 1, Payload: make([]byte, 268)} // 300 bytes: a full segment

	stale := w.Segment()
	mustAppend(t, w, f)
	if _, err := w.Append(stale, f); err == nil {
		t.Fatal("group landed in a full segment")
	} else {
		var rotated *RotatedError
		if !errors.As(err, &rotated) || rotated.Segment != stale+1 || w.Segment() != stale+1 {
			t.Fatalf("error %v, want a RotatedError for segment %d", err, stale+1)
		}
	}
	if p, err := w.Append(stale+1, f); err != nil || p != (Position{stale + 1, 340, 2}) {
		t.Fatalf("append = %+v, %v", p, err)
	}
	// A group that passes the ceiling opens a segment, and lands there however large it is.
	mustAppend(t, w, Frame{Type: 1, Count: 1, Payload: make([]byte, 20)})
	big := Frame{Type: 1, Count: 1, Payload: make([]byte, 5_000)}
	if p := mustAppend(t, w, big); p.Segment != stale+3 || p.Count != 4 {
		t.Errorf("group larger than a segment ends at %+v", p)
	}
	if got, _ := total(readFrom(t, w, Position{})); got != 4 {
		t.Errorf("%d frames are read, want 4", got)
	}
}

func TestConcurrentAppends(t *testing.T) {
	w := openOn(t, newMemDisk(), func(o *Options) { o.SegmentBytes = 3_000 })
	const writers, each = 8, 100
	var work sync.WaitGroup
	for i := range writers {
		work.Go(func() {
			for j := range each {
				payload := fmt.Appendf(nil, "%d %d", i, j)
				mustAppend(t, w, Frame{Type: 1, Count: 1, Payload: payload}, Frame{Type: 2, Count: 1, Payload: payload})
			}
		})
	}
	// Readers follow while the log is written, each to the end.
	for range 3 {
		work.Go(func() {
			r := newReader(t, w, Position{})
			next := make([]int, writers)
			for n := 0; n < 2*writers*each; n++ {
				e, err := r.Next(t.Context())
				if err != nil || e.Lost > 0 || e.End.Count != uint64(n+1) {
					t.Errorf("entry %d: %+v, %v", n, e, err)
					return
				}
				var i, j int
				fmt.Sscanf(string(e.Payload), "%d %d", &i, &j)
				if want := n%2 + 1; int(e.Type) != want || j != next[i] {
					t.Errorf("entry %d is frame %d of group %d %d, want frame %d of group %d", n, e.Type, i, j, want, next[i])
				}
				next[i] += n % 2
			}
		})
	}
	work.Go(func() {
		for range 50 {
			if err := w.Sync(); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	closeLog(t, w)
}

// A log that is closed after a rotation has synced every segment, and the last frame of each is the closing one.
func TestClose(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 50)
	closeLog(t, w)
	closeLog(t, w)
	if d.claimed || d.handles > 0 {
		t.Errorf("claimed is %v and %d files are open", d.claimed, d.handles)
	}
	for path, f := range d.live {
		number, _, _ := parseSegmentName(path[len(dir)+1:])
		at := len(f.data) - frameHeaderBytes
		if h, ok := decodeFrame(f.data[at:], number, int64(at)); !ok || h.kind != typeClosing {
			t.Errorf("%s ends without a closing frame", path)
		}
		if string(f.data) != string(f.synced) {
			t.Errorf("%s is not synced", path)
		}
	}
	before := len(d.live)
	if _, err := w.Append(w.Segment(), numbered(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := w.Destination("late"); !errors.Is(err, ErrClosed) {
		t.Errorf("destination: %v", err)
	}
	if err := w.Keep(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("keep: %v", err)
	}
	if err := w.Sync(); err != nil || len(d.live) != before {
		t.Errorf("sync: %v, %d files, were %d", err, len(d.live), before)
	}
}
