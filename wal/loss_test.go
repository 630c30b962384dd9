package wal

import (
	"testing"
)

// settled reads for a from its position to the head and acknowledges all of it.
func settled(t *testing.T, w *WAL, a *Destination) (got, lost uint64) {
	t.Helper()
	entries := readFrom(t, w, a.Position())
	for _, e := range entries {
		a.Skipped(e.Start, e.Lost)
		a.Acknowledge(e.End)
	}
	return total(entries)
}

// Frames that a destination read before their segment was deleted are not lost.
func TestDeletedIsNotLost(t *testing.T) {
	w := openOn(t, newMemDisk(), func(o *Options) { o.MaxBytes = 2_000 })
	defer closeLog(t, w)
	memory, disk := destination(t, w, "memory"), destination(t, w, "disk")
	r := newReader(t, w, w.Head())
	for i := range 300 {
		mustAppend(t, w, numbered(i))
		readOn(t, r)
	}
	if w.Tail().Count == 0 {
		t.Fatal("nothing was deleted")
	}
	half := w.Head()
	memory.Acknowledge(half)
	if got := lostBy(t, w, "memory", "disk"); got != 0 {
		t.Errorf("lost_total is %v", got)
	}
	_, lost := settled(t, w, disk)
	if lost != w.Tail().Count || lostBy(t, w, "disk") != float64(lost) || lostBy(t, w, "memory") != 0 {
		t.Errorf("lost %d, lost_total is %v and %v", lost, lostBy(t, w, "disk"), lostBy(t, w, "memory"))
	}
	if len(w.gone) != 1 {
		t.Errorf("%d spans are held", len(w.gone))
	}
}

// A gap counts once however often it is reported, only as far as it was deleted, and only when a position behind it is
// acknowledged.
func TestSkipped(t *testing.T) {
	at := func(count uint64) Position { return Position{Segment: 1, Offset: int64(count), Count: count} }
	type gap struct{ to, lost uint64 }
	tests := map[string]struct {
		skipped []gap
		acked   uint64
		want    map[string]float64
	}{
		"nothing skipped":      {nil, 100, nil},
		"not acknowledged":     {[]gap{{30, 20}}, 29, nil},
		"all of one":           {[]gap{{20, 10}}, 20, map[string]float64{reasonMaxBytes: 10}},
		"two reasons":          {[]gap{{30, 20}}, 30, map[string]float64{reasonMaxBytes: 10, reasonMinFree: 10}},
		"reported twice":       {[]gap{{30, 20}, {30, 20}}, 30, map[string]float64{reasonMaxBytes: 10, reasonMinFree: 10}},
		"a larger one":         {[]gap{{30, 10}, {40, 25}}, 50, map[string]float64{reasonMaxBytes: 5, reasonMinFree: 10}},
		"a smaller one":        {[]gap{{30, 20}, {25, 3}}, 50, map[string]float64{reasonMaxBytes: 10, reasonMinFree: 10}},
		"two":                  {[]gap{{12, 2}, {30, 2}}, 50, map[string]float64{reasonMaxBytes: 2, reasonMinFree: 2}},
		"the first of two":     {[]gap{{12, 2}, {30, 2}}, 20, map[string]float64{reasonMaxBytes: 2}},
		"damage":               {[]gap{{50, 10}}, 60, nil},
		"deleted, then damage": {[]gap{{50, 30}}, 60, map[string]float64{reasonMinFree: 10}},
		"more than there was":  {[]gap{{15, 99}}, 60, map[string]float64{reasonMaxBytes: 5}},
		"behind the position":  {[]gap{{5, 5}}, 60, nil},
		"none":                 {[]gap{{30, 0}}, 60, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := openOn(t, newMemDisk())
			defer closeLog(t, w)
			a := destination(t, w, "main")
			w.mu.Lock()
			w.head, a.position = Position{Segment: 1, Offset: 1000, Count: 1000}, at(5)
			w.noteGoneLocked(span{10, 14, reasonMaxBytes})
			w.noteGoneLocked(span{14, 20, reasonMaxBytes})
			w.noteGoneLocked(span{20, 30, reasonMinFree})
			w.mu.Unlock()
			for _, g := range test.skipped {
				a.Skipped(at(g.to), g.lost)
			}
			a.Acknowledge(at(test.acked))
			for _, reason := range lossReasons {
				if got := value(w.metrics.lost.WithLabelValues("main", reason)); got != test.want[reason] {
					t.Errorf("%s: %v, want %v", reason, got, test.want[reason])
				}
			}
			w.mu.Lock()
			w.head = Position{Segment: 1, Offset: segmentHeaderBytes, Count: 1000}
			w.mu.Unlock()
		})
	}
}

// A position in a segment that the process before deleted is a loss of this one.
func TestLossBeforeTheStart(t *testing.T) {
	d := newMemDisk()
	bound := func(o *Options) { o.MaxBytes = 2_000 }
	w := openOn(t, d, bound)
	destination(t, w, "main")
	fine := destination(t, w, "fine")
	appendNumbered(t, w, 0, 200)
	fine.Acknowledge(w.Head())
	closeLog(t, w)
	w = openOn(t, d, bound)
	defer closeLog(t, w)
	a := destination(t, w, "main")
	appendNumbered(t, w, 200, 203)
	_, lost := settled(t, w, a)
	settled(t, w, destination(t, w, "fine"))
	if lost == 0 || value(w.metrics.lost.WithLabelValues("main", reasonMissing)) != float64(lost) || lostBy(t, w, "fine") > 0 {
		t.Errorf("lost %d, lost_total is %v and %v", lost, lostBy(t, w, "main"), lostBy(t, w, "fine"))
	}
}
