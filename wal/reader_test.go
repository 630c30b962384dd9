package wal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestReadersAtEveryPosition(t *testing.T) {
	w := openOn(t, newMemDisk())
	defer closeLog(t, w)
	appendNumbered(t, w, 0, 60)
	all := readFrom(t, w, Position{})

	for i, first := range all {
		entries := readFrom(t, w, first.Start)
		replayed := slices.IndexFunc(entries, func(e Entry) bool { return !e.Replay })
		if got, want := payloads(entries[replayed:]), payloads(all[i:]); !slices.Equal(got, want) {
			t.Fatalf("from %+v: read %q, want %q", first.Start, got, want)
		}
		// Of the frames before, the repeated ones of the same segment.
		var want []string
		for _, e := range all[:i] {
			if e.Start.Segment == first.Start.Segment && e.Type == 1 {
				want = append(want, string(e.Payload))
			}
		}
		if got := payloads(entries[:replayed]); !slices.Equal(got, want) {
			t.Errorf("from %+v: replayed %q, want %q", first.Start, got, want)
		}
		for j, e := range entries {
			inside := j > 0 && e.Start.Segment == entries[j-1].Start.Segment
			if e.Lost > 0 || e.NewSegment == inside {
				t.Errorf("from %+v: entry %d is %+v", first.Start, j, e)
			}
		}
	}
}

// A reader from the end of a closed segment has nothing to replay there.
func TestReadFromEndOfSegment(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 3)
	end := w.Head()
	closeLog(t, w)
	w = openOn(t, d)
	defer closeLog(t, w)
	r := newReader(t, w, end)
	if entries := readOn(t, r); len(entries) > 0 {
		t.Errorf("replayed %q", payloads(entries))
	}
	mustAppend(t, w, numbered(3))
	if entries := readOn(t, r); len(entries) != 1 || entries[0].Lost > 0 || !entries[0].NewSegment {
		t.Errorf("read %+v", entries)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openOn(t, newMemDisk())
		r := newReader(t, w, w.Head())
		type result struct {
			entry Entry
			err   error
		}
		results := make(chan result)
		ctx, cancel := context.WithCancel(t.Context())
		next := func(ctx context.Context) {
			e, err := r.Next(ctx)
			results <- result{e, err}
		}
		for i := range 20 {
			go next(ctx)
			synctest.Wait() // it waits at the head
			mustAppend(t, w, numbered(i))
			if got := <-results; got.err != nil || string(got.entry.Payload) != string(numbered(i).Payload) {
				t.Fatalf("entry %d: %+v", i, got)
			}
		}
		go next(ctx)
		synctest.Wait()
		cancel()
		if got := <-results; !errors.Is(got.err, context.Canceled) {
			t.Errorf("error %v", got.err)
		}
		if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}

		go next(t.Context())
		synctest.Wait()
		closeLog(t, w)
		if got := <-results; !errors.Is(got.err, ErrClosed) {
			t.Errorf("error %v after Close", got.err)
		}
	})
}

func TestReadAfterClose(t *testing.T) {
	w := openOn(t, newMemDisk())
	appendNumbered(t, w, 0, 30)
	r := newReader(t, w, Position{})
	closeLog(t, w)
	if got, lost := total(readOn(t, r)); got != w.Head().Count || lost != 0 {
		t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
	}
	for range 2 {
		if _, _, err := r.TryNext(); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v", err)
		}
	}
}

func TestClosedReader(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	appendNumbered(t, w, 0, 3)
	handles := d.handles
	r := newReader(t, w, Position{})
	if _, ok, err := r.TryNext(); !ok || err != nil || d.handles != handles+1 {
		t.Fatal(ok, err, d.handles)
	}
	r.Close()
	if _, _, err := r.TryNext(); !errors.Is(err, ErrClosed) || d.handles != handles {
		t.Errorf("error %v, %d files open, were %d", err, d.handles, handles)
	}
}

func TestReadBeyondHead(t *testing.T) {
	w := openOn(t, newMemDisk())
	defer closeLog(t, w)
	head := w.Head()
	for _, p := range []Position{{head.Segment, head.Offset + 1, 0}, {head.Segment + 1, 0, 0}} {
		if _, err := w.NewReader(p); !errors.Is(err, ErrBeyondHead) {
			t.Errorf("reader at %+v: %v", p, err)
		}
	}
}

// A reader stays where it is when the disk fails in a way that may pass.
func TestReadErrorThatPasses(t *testing.T) {
	for _, op := range []string{"open", "read"} {
		t.Run(op, func(t *testing.T) {
			d := newMemDisk()
			w := openOn(t, d)
			defer closeLog(t, w)
			appendNumbered(t, w, 0, 30)
			r := newReader(t, w, Position{})
			var entries []Entry
			for range 20 {
				mend := faultOn(d, op, segmentSuffix, 0, syscall.ENOMEM)
				e, ok, err := r.TryNext()
				if err == nil && !ok {
					t.Fatal("an error was taken for the head")
				}
				if err != nil && !errors.Is(err, syscall.ENOMEM) {
					t.Fatal(err)
				}
				if ok {
					entries = append(entries, e)
				}
				mend()
				if e, ok, err := r.TryNext(); err != nil || !ok {
					t.Fatal(ok, err)
				} else {
					entries = append(entries, e)
				}
			}
			entries = append(entries, readOn(t, r)...)
			if got, lost := total(entries); got != w.Head().Count || lost != 0 {
				t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
			}
		})
	}
}

// A page that cannot be read costs the frames in it.
func TestUnreadablePage(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.SegmentBytes = 1 << 20 })
	defer closeLog(t, w)
	var hit, sent uint64
	const bad = 3 * pageBytes
	for i := range 1000 {
		p := mustAppend(t, w, numbered(i))
		start := p.Offset - frameHeaderBytes - int64(len(numbered(i).Payload))
		if start < bad+pageBytes && p.Offset > bad {
			hit += uint64(numbered(i).Count)
		}
		sent += uint64(numbered(i).Count)
	}
	d.badFrom, d.badTo = bad, bad+pageBytes
	got, lost := total(readFrom(t, w, Position{}))
	if got+lost != sent || lost != hit {
		t.Errorf("read %d and lost %d of %d, the page holds %d", got, lost, sent, hit)
	}
}

func TestUnknownVersion(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 30)
	closeLog(t, w)

	path := dir + "/" + segmentName(2)
	data := d.live[path].data
	h, _ := decodeSegmentHeader(data)
	h.version = 2
	copy(data, h.encode())

	with, logs := logged()
	w = openOn(t, d, with)
	defer closeLog(t, w)
	if d.live[path] != nil || d.live[path+unknownSuffix] == nil || string(d.live[path+unknownSuffix].data) != string(data) {
		t.Error("segment is not kept aside as it was")
	}
	if logs.FilterMessageSnippet("kept aside").Len() != 1 || value(w.metrics.unknown) != 1 {
		t.Error("nothing is said about the segment")
	}
	got, lost := total(readFrom(t, w, Position{}))
	if lost == 0 || got+lost != w.Head().Count {
		t.Errorf("read %d and lost %d of %d", got, lost, w.Head().Count)
	}
}

// After a newer release the running count continues from the header of its newest segment.
func TestCountOfUnknownVersion(t *testing.T) {
	d := newMemDisk()
	d.live[dir+"/"+segmentName(5)] = &memFile{data: segmentHeader{version: 1000, number: 5, start: 777}.encode()}
	w := openOn(t, d)
	defer closeLog(t, w)
	if want := (Position{6, segmentHeaderBytes, 777}); w.Head() != want {
		t.Errorf("head is %+v, want %+v", w.Head(), want)
	}
}

// Segments of every layout in the table are read, not only those of the present one.
func TestOtherVersionIsRead(t *testing.T) {
	const other = 99
	layouts[other] = &layout{
		segmentHeaderBytes + 8, frameHeaderBytes + 4, []byte("MARK"),
		func(b []byte, segment uint64, offset int64) (header, bool) {
			return decodeFrame(append([]byte(frameMark), b[8:]...), segment, offset)
		},
	}
	defer delete(layouts, other)
	data := append(segmentHeader{version: other, number: 3, start: 10}.encode(), make([]byte, 8)...)
	for i := range 5 {
		b := appendFrame(nil, 3, int64(len(data)), 10+uint64(i), Frame{Type: 1, Count: 1, Payload: []byte{byte(i)}})
		data = append(append(append(data, "MARK...."...), b[4:frameHeaderBytes]...), b[frameHeaderBytes:]...)
	}
	d := newMemDisk()
	d.live[dir+"/"+segmentName(3)] = &memFile{data: data}
	w := openOn(t, d)
	defer closeLog(t, w)
	if got := w.Head(); got.Segment != 4 || got.Count != 15 {
		t.Errorf("head is %+v", got)
	}
	entries := readFrom(t, w, w.Tail())
	if got := payloads(entries); !slices.Equal(got, []string{"\x00", "\x01", "\x02", "\x03", "\x04"}) {
		t.Errorf("read %q", got)
	}
	// The second frame is hit: the search knows the other mark.
	d.live[dir+"/"+segmentName(3)].data[95] ^= 0xff
	if got, lost := total(readFrom(t, w, w.Tail())); got != 4 || lost != 1 {
		t.Errorf("read %d and lost %d, want 4 and 1", got, lost)
	}
}

// A file of an unknown version keeps its number for ever.
func TestNumbersOfSegmentsKeptAside(t *testing.T) {
	d := newMemDisk()
	d.live[dir+"/"+segmentName(77)+unknownSuffix] = &memFile{}
	w := openOn(t, d)
	defer closeLog(t, w)
	if w.Segment() != 78 {
		t.Errorf("first segment is %d, want 78", w.Segment())
	}
}

func TestForeignFiles(t *testing.T) {
	d := newMemDisk()
	for _, name := range []string{"/lost+found", "/12.wal", "/notes.txt", "/positions/notes.txt"} {
		d.live[dir+name] = &memFile{data: []byte("not ours")}
	}
	w := openOn(t, d)
	appendNumbered(t, w, 0, 10)
	closeLog(t, w)
	for path, f := range d.live {
		if !strings.HasSuffix(path, segmentSuffix) && string(f.data) != "not ours" {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestRecentSegments(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	if got := w.Recent(1 << 20); got != w.Head() {
		t.Errorf("of an empty log: %+v, want the head %+v", got, w.Head())
	}
	appendNumbered(t, w, 0, 60)
	closeLog(t, w)
	w = openOn(t, d) // which begins an empty segment
	defer closeLog(t, w)
	all := readFrom(t, w, Position{})
	newest := all[len(all)-1].Start.Segment
	for size, want := range map[int64]uint64{0: newest, 1: newest, 650: newest - 1, 1 << 20: all[0].Start.Segment} {
		from := w.Recent(size)
		if from.Segment != want {
			t.Errorf("Recent(%d) is in segment %d, want %d", size, from.Segment, want)
		}
		i := slices.IndexFunc(all, func(e Entry) bool { return e.Start.Segment == from.Segment })
		if got := readFrom(t, w, from); !slices.Equal(payloads(got), payloads(all[i:])) || got[0].Lost > 0 {
			t.Errorf("from Recent(%d): read %q, want %q", size, payloads(got), payloads(all[i:]))
		}
	}
}
