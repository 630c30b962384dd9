package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// On disk: never change. A new format is a new version with a line of its own in layouts.
const (
	version            = 1
	segmentMagic       = "\x89PRWAL\r\n"
	segmentHeaderBytes = 40
	frameHeaderBytes   = 32
	frameMark          = "\xf5\xc1\xfe\xa7" // three of the four bytes occur in no UTF-8 text
	flagRepeated       = 1 << 0
	typeClosing        = 0   // ends a segment that was closed in order
	typeReserved       = 128 // first of the types that wal keeps for itself
	maxPayload         = 1 << 28
	maxNumber          = math.MaxInt64 // highest segment number, so that one more always exists
)

// castagnoli is the polynomial for which amd64 and arm64 have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// layout reads one version of the format. The writer knows only the newest one.
type layout struct {
	headerBytes int64  // size of the segment header: where the first frame stands
	frameBytes  int64  // size of a frame header
	mark        []byte // beginning of every frame header
	// frame decodes the frame header b, which stands at offset of the segment.
	frame func(b []byte, segment uint64, offset int64) (header, bool)
}

// layouts are the versions that this release reads: its own and the previous release's.
var layouts = map[uint32]*layout{
	version: {segmentHeaderBytes, frameHeaderBytes, []byte(frameMark), decodeFrame},
}

// segmentHeader describes a segment. These 40 bytes keep their form in every version, so that an unknown version can be
// distinguished from damage.
type segmentHeader struct {
	version uint32
	number  uint64
	created int64  // milliseconds since epoch
	start   uint64 // running count before the first frame
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, 0, segmentHeaderBytes)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, h.version)
	b = binary.LittleEndian.AppendUint64(b, h.number)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.created))
	b = binary.LittleEndian.AppendUint64(b, h.start)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeSegmentHeader returns false for bytes that are damaged or were never a segment header.
func decodeSegmentHeader(b []byte) (segmentHeader, bool) {
	if len(b) < segmentHeaderBytes || !bytes.HasPrefix(b, []byte(segmentMagic)) {
		return segmentHeader{}, false
	}
	if crc32.Checksum(b[:36], castagnoli) != binary.LittleEndian.Uint32(b[36:]) {
		return segmentHeader{}, false
	}
	return segmentHeader{
		version: binary.LittleEndian.Uint32(b[8:]),
		number:  binary.LittleEndian.Uint64(b[12:]),
		created: int64(binary.LittleEndian.Uint64(b[20:])),
		start:   binary.LittleEndian.Uint64(b[28:]),
	}, true
}

// header is a frame header, decoded from any version.
type header struct {
	kind     byte
	repeated bool
	length   int64  // bytes of payload
	before   uint64 // running count before the frame
	count    uint32 // the frame adds it to the running count
	checksum uint32 // CRC32C of the payload
}

// after returns the running count behind the frame.
func (h header) after() uint64 { return h.before + uint64(h.count) }

// appendFrame appends f to b, encoded for this offset of the segment, where the running count is before.
func appendFrame(b []byte, segment uint64, offset int64, before uint64, f Frame) []byte {
	start := len(b)
	var flags byte
	if f.Repeated {
		flags = flagRepeated
	}
	b = append(b, frameMark...)
	b = append(b, f.Type, flags, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Payload)))
	b = binary.LittleEndian.AppendUint64(b, before)
	b = binary.LittleEndian.AppendUint32(b, f.Count)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(f.Payload, castagnoli))
	sum := crc32.Update(placeCRC(segment, offset), castagnoli, b[start:])
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(b, f.Payload...)
}

func decodeFrame(b []byte, segment uint64, offset int64) (header, bool) {
	if len(b) < frameHeaderBytes || string(b[:4]) != frameMark {
		return header{}, false
	}
	if crc32.Update(placeCRC(segment, offset), castagnoli, b[:28]) != binary.LittleEndian.Uint32(b[28:]) {
		return header{}, false
	}
	h := header{
		kind:     b[4],
		repeated: b[5]&flagRepeated != 0,
		length:   int64(binary.LittleEndian.Uint32(b[8:])),
		before:   binary.LittleEndian.Uint64(b[12:]),
		count:    binary.LittleEndian.Uint32(b[20:]),
		checksum: binary.LittleEndian.Uint32(b[24:]),
	}
	return h, h.length <= maxPayload && h.before <= math.MaxUint64-uint64(h.count)
}

// placeCRC returns the CRC32C of a frame's segment number and offset. The checksum of the header begins with it, so a header
// is sound only where it was written: neither a copy inside a payload nor an old block of a deleted segment passes for a
// frame. It works byte by byte, because crc32.Update would put the sixteen bytes on the heap.
func placeCRC(segment uint64, offset int64) uint32 {
	crc := ^uint32(0)
	for _, v := range [2]uint64{segment, uint64(offset)} {
		for range 8 {
			crc = castagnoli[byte(crc)^byte(v)] ^ crc>>8
			v >>= 8
		}
	}
	return ^crc
}

// groupBytes returns the size of group on disk, or the reason why it cannot be written.
func groupBytes(group []Frame) (int64, error) {
	var size int64
	for _, f := range group {
		if f.Type == typeClosing || f.Type >= typeReserved {
			return 0, fmt.Errorf("frame type %d is not the writer's to use", f.Type)
		}
		if len(f.Payload) > maxPayload {
			return 0, fmt.Errorf("payload of %d bytes: %w", len(f.Payload), ErrTooLarge)
		}
		size += frameHeaderBytes + int64(len(f.Payload))
	}
	return size, nil
}
