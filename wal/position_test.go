package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestDecodePositionFile(t *testing.T) {
	name := positionFileName("main")
	older := slot{4, Position{1, 2, 3}, "main", "a note"}
	newer := slot{5, Position{4, 5, 6}, "main", "another"}
	longest := slot{6, newer.position, "main", strings.Repeat("n", maxID-len("main"))}
	file := func(first, second []byte) []byte {
		b := make([]byte, 2*slotBytes)
		copy(b, first)
		copy(b[slotBytes:], second)
		return b
	}
	flipped := func(s slot, at int) []byte {
		b := s.encode()
		b[at] ^= 1
		return b
	}
	tests := map[string]struct {
		file    []byte
		want    slot
		found   bool
		damaged bool
	}{
		"both":             {file(older.encode(), newer.encode()), newer, true, false},
		"first newer":      {file(slot{6, older.position, "main", ""}.encode(), newer.encode()), slot{6, older.position, "main", ""}, true, false},
		"one":              {file(older.encode(), nil), older, true, false},
		"one, short file":  {older.encode(), older, true, false},
		"newer damaged":    {file(older.encode(), flipped(newer, 20)), older, true, true},
		"newer torn":       {file(older.encode(), newer.encode())[:slotBytes+30], older, true, true},
		"older damaged":    {file(flipped(older, 30), newer.encode()), newer, true, true},
		"both damaged":     {file(flipped(older, 50), flipped(newer, 0)), slot{}, false, true},
		"in each's place":  {file(newer.encode(), older.encode()), slot{}, false, true},
		"of another":       {file(slot{4, older.position, "other", ""}.encode(), nil), slot{}, false, true},
		"unknown version":  {file(flipped(older, 8), nil), slot{}, false, true},
		"version 1":        {file(versionOne(slot{4, older.position, "main", ""}), nil), slot{4, older.position, "main", ""}, true, false},
		"1, then 2":        {file(versionOne(slot{4, older.position, "main", ""}), newer.encode()), newer, true, false},
		"1 with a note":    {file(versionOne(older), nil), slot{}, false, true},
		"version 3":        {file(resumSlot(older.encode(), 8, 3), nil), slot{}, false, true},
		"long note":        {file(resumSlot(older.encode(), 15, 0xff), nil), slot{}, false, true},
		"note cut":         {file(older.encode()[:slotHeaderBytes+8], nil), slot{}, false, true},
		"note damaged":     {file(flipped(older, slotHeaderBytes+5), nil), slot{}, false, true},
		"longest note":     {file(longest.encode(), nil), longest, true, false},
		"segment too high": {file(slot{4, Position{Segment: maxNumber}, "main", ""}.encode(), nil), slot{}, false, true},
		"negative offset":  {file(slot{4, Position{Offset: -1}, "main", ""}.encode(), nil), slot{}, false, true},
		"empty":            {nil, slot{}, false, false},
		"zeros":            {make([]byte, 100), slot{}, false, false},
	}
	for label, test := range tests {
		t.Run(label, func(t *testing.T) {
			got, found, err := decodePositionFile(name, test.file)
			if got != test.want || found != test.found || (err != nil) != test.damaged {
				t.Errorf("decoded %+v, %v, %v", got, found, err)
			}
		})
	}
}

// versionOne encodes s as the releases before notes did.
func versionOne(s slot) []byte { return resumSlot(s.encode(), 8, notelessVersion) }

// resumSlot puts v at offset at of an encoded slot and makes its checksum right again.
func resumSlot(b []byte, at int, v byte) []byte {
	b[at] = v
	return binary.LittleEndian.AppendUint32(b[:len(b)-4], crc32.Checksum(b[:len(b)-4], castagnoli))
}

// A damaged position file leaves the older position or the tail, never the head.
func TestDamagedPosition(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 5)
	tail := w.Tail()
	a := destination(t, w, "main")
	appendNumbered(t, w, 5, 10)
	a.Acknowledge(w.Head())
	if err := errors.Join(a.SetNote("older"), w.Sync()); err != nil {
		t.Fatal(err)
	}
	older := w.Head()
	appendNumbered(t, w, 10, 12)
	a.Acknowledge(w.Head())
	newer := w.Head()
	if err := a.SetNote("newer"); err != nil {
		t.Fatal(err)
	}
	closeLog(t, w)

	path := dir + "/" + positionsDir + "/" + a.name
	for at := range d.live[path].data {
		d := d.kill()
		d.live[path].data[at] ^= 0xff
		w := openOn(t, d)
		main := destination(t, w, "main")
		got := mark{main.Position(), main.Note()}
		// Sequence 3, the newer, stands in the second slot.
		if want := (mark{older, "older"}); got != (mark{newer, "newer"}) && (at < slotBytes || got != want) {
			t.Fatalf("byte %d flipped: found %+v", at, got)
		}
		closeLog(t, w)
	}
	for _, data := range [][]byte{{}, make([]byte, 2*slotBytes), []byte("nothing of ours")} {
		d := d.kill()
		d.live[path].data = data
		with, logs := logged()
		w := openOn(t, d, with)
		if main := destination(t, w, "main"); main.Position() != tail || main.Note() != "" {
			t.Errorf("found %+v, want the tail %+v", main.mark, tail)
		}
		if logs.FilterMessage("position is damaged").Len() != 1 || value(w.metrics.damagedPosition) != 1 {
			t.Error("damage is not reported")
		}
		closeLog(t, w)
		w = openOn(t, d)
		if got := destination(t, w, "main").Position(); got != tail || value(w.metrics.damagedPosition) != 0 {
			t.Errorf("position %+v after one more restart, want %+v", got, tail)
		}
		closeLog(t, w)
	}
}

// While nobody has opened its destination, a damaged position keeps all segments.
func TestDamagedPositionHolds(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	a := destination(t, w, "main")
	appendNumbered(t, w, 0, 50)
	tail := w.Tail()
	a.Acknowledge(w.Head())
	closeLog(t, w)
	d.live[dir+"/"+positionsDir+"/"+a.name].data = []byte("damaged")
	w = openOn(t, d, func(o *Options) { o.Grace = -1 })
	defer closeLog(t, w)
	w.keepBounds()
	if w.Tail() != tail {
		t.Errorf("tail is %+v, want %+v", w.Tail(), tail)
	}
	if err := w.Keep([]string{"another"}); err != nil {
		t.Fatal(err)
	}
	w.keepBounds()
	if w.Tail() == tail {
		t.Error("a forgotten position holds segments back")
	}
}

// Whatever operation fails, or is the last one before a power loss, the position found afterwards is one that was
// acknowledged, not older than the last one known to be saved.
func TestPositionAtEveryFailure(t *testing.T) {
	for step := 1; ; step++ {
		done := false
		for _, then := range []string{"go on", "crash"} {
			for _, how := range []powerLoss{nothingUnsynced, someSectors} {
				done = positionFailure(t, step, then, how)
			}
		}
		if done {
			return
		}
	}
}

// positionFailure lets the step-th operation on positions fail, and returns whether there was none.
func positionFailure(t *testing.T, step int, then string, how powerLoss) bool {
	t.Helper()
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.SegmentBytes = 1 << 20 })
	acknowledged := []Position{w.Head()}
	var operations int
	var crashed *memDisk
	d.fault = func(op, path string) (int, error) {
		if strings.Contains(path, positionsDir) && op != "open" {
			if operations++; operations == step {
				return 20, syscall.EIO
			}
		}
		return 0, nil
	}
	a, err := w.Destination("main")
	if err != nil {
		t.Fatal(err)
	}
	saved := 0
	for i := range 4 {
		mustAppend(t, w, numbered(i))
		a.Acknowledge(w.Head())
		acknowledged = append(acknowledged, w.Head())
		if err := w.Sync(); err == nil {
			saved = len(acknowledged) - 1
		} else if then == "crash" {
			break
		}
	}
	crashed = d.crash(how, testRand(step))
	failed := operations >= step
	if then == "go on" {
		if err := w.Sync(); err != nil && operations != step {
			t.Fatalf("operation %d failed: not saved again: %v", step, err)
		}
	}
	w.Close()

	w = openOn(t, crashed)
	defer closeLog(t, w)
	got := destination(t, w, "main").Position()
	i := slices.Index(acknowledged, got)
	if i < saved && saved > 0 {
		t.Fatalf("operation %d failed, then %s: position %+v is number %d, saved was %d", step, then, got, i, saved)
	}
	return !failed
}

func TestLabels(t *testing.T) {
	tests := map[string]struct{ label, file string }{
		"main":                                {"main", "main-"},
		"käse":                                {"käse", "k-se-"},
		"https://u:p@h.example:9/w?token=abc": {"h.example-9-", "h.example-9-"},
		"http://[::1]:80/%zz":                 {"url-", "url-"},
		"../../etc/passwd":                    {"../../etc/passwd", "-.-..-etc-passwd-"},
		strings.Repeat("x", 100):              {strings.Repeat("x", 100), strings.Repeat("x", 40) + "-"},
		"":                                    {"", "-"},
		"\xff":                                {"?", "--"},
	}
	for id, want := range tests {
		if got := labelOf(id); !strings.HasPrefix(got, want.label) {
			t.Errorf("label of %q is %q, want %q", id, got, want.label)
		}
		if got := positionFileName(id); !strings.HasPrefix(got, want.file) || len(got) != len(want.file)+16+len(positionSuffix) {
			t.Errorf("file of %q is %q, want %q", id, got, want.file)
		}
	}
}
