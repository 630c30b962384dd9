package wal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// golden reads bytes drawn in testdata: hexadecimal, # begins a comment, @n fills with zeros up to byte n.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if at, ok := strings.CutPrefix(line, "@"); ok {
			n, err := strconv.Atoi(at)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, make([]byte, n-len(b))...)
			continue
		}
		part, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}

func TestGoldenBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // for the time in the segment header
		d := newMemDisk()
		w := openOn(t, d)
		destination, err := w.Destination("main")
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, w, Frame{Type: 1, Repeated: true, Payload: []byte("table")},
			Frame{Type: 2, Count: 3, Payload: []byte("scrape")})
		destination.Acknowledge(w.Head())
		if err := destination.SetNote("by 1.0"); err != nil {
			t.Fatal(err)
		}
		closeLog(t, w)

		if got, want := d.live[dir+"/00000000000000000001.wal"].data, golden(t, "segment.hex"); !bytes.Equal(got, want) {
			t.Errorf("segment:\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
		}
		name := dir + "/positions/main-0d6e4079e36703eb.pos"
		if d.live[name] == nil {
			t.Fatal("no position file of the documented name")
		}
		if got, want := d.live[name].data, golden(t, "position-v2.hex"); !bytes.Equal(got, want) {
			t.Errorf("position:\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
		}
	})
}

// The bytes as documented are read by this release and, once there is another version, by the ones after it.
func TestGoldenBytesAreRead(t *testing.T) {
	for file, note := range map[string]string{"position-v1.hex": "", "position-v2.hex": "by 1.0"} {
		d := newMemDisk()
		d.live[dir+"/00000000000000000001.wal"] = &memFile{data: golden(t, "segment.hex")}
		d.live[dir+"/positions/"+positionFileName("main")] = &memFile{data: golden(t, file)}
		w := openOn(t, d)
		entries := readFrom(t, w, Position{})
		if got, want := payloads(entries), []string{"table", "scrape"}; !slices.Equal(got, want) {
			t.Errorf("payloads %q, want %q", got, want)
		}
		main := destination(t, w, "main")
		if got, want := main.mark, (mark{Position{Segment: 1, Offset: 115, Count: 3}, note}); got != want {
			t.Errorf("%s: found %+v, want %+v", file, got, want)
		}
		if value(w.metrics.damagedPosition) > 0 {
			t.Errorf("%s is taken for damaged", file)
		}
		closeLog(t, w)
	}
}

func TestFrameHeader(t *testing.T) {
	f := Frame{Type: 127, Repeated: true, Count: math.MaxUint32, Payload: []byte("payload")}
	b := appendFrame(nil, 12, 345, 1<<40, f)
	h, ok := decodeFrame(b, 12, 345)
	want := header{127, true, 7, 1 << 40, math.MaxUint32, crc32.Checksum(f.Payload, castagnoli)}
	if !ok || h != want {
		t.Errorf("decoded %+v, %v; want %+v", h, ok, want)
	}
	if h.after() != 1<<40+math.MaxUint32 {
		t.Errorf("running count behind the frame is %d", h.after())
	}

	tests := map[string]struct {
		segment uint64
		offset  int64
		change  func(b []byte) []byte
	}{
		"other segment":  {13, 345, nil},
		"other offset":   {12, 346, nil},
		"short":          {12, 345, func(b []byte) []byte { return b[:frameHeaderBytes-1] }},
		"no bytes":       {12, 345, func([]byte) []byte { return nil }},
		"zeros":          {12, 345, func(b []byte) []byte { return make([]byte, len(b)) }},
		"long payload":   {12, 345, func(b []byte) []byte { return resum(b, 8, maxPayload+1, 12, 345) }},
		"count overflow": {12, 345, func([]byte) []byte { return appendFrame(nil, 12, 345, math.MaxUint64, f) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := slices.Clone(b)
			if test.change != nil {
				c = test.change(c)
			}
			if h, ok := decodeFrame(c, test.segment, test.offset); ok {
				t.Errorf("decoded %+v", h)
			}
		})
	}
	for bit := range frameHeaderBytes * 8 {
		c := slices.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		if _, ok := decodeFrame(c, 12, 345); ok {
			t.Errorf("bit %d flipped, and the header still holds", bit)
		}
	}
}

// resum puts v at offset at of a frame header and makes its checksum right again.
func resum(b []byte, at int, v uint32, segment uint64, offset int64) []byte {
	binary.LittleEndian.PutUint32(b[at:], v)
	binary.LittleEndian.PutUint32(b[28:], crc32.Update(placeCRC(segment, offset), castagnoli, b[:28]))
	return b
}

func TestPlaceCRC(t *testing.T) {
	for _, place := range [][2]uint64{{0, 0}, {1, 40}, {math.MaxUint64, 1 << 40}, {12, 345}} {
		b := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, place[0]), place[1])
		if got, want := placeCRC(place[0], int64(place[1])), crc32.Checksum(b, castagnoli); got != want {
			t.Errorf("placeCRC(%v) = %08x, want %08x", place, got, want)
		}
	}
}

func TestSegmentHeader(t *testing.T) {
	h := segmentHeader{version: 7, number: 12, created: -5, start: 1 << 50}
	b := h.encode()
	if got, ok := decodeSegmentHeader(b); !ok || got != h || len(b) != segmentHeaderBytes {
		t.Errorf("decoded %+v, %v; want %+v", got, ok, h)
	}
	for bit := range len(b) * 8 {
		c := slices.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		if _, ok := decodeSegmentHeader(c); ok {
			t.Errorf("bit %d flipped, and the header still holds", bit)
		}
	}
}

func TestSegmentName(t *testing.T) {
	tests := map[string]struct {
		number    uint64
		aside, ok bool
	}{
		"00000000000000000012.wal":         {12, false, true},
		"00000000000000000012.wal.unknown": {12, true, true},
		"09223372036854775806.wal":         {math.MaxInt64 - 1, false, true},
		"09223372036854775807.wal":         {},
		"99999999999999999999.wal":         {},
		"00000000000000000000.wal":         {},
		"0000000000000000012.wal":          {},
		"+0000000000000000012.wal":         {},
		"00000000000000000012.wal.tmp":     {},
		"00000000000000000012":             {},
		"lock":                             {},
	}
	for name, want := range tests {
		number, aside, ok := parseSegmentName(name)
		if ok != want.ok || ok && (number != want.number || aside != want.aside) {
			t.Errorf("parseSegmentName(%q) = %d, %v, %v; want %+v", name, number, aside, ok, want)
		}
		if ok && !aside && segmentName(number) != name {
			t.Errorf("segmentName(%d) = %q, want %q", number, segmentName(number), name)
		}
	}
}
