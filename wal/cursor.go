package wal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"

	"golang.org/x/sys/unix"
)

const (
	readAhead   = 256 << 10 // bytes read at once if every frame is needed
	headerAhead = 4 << 10   // bytes read at once if most frames are skipped by their headers
	keepBuffer  = 4 << 20   // a larger buffer is released when small frames follow
	pageBytes   = 4 << 10   // a device that cannot read a byte fails for a page of this size
)

// window is the part of a file that is held in memory.
type window struct {
	file file
	buf  []byte
	at   int64 // offset of buf in the file
}

// view returns the bytes of the window from off on: at least n bytes, which must lie below limit. If it must read, it
// reads about ahead bytes, never past limit. The bytes are valid until the next call.
func (v *window) view(off, n, ahead, limit int64) ([]byte, error) {
	i := off - v.at
	if i >= 0 && i+n <= int64(len(v.buf)) {
		return v.buf[i:], nil
	}
	var kept int
	if i >= 0 && i < int64(len(v.buf)) {
		kept = copy(v.buf, v.buf[i:])
	}
	size := min(max(n, ahead), limit-off)
	if int64(cap(v.buf)) < size || cap(v.buf) > keepBuffer && size <= readAhead {
		grown := make([]byte, size)
		copy(grown, v.buf[:kept])
		v.buf = grown
	}
	v.buf, v.at = v.buf[:size], off
	if err := v.fill(kept); err != nil {
		v.buf = v.buf[:0]
		return nil, err
	}
	return v.buf, nil
}

// fill reads the window from its byte n on. A page that the device cannot read becomes zeros. So does the missing end of
// a file that somebody cut. Both are damage like any other, and cost the frames that they hit.
func (v *window) fill(n int) error {
	for n < len(v.buf) {
		m, err := v.file.ReadAt(v.buf[n:], v.at+int64(n))
		n += m
		switch {
		case err == nil || n == len(v.buf):
		case errors.Is(err, io.EOF):
			clear(v.buf[n:])
			return nil
		case errors.Is(err, unix.EIO):
			bad := int(pageBytes - (v.at+int64(n))%pageBytes)
			next := min(n+bad, len(v.buf))
			clear(v.buf[n:next])
			n = next
		default:
			return err
		}
	}
	return nil
}

// cursor walks over the frames of one segment.
type cursor struct {
	window
	layout  *layout
	segment uint64
	off     int64  // of the next frame
	highest uint64 // running count of all sound headers so far, even of those whose payload is torn off
	damage  int64  // beginning of the damaged frames that were skipped since the last sound one, 0 = none
}

func newCursor(f file, s *segment) cursor {
	return cursor{window: window{file: f}, layout: s.layout, segment: s.number, off: s.layout.headerBytes, highest: s.start}
}

// header returns the header of the next frame below limit, and sets off to its place; false at limit. Where there is no
// frame, it searches for the next one. The header of a frame found in this way is used only if the payload is sound too.
func (c *cursor) header(ahead, limit int64) (header, bool, error) {
	for c.off < limit {
		h, ok, err := c.headerAt(c.off, ahead, limit)
		if ok && err == nil && c.damage > 0 {
			_, ok, err = c.payload(h, limit)
		}
		if ok || err != nil {
			return h, ok, err
		}
		if c.damage == 0 {
			c.damage = c.off
		}
		if err := c.search(limit); err != nil {
			return header{}, false, err
		}
	}
	return header{}, false, nil
}

func (c *cursor) headerAt(off, ahead, limit int64) (header, bool, error) {
	if limit-off < c.layout.frameBytes {
		return header{}, false, nil
	}
	b, err := c.view(off, c.layout.frameBytes, ahead, limit)
	if err != nil {
		return header{}, false, err
	}
	h, ok := c.layout.frame(b[:c.layout.frameBytes], c.segment, off)
	if !ok {
		return header{}, false, nil
	}
	c.highest = max(c.highest, h.after())
	return h, h.length <= limit-off-c.layout.frameBytes, nil
}

// payload returns the payload of the frame at off, whose header is h; false if it is damaged.
func (c *cursor) payload(h header, limit int64) ([]byte, bool, error) {
	b, err := c.view(c.off, c.layout.frameBytes+h.length, readAhead, limit)
	if err != nil {
		return nil, false, err
	}
	b = b[c.layout.frameBytes:][:h.length:h.length]
	return b, crc32.Checksum(b, castagnoli) == h.checksum, nil
}

// skip goes behind the frame at off.
func (c *cursor) skip(h header) {
	c.off += c.layout.frameBytes + h.length
	c.damage = 0
}

// search moves off forward to the next mark below limit, else to limit.
func (c *cursor) search(limit int64) error {
	for off := c.off + 1; limit-off >= c.layout.frameBytes; {
		b, err := c.view(off, c.layout.frameBytes, readAhead, limit)
		if err != nil {
			return err
		}
		if i := bytes.Index(b, c.layout.mark); i >= 0 {
			c.off = off + int64(i)
			return nil
		}
		off += int64(len(b) - len(c.layout.mark) + 1)
	}
	c.off = limit
	return nil
}
