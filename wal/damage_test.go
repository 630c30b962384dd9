package wal

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// damaged is a closed log of several segments, to be damaged, and what was appended to it.
type damaged struct {
	disk     *memDisk
	frames   []Entry
	segments []string // paths
}

func newDamaged(t testing.TB) damaged {
	d := newMemDisk()
	w := openOn(t, d)
	appendNumbered(t, w, 0, 25)
	frames := readFrom(t, w, Position{})
	closeLog(t, w)
	l := damaged{disk: d, frames: frames}
	for path := range d.live {
		if filepath.Ext(path) == segmentSuffix {
			l.segments = append(l.segments, path)
		}
	}
	slices.Sort(l.segments)
	if len(l.segments) < 4 {
		t.Fatalf("%d segments", len(l.segments))
	}
	return l
}

// hit reports whether bytes from to to-1 of the i-th segment touch the frame.
func (l damaged) hit(e Entry, i, from, to int) bool {
	number, _, _ := parseSegmentName(filepath.Base(l.segments[i]))
	return e.Start.Segment == number && e.Start.Offset < int64(to) && e.End.Offset > int64(from)
}

// check opens d, the damaged l. It checks that every frame for which lives is true is read, that no frame is read twice or
// was never appended, and that the loss is reported exactly. The log may not know of frames for which uncertain is true.
func (l damaged) check(t *testing.T, d *memDisk, what string, lives, uncertain func(Entry) bool) {
	t.Helper()
	w, err := tryOpen(d)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer closeLog(t, w)
	sentinel := Frame{Type: 5, Count: 1, Payload: []byte("sentinel")}
	mustAppend(t, w, sentinel)
	entries := readFrom(t, w, Position{})

	i := 0
	for _, e := range entries[:len(entries)-1] {
		for i < len(l.frames) && l.frames[i].Start != e.Start {
			if lives(l.frames[i]) {
				t.Fatalf("%s: frame %d at %+v was not hit, and is not read", what, i, l.frames[i].Start)
			}
			i++
		}
		if i == len(l.frames) || !bytes.Equal(e.Payload, l.frames[i].Payload) || e.Type != l.frames[i].Type || e.End != l.frames[i].End {
			t.Fatalf("%s: read %q at %+v", what, e.Payload, e.Start)
		}
		i++
	}
	for ; i < len(l.frames); i++ {
		if lives(l.frames[i]) {
			t.Fatalf("%s: frame %d at %+v was not hit, and is not read", what, i, l.frames[i].Start)
		}
	}
	if last := entries[len(entries)-1]; string(last.Payload) != "sentinel" {
		t.Fatalf("%s: last entry is %+v", what, last)
	}

	var sent uint64 = 1
	var unknown uint64
	for _, f := range l.frames {
		sent += uint64(f.Count)
		if uncertain != nil && uncertain(f) {
			unknown += uint64(f.Count)
		}
	}
	got, lost := total(entries)
	if got+lost > sent || got+lost < sent-unknown || got+lost != w.Head().Count {
		t.Fatalf("%s: read %d and lost %d of %d, of which %d may be unknown; head is %+v", what, got, lost, sent, unknown, w.Head())
	}
}

func TestEveryByteFlipped(t *testing.T) {
	l := newDamaged(t)
	for _, mask := range []byte{0xff, 0x01, 0x80} {
		for i, path := range l.segments {
			for at := range l.disk.live[path].data {
				d := l.disk.kill()
				d.live[path].data[at] ^= mask
				l.check(t, d, filepath.Base(path), func(e Entry) bool { return !l.hit(e, i, at, at+1) }, nil)
			}
		}
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	l := newDamaged(t)
	for i, path := range l.segments {
		size := len(l.disk.live[path].data)
		for at := range size {
			d := l.disk.kill()
			d.live[path].data = d.live[path].data[:at]
			cut := func(e Entry) bool { return l.hit(e, i, at, size) }
			var uncertain func(Entry) bool
			if i == len(l.segments)-1 {
				uncertain = cut // nothing behind the cut tells what was there
			}
			l.check(t, d, filepath.Base(path), func(e Entry) bool { return !cut(e) }, uncertain)
		}
	}
}

// A sound header reports the count of its torn payload, even at the end of the log.
func TestTornPayloadIsCounted(t *testing.T) {
	l := newDamaged(t)
	last := l.frames[len(l.frames)-1]
	d := l.disk.kill()
	path := l.segments[len(l.segments)-1]
	d.live[path].data = d.live[path].data[:last.Start.Offset+frameHeaderBytes]
	l.check(t, d, "torn payload", func(e Entry) bool { return e.Start != last.Start }, nil)
}

func TestDamageFunctions(t *testing.T) {
	l := newDamaged(t)
	all := func(Entry) bool { return true }
	second := func(e Entry) bool { return e.Start.Segment == 2 }
	tests := map[string]struct {
		damage    func(d *memDisk, second []byte) []byte // new bytes of the second segment, nil = no file
		lives     func(Entry) bool
		uncertain func(Entry) bool
	}{
		"deleted": {
			func(*memDisk, []byte) []byte { return nil },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"empty": {
			func(*memDisk, []byte) []byte { return []byte{} },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"zeros": {
			func(_ *memDisk, b []byte) []byte { return make([]byte, len(b)) },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"header zeros": {
			func(_ *memDisk, b []byte) []byte { clear(b[:segmentHeaderBytes]); return b },
			all, nil,
		},
		"header of another segment": {
			func(d *memDisk, b []byte) []byte { copy(b, d.live[l.segments[2]].data[:segmentHeaderBytes]); return b },
			all, nil,
		},
		"another segment's bytes": {
			func(d *memDisk, _ []byte) []byte { return slices.Clone(d.live[l.segments[2]].data) },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"garbage behind the closing frame": {
			func(_ *memDisk, b []byte) []byte { return append(b, bytes.Repeat([]byte("garbage "+frameMark), 50)...) },
			all, nil,
		},
		"first half doubled": {
			func(_ *memDisk, b []byte) []byte { return append(b[:len(b)/2:len(b)/2], b...) },
			func(e Entry) bool { return !second(e) || !l.hit(e, 1, len(b2(l))/2, 1<<30) }, nil,
		},
		"a byte too many": {
			func(_ *memDisk, b []byte) []byte { return slices.Insert(b, 40, 'x') },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"closing frame alone": {
			func(_ *memDisk, b []byte) []byte { clear(b[:len(b)-frameHeaderBytes]); return b },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"only the first frame's header": {
			func(_ *memDisk, b []byte) []byte { return b[:segmentHeaderBytes+frameHeaderBytes] },
			func(e Entry) bool { return !second(e) }, nil,
		},
		"all segments but this one": {
			func(d *memDisk, b []byte) []byte {
				for i, path := range l.segments {
					if i != 1 {
						delete(d.live, path)
					}
				}
				return b
			},
			second, func(e Entry) bool { return e.Start.Segment > 2 },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := l.disk.kill()
			f := d.live[l.segments[1]]
			if f.data = test.damage(d, f.data); f.data == nil {
				delete(d.live, l.segments[1])
			}
			l.check(t, d, name, test.lives, test.uncertain)
		})
	}
}

// b2 is the second segment as it was.
func b2(l damaged) []byte { return l.disk.live[l.segments[1]].data }

func TestRandomDamage(t *testing.T) {
	l := newDamaged(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		d := l.disk.kill()
		type area struct{ segment, from, to int }
		var areas []area
		for range rnd.IntN(4) + 1 {
			i := rnd.IntN(len(l.segments))
			data := d.live[l.segments[i]].data
			from := rnd.IntN(len(data))
			to := min(len(data), from+1+rnd.IntN(120))
			if rnd.IntN(2) == 0 {
				clear(data[from:to])
			} else {
				for at := from; at < to; at++ {
					data[at] = byte(rnd.Uint32())
				}
			}
			areas = append(areas, area{i, from, to})
		}
		touched := func(e Entry) bool {
			return slices.ContainsFunc(areas, func(a area) bool { return l.hit(e, a.segment, a.from, a.to) })
		}
		// Perhaps nothing reports the frames behind the last sound one.
		sound := -1
		for i, e := range l.frames {
			if !touched(e) {
				sound = i
			}
		}
		atEnd := func(e Entry) bool { return sound < 0 || l.frames[sound].Start.Before(e.Start) }
		l.check(t, d, "random damage", func(e Entry) bool { return !touched(e) }, atEnd)
	}
}

// Payloads that hold frames, marks and whole segments are payload, whatever is damaged around them.
func TestPayloadsThatLookLikeFrames(t *testing.T) {
	inner := newDamaged(t)
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.SegmentBytes = 2_000 })
	var payloads [][]byte
	for _, path := range inner.segments {
		payloads = append(payloads, inner.disk.live[path].data, bytes.Repeat([]byte(frameMark), 100),
			bytes.Repeat([]byte(frameMark+"\x01\x00"), 100))
	}
	for range 3 {
		for _, p := range payloads {
			mustAppend(t, w, Frame{Type: 9, Count: 1, Payload: p})
		}
	}
	l := damaged{disk: d, frames: readFrom(t, w, Position{})}
	closeLog(t, w)
	for path := range d.live {
		l.segments = append(l.segments, path)
	}
	slices.Sort(l.segments)
	for n, f := range l.frames {
		i := slices.Index(l.segments, dir+"/"+segmentName(f.Start.Segment))
		for at := int(f.Start.Offset); at < int(f.Start.Offset)+frameHeaderBytes; at += 1 + n%5 {
			d := l.disk.kill()
			d.live[l.segments[i]].data[at] ^= 0xff
			l.check(t, d, "frame header", func(e Entry) bool { return !l.hit(e, i, at, at+1) }, nil)
		}
	}
}

// A payload holds a header that is sound in exactly this place, and its length covers the frames behind it. The search
// rejects it, because its payload is not sound.
func TestForgedHeader(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.SegmentBytes = 10_000 })
	head := w.Head()
	forged := appendFrame(nil, head.Segment, head.Offset+frameHeaderBytes, 0, Frame{Type: 1, Payload: make([]byte, 300)})
	mustAppend(t, w, Frame{Type: 1, Count: 1, Payload: forged[:frameHeaderBytes]})
	appendNumbered(t, w, 0, 10)
	l := damaged{disk: d, frames: readFrom(t, w, Position{}), segments: []string{w.active.path}}
	closeLog(t, w)
	damagedDisk := d.kill()
	damagedDisk.live[l.segments[0]].data[head.Offset] ^= 0xff
	l.check(t, damagedDisk, "forged header", func(e Entry) bool { return e.Start != head }, nil)
}

// The search finds a mark wherever it lies in what is read at once.
func TestSearchAcrossWindows(t *testing.T) {
	for shift := -40; shift < 8; shift++ {
		d := newMemDisk()
		w := openOn(t, d, func(o *Options) { o.SegmentBytes = 1 << 20 })
		head := w.Head()
		mustAppend(t, w, Frame{Type: 1, Count: 5, Payload: make([]byte, readAhead+shift)})
		mustAppend(t, w, numbered(1))
		d.live[w.active.path].data[head.Offset] ^= 0xff
		entries := readFrom(t, w, Position{})
		if len(entries) != 1 || entries[0].Lost != 5 || string(entries[0].Payload) != string(numbered(1).Payload) {
			t.Errorf("shift %d: read %d entries", shift, len(entries))
		}
		closeLog(t, w)
	}
}

// If a header has another number than the file's name, it does not describe this segment.
func TestHeaderOfAnotherSegment(t *testing.T) {
	l := newDamaged(t)
	d := l.disk.kill()
	copy(d.live[l.segments[0]].data, d.live[l.segments[2]].data[:segmentHeaderBytes])
	w := openOn(t, d)
	defer closeLog(t, w)
	if want := l.frames[0].Start; w.Tail() != want {
		t.Errorf("tail is %+v, want %+v", w.Tail(), want)
	}
}

// A damaged table frame does not stop replay, and is no loss.
func TestDamagedReplay(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.SegmentBytes = 10_000 })
	var tables []Position
	for i := range 10 {
		tables = append(tables, w.Head())
		mustAppend(t, w, table(uint64(i)), numbered(i))
	}
	from := w.Head()
	mustAppend(t, w, numbered(10))
	closeLog(t, w)
	for i, p := range tables {
		for _, at := range []int64{0, 10, frameHeaderBytes + 3} { // mark, header, payload
			d := d.kill()
			d.live[dir+"/"+segmentName(1)].data[p.Offset+at] ^= 0xff
			w := openOn(t, d)
			entries := readFrom(t, w, from)
			if len(entries) != len(tables) || entries[len(tables)-1].Replay || string(entries[len(tables)-1].Payload) != string(numbered(10).Payload) {
				t.Fatalf("table %d hit: read %q", i, payloads(entries))
			}
			if _, lost := total(entries); lost > 0 {
				t.Errorf("table %d hit: lost %d", i, lost)
			}
			closeLog(t, w)
		}
	}
}

// Damage is logged and counted once for each reader and place. The torn end of a killed process is not damage.
func TestDamageIsTold(t *testing.T) {
	l := newDamaged(t)
	d := l.disk.kill()
	d.live[l.segments[1]].data[50] ^= 0xff
	torn := d.live[l.segments[2]]
	torn.data = torn.data[:len(torn.data)-frameHeaderBytes-5]
	with, logs := logged()
	w := openOn(t, d, with)
	defer closeLog(t, w)
	readFrom(t, w, Position{})
	damage := logs.FilterMessage("damage skipped").All()
	if len(damage) != 1 {
		t.Fatalf("damage reported %d times, want once", len(damage))
	}
	if got, want := damage[0].ContextMap()["err"], (&CorruptionError{Segment: 2, Offset: 40}).Error(); got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
	if got := value(w.metrics.corruptions); got != 1 {
		t.Errorf("corruptions_total is %v, want 1", got)
	}
}
