package wal

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// faultOn makes op fail on paths that contain part, until the returned function is called.
func faultOn(d *memDisk, op, part string, n int, err error) (mend func()) {
	set := func(f func(op, path string) (int, error)) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.fault = f
	}
	set(func(o, path string) (int, error) {
		if o == op && strings.Contains(path, part) {
			return n, err
		}
		return 0, nil
	})
	return func() { set(nil) }
}

func TestFailedWrite(t *testing.T) {
	tests := map[string]struct {
		written  int // bytes of the group that reach the file
		cut      bool
		err      error
		restarts bool
	}{
		"nothing written":                {0, true, syscall.EIO, false},
		"short write":                    {50, true, syscall.EIO, false},
		"whole group, and still failed":  {1 << 20, true, syscall.EIO, false},
		"nothing, restart":               {0, false, syscall.EIO, true},
		"short, stays, restart":          {50, false, syscall.EIO, true},
		"whole group, stays, restart":    {1 << 20, false, syscall.EIO, true},
		"disk full, stays, restart":      {50, false, syscall.ENOSPC, true},
		"frame by frame, stays, restart": {130, false, syscall.EDQUOT, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newMemDisk()
			w := openOn(t, d, func(o *Options) { o.SegmentBytes = 10_000 })
			appendNumbered(t, w, 0, 10)
			good, segment := w.Head(), w.Segment()

			d.mu.Lock()
			d.fault = func(op, path string) (int, error) {
				if op == "write" || op == "truncate" && !test.cut {
					return test.written, test.err
				}
				return 0, nil
			}
			d.mu.Unlock()
			refused := []Frame{{Type: 1, Count: 100, Payload: []byte("refused")}, {Type: 1, Count: 1, Payload: []byte("refused too")}}
			if _, err := w.Append(segment, refused...); !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if w.Head() != good {
				t.Errorf("head moved to %+v by a refused group", w.Head())
			}
			if size := len(d.live[dir+"/"+segmentName(segment)].data); test.cut && size != int(good.Offset) {
				t.Errorf("file has %d bytes, its last frame ends at %d", size, good.Offset)
			}
			d.mu.Lock()
			d.fault = nil
			d.mu.Unlock()

			if next := w.Segment(); next != segment+1 {
				t.Errorf("next group lands in segment %d, want %d", next, segment+1)
			}
			appendNumbered(t, w, 10, 20)
			if test.restarts {
				d = d.kill()
				w.Close()
				w = openOn(t, d)
			}
			entries := readFrom(t, w, Position{})
			if slices.ContainsFunc(entries, func(e Entry) bool { return strings.HasPrefix(string(e.Payload), "refused") }) {
				t.Error("a refused group was read")
			}
			got, lost := total(entries)
			if got != w.Head().Count || lost != 0 {
				t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
			}
			closeLog(t, w)
		})
	}
}

// While no segment can be opened, there is one attempt per second, however many groups come.
func TestAttemptsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		defer closeLog(t, w)
		appendNumbered(t, w, 0, 1)
		var opened, written int
		d.fault = func(op, path string) (int, error) {
			switch {
			case !strings.HasSuffix(path, segmentSuffix):
			case op == "open":
				opened++
				return 0, syscall.EMFILE
			case op == "write":
				written++
				return 0, syscall.EIO
			}
			return 0, nil
		}
		for range 100 {
			if _, err := tryAppend(w, numbered(1)); err == nil {
				t.Fatal("append succeeded")
			}
		}
		if opened != 1 || written != 1 {
			t.Errorf("%d segments were opened and %d writes tried at once, want 1 and 1", opened, written)
		}
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			if _, err := tryAppend(w, numbered(1)); err == nil {
				t.Fatal("append succeeded")
			}
		}
		if opened != 6 {
			t.Errorf("%d segments were opened in 5 s, want 6", opened)
		}
		d.fault = nil
		time.Sleep(time.Second)
		announced := w.Segment()
		if p := mustAppend(t, w, numbered(1)); p.Segment != announced {
			t.Errorf("group landed in segment %d, announced was %d", p.Segment, announced)
		}
		if got, lost := total(readFrom(t, w, Position{})); got != 3 || lost != 0 {
			t.Errorf("read %d and lost %d, want 3 and 0", got, lost)
		}
	})
}

// A full segment still accepts groups while no new one can be opened.
func TestFullSegmentIsBetterThanNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d)
		defer closeLog(t, w)
		mend := faultOn(d, "open", segmentSuffix, 0, syscall.EMFILE)
		f := Frame{Type: 1, Count: 1, Payload: make([]byte, 268)}
		for range 4 {
			if p := mustAppend(t, w, f); p.Segment != 1 {
				t.Errorf("group landed in segment %d", p.Segment)
			}
		}
		if _, err := tryAppend(w, f); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("error %v beyond the ceiling", err)
		}
		mend()
		time.Sleep(time.Second)
		if p := mustAppend(t, w, f); p.Segment == 1 || p.Count != 5 {
			t.Errorf("group ends at %+v", p)
		}
	})
}

func TestFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d, func(o *Options) { o.SegmentBytes = 10_000 })
		defer closeLog(t, w)
		appendNumbered(t, w, 0, 10)
		var synced []string
		d.fault = func(op, path string) (int, error) {
			if op == "sync" && strings.HasSuffix(path, segmentName(1)) {
				synced = append(synced, path)
				return 0, syscall.EIO
			}
			return 0, nil
		}
		if err := w.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("error %v", err)
		}
		appendNumbered(t, w, 10, 20)
		for range 3 {
			if err := w.Sync(); err != nil {
				t.Error(err)
			}
		}
		if len(synced) != 1 {
			t.Errorf("segment was synced %d times after a failure, want 1 attempt in all", len(synced))
		}
		if w.Head().Segment != 2 {
			t.Errorf("head is in segment %d, want 2", w.Head().Segment)
		}
		if got, lost := total(readFrom(t, w, Position{})); got != w.Head().Count || lost != 0 {
			t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
		}
	})
}

// A full disk: the group that did not fit is refused, the oldest segment makes room, and the log goes on.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		d.capacity = 20_000
		w := openOn(t, d, func(o *Options) { o.SegmentBytes = 1_000 })
		dead := destination(t, w, "dead")
		var refused, appended int
		for i := range 1000 {
			f := numbered(i)
			f.Count = 1
			if _, err := tryAppend(w, f); err == nil {
				appended++
			} else if isFull(err) {
				refused++
				time.Sleep(time.Second)
			} else {
				t.Fatal(err)
			}
		}
		if refused == 0 || refused > 150 {
			t.Errorf("%d of 1000 groups were refused", refused)
		}
		if w.Head().Count != uint64(appended) {
			t.Errorf("running count %d, %d were appended", w.Head().Count, appended)
		}
		got, lost := settled(t, w, dead)
		if got+lost != uint64(appended) || float64(lost) != lostBy(t, w, "dead") {
			t.Errorf("read %d and lost %d of %d, lost_total is %v", got, lost, appended, lostBy(t, w, "dead"))
		}
		if got < 100 {
			t.Errorf("only %d groups are left on a disk for many more", got)
		}
		closeLog(t, w)
	})
}

// On a full disk the log opens and is read; it is written again once there is room.
func TestOpenOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d, func(o *Options) { o.SegmentBytes = 10_000 })
		destination(t, w, "main")
		appendNumbered(t, w, 0, 20)
		closeLog(t, w)

		mend := faultOn(d, "write", segmentSuffix, 0, syscall.ENOSPC)
		w = openOn(t, d)
		a := destination(t, w, "main")
		if _, err := tryAppend(w, numbered(20)); !isFull(err) {
			t.Errorf("append: %v", err)
		}
		// Its only segment was deleted to make room, and was not acknowledged.
		if value(w.metrics.deleted.WithLabelValues(reasonDiskFull)) == 0 {
			t.Error("no segment made room")
		}
		r := newReader(t, w, a.Position())
		if entries := readOn(t, r); len(entries) > 0 {
			t.Errorf("read %q", payloads(entries))
		}
		mend()
		time.Sleep(time.Second)
		mustAppend(t, w, numbered(20))
		entries := readOn(t, r)
		settled(t, w, a)
		if len(entries) != 1 || entries[0].Lost == 0 || float64(entries[0].Lost) != lostBy(t, w, "main") {
			t.Errorf("read %+v, lost_total is %v", entries, lostBy(t, w, "main"))
		}
		closeLog(t, w)
	})
}
