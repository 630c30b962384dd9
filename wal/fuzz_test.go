package wal

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// FuzzReader reads arbitrary bytes as a segment: it ends, allocates no more than there is, and what it returns stands
// in the bytes as the format says.
func FuzzReader(f *testing.F) {
	l := newDamaged(f)
	for _, path := range l.segments[:2] {
		data := l.disk.live[path].data
		f.Add(data, true)
		f.Add(data[:len(data)-7], false)
		f.Add(slices.Concat(data, data), true)
		f.Add(data[segmentHeaderBytes:], true)
	}
	f.Add([]byte(frameMark), true)
	f.Add(bytes.Repeat([]byte(frameMark), 100), false)
	f.Fuzz(func(t *testing.T, data []byte, headed bool) {
		if headed {
			data = append(segmentHeader{version: version, number: 1}.encode(), data...)
		}
		d := newMemDisk()
		path := dir + "/" + segmentName(1)
		d.live[path] = &memFile{data: slices.Clone(data)}
		w := openOn(t, d)
		mustAppend(t, w, Frame{Type: 1, Count: 1})
		r := newReader(t, w, Position{})
		entries := readOn(t, r)
		if cap(r.cur.buf) > max(len(data), readAhead) {
			t.Errorf("%d bytes were allocated to read %d", cap(r.cur.buf), len(data))
		}
		var at int64
		for _, e := range entries[:len(entries)-1] {
			h, ok := decodeFrame(data[e.Start.Offset:], 1, e.Start.Offset)
			if !ok || e.Start.Offset < at || e.Type != h.kind || e.Count != h.count {
				t.Fatalf("entry %+v, header %+v", e, h)
			}
			if string(e.Payload) != string(data[e.Start.Offset+frameHeaderBytes:e.End.Offset]) {
				t.Fatalf("entry %+v reads %q", e, e.Payload)
			}
			at = e.End.Offset
		}
		closeLog(t, w)
	})
}

// FuzzDamage damages a sound log as the input says: four bytes each for the place, the length and the byte to put
// there. Undamaged frames are read, nothing else is, and the loss is exact.
func FuzzDamage(f *testing.F) {
	l := newDamaged(f)
	var starts, sizes []int // of the segments, one after the other
	var size int
	for _, path := range l.segments {
		starts, sizes = append(starts, size), append(sizes, len(l.disk.live[path].data))
		size += len(l.disk.live[path].data)
	}
	f.Add([]byte{0, 50, 1, 0xff})
	f.Add([]byte{1, 0, 200, 0, 0, 10, 3, 7})
	f.Fuzz(func(t *testing.T, input []byte) {
		d := l.disk.kill()
		type area struct{ segment, from, to int }
		var areas []area
		for ; len(input) >= 4; input = input[4:] {
			at := int(binary.BigEndian.Uint16(input)) % size
			i := len(starts) - 1
			for starts[i] > at {
				i--
			}
			from := at - starts[i]
			to := min(sizes[i], from+1+int(input[2]))
			for j := from; j < to; j++ {
				d.live[l.segments[i]].data[j] = input[3] + byte(j)*(input[2]&1)
			}
			areas = append(areas, area{i, from, to})
		}
		touched := func(e Entry) bool {
			return slices.ContainsFunc(areas, func(a area) bool { return l.hit(e, a.segment, a.from, a.to) })
		}
		sound := -1
		for i, e := range l.frames {
			if !touched(e) {
				sound = i
			}
		}
		l.check(t, d, "fuzzed damage", func(e Entry) bool { return !touched(e) },
			func(e Entry) bool { return sound < 0 || l.frames[sound].Start.Before(e.Start) })
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, 1, 40, 7, Frame{Type: 1, Repeated: true, Count: 2, Payload: []byte("x")}), uint64(1), int64(40))
	f.Add([]byte(frameMark), uint64(0), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, segment uint64, offset int64) {
		h, ok := decodeFrame(b, segment, offset)
		if !ok {
			return
		}
		if h.length < 0 || h.length > maxPayload || h.after() < h.before {
			t.Errorf("decoded %+v", h)
		}
	})
}

func FuzzPosition(f *testing.F) {
	one := slot{2, Position{1, 40, 7}, "main", "note"}.encode()
	f.Add(one)
	f.Add(versionOne(slot{2, Position{1, 40, 7}, "main", ""}))
	f.Add(append(append(one, make([]byte, slotBytes-len(one))...), slot{3, Position{2, 50, 9}, "main", ""}.encode()...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, found, err := decodePositionFile(positionFileName("main"), b)
		if !found {
			return
		}
		if s.id != "main" || s.position.Offset < 0 || s.position.Segment >= maxNumber {
			t.Errorf("decoded %+v, %v", s, err)
		}
		at, want := s.offset(), s.encode()
		if b[at+8] == notelessVersion {
			want = versionOne(s)
		}
		if !bytes.HasPrefix(b[at:], want) {
			t.Errorf("decoded %+v, which does not stand at %d", s, at)
		}
	})
}
