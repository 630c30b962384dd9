package wal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

// Without a grace a removed destination is forgotten at once.
func TestKeepWithoutGrace(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	for _, id := range []string{"a", "b", "c"} {
		destination(t, w, id)
	}
	appendNumbered(t, w, 0, 5)
	closeLog(t, w)

	w = openOn(t, d, func(o *Options) { o.Grace = -1 })
	b := destination(t, w, "b")
	if err := w.Keep([]string{"a", "new"}); err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, w, 5, 10)
	b.Acknowledge(w.Head()) // a handle that outlived Keep does no harm
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	var files []string
	for path := range d.crash(nothingUnsynced, nil).live {
		if strings.HasSuffix(path, positionSuffix) {
			files = append(files, path)
		}
	}
	if len(files) != 1 || !strings.HasSuffix(files[0], positionFileName("a")) {
		t.Errorf("files %q are left", files)
	}
	if got := destination(t, w, "b").Position(); got != w.Head() {
		t.Errorf("a forgotten destination comes back at %+v, head is %+v", got, w.Head())
	}
	if got := destination(t, w, "a").Position(); got.Count != 0 {
		t.Errorf("a kept destination is at %+v", got)
	}
	closeLog(t, w)
}

// running runs w until the returned function is called, which also closes it.
func running(t *testing.T, w *WAL) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- w.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		closeLog(t, w)
	}
}

// removals are the warnings of destinations that were removed with samples waiting.
func removals(logs *observer.ObservedLogs) (messages []string) {
	for _, e := range logs.FilterMessage("destination removed with samples waiting").All() {
		f := e.ContextMap()
		messages = append(messages, fmt.Sprint(f["destination"], " ", f["samples"], " ", f["grace"]))
	}
	return messages
}

// A removed destination holds segments and comes back to its position during the grace, and no longer.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		with, logs := logged()
		w := openOn(t, d, with)
		stop := running(t, w)
		a, done := destination(t, w, "main"), destination(t, w, "done")
		if err := a.SetNote("note"); err != nil {
			t.Fatal(err)
		}
		appendNumbered(t, w, 0, 50)
		done.Acknowledge(w.Head())
		position, tail, waiting := a.Position(), w.Tail(), w.Head().Count
		keep := func(ids ...string) {
			t.Helper()
			if err := w.Keep(ids); err != nil {
				t.Fatal(err)
			}
		}
		keep()
		if got := removals(logs); !slices.Equal(got, []string{fmt.Sprintf("main %d 10m0s", waiting)}) {
			t.Errorf("logged %q", got)
		}
		keep() // logs nothing twice, and does not restart the grace
		appendNumbered(t, w, 50, 60)

		time.Sleep(DefaultGrace - 2*time.Second)
		if w.Tail() != tail || value(w.metrics.removed) != 0 {
			t.Errorf("tail is %+v during the grace, want %+v; %v are counted", w.Tail(), tail, value(w.metrics.removed))
		}
		back := destination(t, w, "main")
		if back.Position() != position || back.Note() != "note" {
			t.Errorf("comes back at %+v, want %+v", back.mark, position)
		}
		keep("main")
		time.Sleep(time.Hour)
		if w.Tail() != tail || value(w.metrics.removed) != 0 {
			t.Errorf("tail is %+v after it came back, want %+v; %v are counted", w.Tail(), tail, value(w.metrics.removed))
		}

		waiting = w.Head().Count
		keep("new")
		appendNumbered(t, w, 60, 70)
		time.Sleep(DefaultGrace + 2*time.Second)
		if w.Tail() == tail || value(w.metrics.removed) != float64(waiting) {
			t.Errorf("tail is still %+v, or %v are counted, want %d", w.Tail(), value(w.metrics.removed), waiting)
		}
		if got := destination(t, w, "main"); got.Position() != w.Head() || got.Note() != "" {
			t.Errorf("comes back after the grace at %+v, head is %+v", got.mark, w.Head())
		}
		if got := removals(logs); len(got) != 2 {
			t.Errorf("logged %q", got)
		}
		stop()
	})
}

// A start that finds a position of a removed destination logs it, and the grace begins again.
func TestGraceAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		a := destination(t, w, "https://user:secret@host/write")
		appendNumbered(t, w, 0, 20)
		a.Acknowledge(readFrom(t, w, Position{})[7].End)
		position, waiting := a.Position(), w.Head().Count-a.Position().Count
		if err := w.Keep(nil); err != nil {
			t.Fatal(err)
		}
		closeLog(t, w)
		time.Sleep(DefaultGrace / 2)

		with, logs := logged()
		w = openOn(t, d, with)
		stop := running(t, w)
		if err := w.Keep([]string{"new"}); err != nil {
			t.Fatal(err)
		}
		if got, want := removals(logs), fmt.Sprintf("%s %d 10m0s", a.Label(), waiting); !slices.Equal(got, []string{want}) {
			t.Errorf("logged %q, want %q", got, want)
		}
		time.Sleep(DefaultGrace * 3 / 4)
		if got := destination(t, w, a.id).Position(); got != position {
			t.Errorf("comes back at %+v, want %+v", got, position)
		}
		if err := w.Keep(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultGrace + 2*time.Second)
		stop()
		if value(w.metrics.removed) != float64(waiting) || d.live[w.positionsPath(a.name)] != nil {
			t.Errorf("%v are counted, want %d", value(w.metrics.removed), waiting)
		}
	})
}

// Samples that were deleted before the removal are lost, and do not count as waiting: every sample is counted once.
func TestRemovedBehindTheTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with, logs := logged()
		w := openOn(t, newMemDisk(), with, func(o *Options) { o.MaxBytes = 2_000 })
		stop := running(t, w)
		destination(t, w, "main")
		appendNumbered(t, w, 0, 200)
		tail, head := w.Tail(), w.Head()
		if err := w.Keep(nil); err != nil {
			t.Fatal(err)
		}
		if got := removals(logs); tail.Count == 0 || !slices.Equal(got, []string{fmt.Sprintf("main %d 10m0s", head.Count-tail.Count)}) {
			t.Errorf("logged %q, tail %+v, head %+v", got, tail, head)
		}
		if got := lostBy(t, w, "main"); got != float64(tail.Count) {
			t.Errorf("lost_total is %v, want %d", got, tail.Count)
		}
		back := destination(t, w, "main")
		if entries := readFrom(t, w, back.Position()); back.Position() != tail || entries[0].Lost > 0 {
			t.Errorf("comes back at %+v, want %+v", back.Position(), tail)
		}
		stop()
	})
}
