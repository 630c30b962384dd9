package wal

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdle(t *testing.T) {
	list := func(closed int, open bool) []*segment {
		var segments []*segment
		for i := range closed {
			s := &segment{number: uint64(10 + i)}
			s.size.Store(100)
			s.closed.Store(true)
			segments = append(segments, s)
		}
		if open {
			segments = append(segments, &segment{number: uint64(10 + closed)})
		}
		return segments
	}
	tests := map[string]struct {
		segments  []*segment
		positions []Position
		want      int
	}{
		"no segments":                    {list(0, false), []Position{{1, 0, 0}}, 0},
		"nothing closed":                 {list(0, true), []Position{{99, 0, 0}}, 0},
		"no destinations":                {list(3, true), nil, 2},
		"no destinations, one closed":    {list(1, true), nil, 0},
		"all passed":                     {list(3, true), []Position{{13, 0, 0}}, 3},
		"one behind":                     {list(3, true), []Position{{13, 0, 0}, {11, 0, 0}}, 1},
		"at the end of one":              {list(3, true), []Position{{11, 100, 0}}, 2},
		"just before the end of one":     {list(3, true), []Position{{11, 99, 0}}, 1},
		"not saved yet":                  {list(3, true), []Position{{13, 0, 0}, {}}, 0},
		"all passed, none being written": {list(3, false), []Position{{99, 0, 0}}, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := idle(test.segments, test.positions); got != test.want {
				t.Errorf("idle = %d, want %d", got, test.want)
			}
		})
	}
}

// Segments are deleted when all destinations have passed them, and only when that is durable.
func TestAcknowledgedSegmentsGo(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	a, b := destination(t, w, "a"), destination(t, w, "b")
	tail := w.Tail()
	appendNumbered(t, w, 0, 50)
	middle := readFrom(t, w, Position{})[25].End

	a.Acknowledge(w.Head())
	b.Acknowledge(middle)
	w.keepBounds()
	if w.Tail() != tail {
		t.Errorf("tail moved to %+v before positions were saved", w.Tail())
	}
	w.maintain()
	if w.Tail().Segment != middle.Segment {
		t.Errorf("tail is %+v, the lowest position %+v", w.Tail(), middle)
	}
	b.Acknowledge(w.Head())
	w.maintain()
	if w.Tail().Segment != w.Head().Segment || d.live[dir+"/"+segmentName(middle.Segment)] != nil {
		t.Errorf("tail is %+v, head %+v", w.Tail(), w.Head())
	}
	if got := lostBy(t, w, "a", "b"); got != 0 {
		t.Errorf("%v were counted as lost", got)
	}
}

func lostBy(t *testing.T, w *WAL, labels ...string) (n float64) {
	t.Helper()
	for _, label := range labels {
		for _, reason := range lossReasons {
			n += value(w.metrics.lost.WithLabelValues(label, reason))
		}
	}
	return n
}

// Above MaxBytes the oldest segments are deleted. Every destination and its reader report the same exact loss, and the bound
// holds at every moment.
func TestMaxBytes(t *testing.T) {
	d := newMemDisk()
	with, logs := logged()
	w := openOn(t, d, with, func(o *Options) { o.MaxBytes = 4_000 })
	fast, slow, dead := destination(t, w, "fast"), destination(t, w, "slow"), destination(t, w, "dead")
	readers := map[*Destination]*Reader{fast: newReader(t, w, w.Head()), slow: newReader(t, w, w.Head()), dead: newReader(t, w, w.Head())}
	got := map[*Destination]uint64{}
	lost := map[*Destination]uint64{}
	read := func(a *Destination, n int) {
		for ; n > 0; n-- {
			e, ok, err := readers[a].TryNext()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return
			}
			got[a] += uint64(e.Count)
			lost[a] += e.Lost
			a.Skipped(e.Start, e.Lost)
			a.Acknowledge(e.End)
		}
	}
	read(dead, 1)
	for i := range 500 {
		mustAppend(t, w, numbered(i))
		if i == 0 {
			read(dead, 1)
		}
		read(fast, 10)
		if i%4 == 0 {
			read(slow, 1)
		}
		if i%50 == 0 {
			w.maintain()
		}
		if w.size() > 4_000 || w.size() != sizeOf(d) {
			t.Fatalf("segments take %d bytes, %d are counted", sizeOf(d), w.size())
		}
	}
	if len(w.segments) < 5 {
		t.Errorf("%d segments are left of 4000 bytes", len(w.segments))
	}
	deadBefore := got[dead]
	for a := range readers {
		read(a, 1000)
		counted := lostBy(t, w, a.label)
		if got[a]+lost[a] != w.Head().Count || float64(lost[a]) != counted {
			t.Errorf("%s read %d and lost %d of %d; lost_total is %v", a.id, got[a], lost[a], w.Head().Count, counted)
		}
	}
	if lost[fast] != 0 || lost[slow] == 0 || lost[dead] < lost[slow] || deadBefore == 0 {
		t.Errorf("lost %d, %d and %d", lost[fast], lost[slow], lost[dead])
	}
	deleted := value(w.metrics.deleted.WithLabelValues(reasonMaxBytes))
	deletions := logs.FilterMessage("segment deleted to make room").All()
	if n := len(deletions); n == 0 || float64(n) != deleted {
		t.Errorf("%d deletions are logged, %v counted", n, deleted)
	}
	if f := deletions[0].ContextMap(); f["destinations"] != "dead, slow" && f["destinations"] != "dead" || f["samples"].(uint64) == 0 {
		t.Errorf("logged %v", f)
	}
	closeLog(t, w)
}

// sizeOf is what the segments really take.
func sizeOf(d *memDisk) (n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, f := range d.live {
		if strings.HasSuffix(path, segmentSuffix) {
			n += int64(len(f.data))
		}
	}
	return n
}

// The loss of a destination while the log was closed and opened again is reported as exactly.
func TestLossIsToldAfterRestart(t *testing.T) {
	d := newMemDisk()
	bound := func(o *Options) { o.MaxBytes = 2_000 }
	w := openOn(t, d, bound)
	a := destination(t, w, "main")
	appendNumbered(t, w, 0, 5)
	a.Acknowledge(readFrom(t, w, Position{})[3].End)
	p := a.Position()
	appendNumbered(t, w, 5, 200)
	closeLog(t, w)
	w = openOn(t, d, bound)
	defer closeLog(t, w)
	if got := destination(t, w, "main").Position(); got != p {
		t.Fatalf("position %+v, want %+v", got, p)
	}
	entries := readFrom(t, w, p)
	got, lost := total(entries)
	if lost == 0 || p.Count+got+lost != w.Head().Count || entries[0].Lost != w.Tail().Count-p.Count {
		t.Errorf("read %d and lost %d between %+v and %+v", got, lost, p, w.Head())
	}
}

// A reader in a segment that is deleted moves on, and its open file holds no space.
func TestDeletedUnderReader(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	appendNumbered(t, w, 0, 50)
	r := newReader(t, w, Position{})
	e, _, err := r.TryNext()
	if err != nil {
		t.Fatal(err)
	}
	first := d.live[dir+"/"+segmentName(1)]
	w.retainMu.Lock()
	for range 3 {
		w.deleteOldest(reasonMaxBytes, nil)
	}
	w.retainMu.Unlock()
	if len(first.data) != 0 {
		t.Errorf("deleted segment still has %d bytes for those who have it open", len(first.data))
	}
	entries := readOn(t, r)
	got, lost := total(entries)
	if entries[0].Start != w.Tail() || !entries[0].NewSegment || uint64(e.Count)+got+lost != w.Head().Count || lost != entries[0].Lost {
		t.Errorf("read %d and lost %d of %d, first %+v", got, lost, w.Head().Count, entries[0])
	}
}

// A segment may be cut while a reader is in the middle of it: that is no damage.
func TestCutUnderReader(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	appendNumbered(t, w, 0, 50)
	r := newReader(t, w, Position{})
	s := w.segments[0]
	d.fault = func(op, path string) (int, error) {
		if op == "read" && path == s.path {
			s.gone.Store(true)
			d.live[path].data = d.live[path].data[:50]
		}
		return 0, nil
	}
	w.mu.Lock()
	w.segments = w.segments[1:]
	w.mu.Unlock()
	r.next = 0
	r.seg, r.cur = s, newCursor(must(d.Open(s.path, 0)), s)
	got, lost := total(readOn(t, r))
	if lost == 0 || got+lost != w.Head().Count || value(w.metrics.corruptions) > 0 {
		t.Errorf("read %d and lost %d of %d, %v places are damaged", got, lost, w.Head().Count, value(w.metrics.corruptions))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestSegmentDeletedByHand(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	appendNumbered(t, w, 0, 50)
	d.mu.Lock()
	delete(d.live, dir+"/"+segmentName(2))
	d.mu.Unlock()
	got, lost := total(readFrom(t, w, Position{}))
	if lost == 0 || got+lost != w.Head().Count {
		t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
	}
}

func TestMinFreeBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		d.capacity = 20_000
		w := openOn(t, d, func(o *Options) { o.MinFreeBytes = 5_000 })
		a := destination(t, w, "main")
		appendNumbered(t, w, 0, 60)
		r := newReader(t, w, Position{})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- w.Run(ctx) }()
		time.Sleep(3 * time.Second)
		if value(w.metrics.deleted.WithLabelValues(reasonMinFree)) > 0 {
			t.Error("segments were deleted with disk space enough")
		}

		// Somebody else takes the space, so that about half of the log must go.
		half := sizeOf(d) / 2
		d.mu.Lock()
		d.reserved = d.freeLocked() - 5_000 + half
		d.mu.Unlock()
		time.Sleep(2 * time.Second)
		if s, _ := d.Space(dir); s.free < 5_000 || sizeOf(d) < half-1_000 {
			t.Errorf("%d bytes are free, the log has %d, had %d", s.free, sizeOf(d), 2*half)
		}
		got, lost := total(readOn(t, r))
		if lost == 0 || got+lost != w.Head().Count || lostBy(t, w, "main") > 0 {
			t.Errorf("read %d and lost %d of %d, lost_total is %v", got, lost, w.Head().Count, lostBy(t, w, "main"))
		}

		// All of it: what is being written goes too, after a rotation.
		before := w.Segment()
		d.mu.Lock()
		d.reserved += d.freeLocked() - 1_000
		d.mu.Unlock()
		time.Sleep(15 * time.Second)
		if w.Segment() == before || w.Tail().Segment == before {
			t.Errorf("tail is %+v, segment %d was being written", w.Tail(), before)
		}
		if n := len(w.segments); n != 1 {
			t.Errorf("%d segments are left", n)
		}
		time.Sleep(60 * time.Second)
		if got := w.Segment(); got != before+1 {
			t.Errorf("segment %d is being written, want %d: nothing was worth a rotation", got, before+1)
		}
		lost = w.Head().Count - a.Position().Count
		a.Skipped(w.Head(), lost)
		mustAppend(t, w, numbered(0))
		if a.Acknowledge(w.Head()); float64(lost) != lostBy(t, w, "main") {
			t.Errorf("lost %d, lost_total is %v", lost, lostBy(t, w, "main"))
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		d.reserved = 0
		d.mu.Unlock()
		closeLog(t, w)
	})
}

// If a file system frees space late, the log does not delete one segment after the other.
func TestSpaceThatComesBackLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		d.capacity = 100_000
		w := openOn(t, d, func(o *Options) { o.MinFreeBytes = 1_000 })
		destination(t, w, "main")
		appendNumbered(t, w, 0, 60)
		before := len(w.segments)
		d.reserved = d.freeLocked() - 700 // so 300 bytes are lacking, and deletions do not show
		hidden := func() { d.reserved = d.capacity - sizeOf(d) - 700 }
		for range 9 {
			w.keepBounds()
			hidden()
			time.Sleep(time.Second)
		}
		if gone := before - len(w.segments); gone != 1 {
			t.Errorf("%d segments were deleted for the space of one", gone)
		}
		d.reserved = 0
		closeLog(t, w)
	})
}

// Data that is synced and read leaves the page cache.
func TestPageCache(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.SegmentBytes = 64 << 20 })
	big := Frame{Type: 1, Count: 1, Payload: make([]byte, 1<<20)}
	for range 10 {
		mustAppend(t, w, big)
	}
	r := newReader(t, w, Position{})
	readOn(t, r)
	if d.forgot != 0 {
		t.Errorf("pages were dropped %d times before they were synced", d.forgot)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	r = newReader(t, w, Position{})
	readOn(t, r)
	if d.forgot != 2 {
		t.Errorf("pages were dropped %d times in 10 MiB, want 2", d.forgot)
	}
	closeLog(t, w)
	if d.forgot != 3 {
		t.Errorf("pages were dropped %d times, want once more for the closed segment", d.forgot)
	}
	if got := slices.Collect(maps.Keys(d.live)); len(got) != 1 {
		t.Errorf("files %q", got)
	}
}
