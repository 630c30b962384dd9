package wal

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// dir is where tests on a memDisk have their log.
const dir = "/wal"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		os.Exit(runChild(child))
	}
	goleak.VerifyTestMain(m)
}

// openOn opens a log on d with small segments.
func openOn(t testing.TB, d *memDisk, change ...func(*Options)) *WAL {
	t.Helper()
	w, err := tryOpen(d, change...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tryOpen(d *memDisk, change ...func(*Options)) (*WAL, error) {
	o := Options{Dir: dir, SegmentBytes: 300, MinFreeBytes: -1, disk: d}
	for _, c := range change {
		c(&o)
	}
	return Open(o)
}

// logged makes the log's messages visible to the test.
func logged() (func(*Options), *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return func(o *Options) { o.Logger = zap.New(core) }, logs
}

func closeLog(t testing.TB, w *WAL) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// tryAppend appends group to whatever segment it lands in.
func tryAppend(w *WAL, group ...Frame) (Position, error) {
	segment := w.Segment()
	for {
		p, err := w.Append(segment, group...)
		var rotated *RotatedError
		if !errors.As(err, &rotated) {
			return p, err
		}
		segment = rotated.Segment
	}
}

func mustAppend(t testing.TB, w *WAL, group ...Frame) Position {
	t.Helper()
	p, err := tryAppend(w, group...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// numbered returns the i-th frame of a series. Each has a different payload.
func numbered(i int) Frame {
	return Frame{Type: 2, Count: uint32(i%7 + 1), Payload: fmt.Appendf(nil, "frame %d %0*d", i, i%50, i)}
}

// appendNumbered appends the frames from to to-1, some of them in groups, each segment begun with a table.
func appendNumbered(t testing.TB, w *WAL, from, to int) {
	t.Helper()
	var inside uint64
	for i := from; i < to; {
		var group []Frame
		if s := w.Segment(); s != inside {
			inside = s
			group = append(group, table(s))
		}
		for range i%3 + 1 {
			if i < to {
				group = append(group, numbered(i))
				i++
			}
		}
		mustAppend(t, w, group...)
	}
}

func table(segment uint64) Frame {
	return Frame{Type: 1, Repeated: true, Payload: fmt.Appendf(nil, "table of segment %d", segment)}
}

func newReader(t testing.TB, w *WAL, from Position) *Reader {
	t.Helper()
	r, err := w.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// readOn reads until the head, with payloads of their own.
func readOn(t testing.TB, r *Reader) []Entry {
	t.Helper()
	var entries []Entry
	for {
		e, ok, err := r.TryNext()
		if err != nil && !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if !ok {
			return entries
		}
		e.Payload = append([]byte{}, e.Payload...)
		entries = append(entries, e)
	}
}

func readFrom(t testing.TB, w *WAL, from Position) []Entry {
	t.Helper()
	r := newReader(t, w, from)
	defer r.Close()
	return readOn(t, r)
}

// total is the running count that entries account for: returned or reported as lost.
func total(entries []Entry) (returned, lost uint64) {
	for _, e := range entries {
		if !e.Replay {
			returned += uint64(e.Count)
		}
		lost += e.Lost
	}
	return returned, lost
}

func payloads(entries []Entry) []string {
	var p []string
	for _, e := range entries {
		p = append(p, string(e.Payload))
	}
	return p
}
