package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
)

// headroom is how many bytes are free before a page in its buffer: a parser that starts in the
// middle needs a TYPE line first. One byte is free behind the page, for a line break.
const headroom = 32

// windowBytes is how much of a page is in memory at a time. It grows where a line, or a message of
// protobuf, is longer.
const windowBytes = 64 << 10

// window is the part of a page that is in memory. A page is read while it arrives, so its whole
// text is never in memory.
type window struct {
	r   io.Reader // of the page, decompressed
	buf []byte    // headroom, then what was read from the page and not yet parsed
	eof bool      // buf has the end of the page
	nul bool      // a NUL byte was read
	// minRead is how many bytes must be free before more is read.
	minRead int
	// size is how many bytes were read. At limit, 0 for none, the page is refused. maxLine bounds a
	// line, or a part of protobuf.
	size, limit, maxLine int64
	limitKey             string // of the configuration
	// err is why the page could not be read. Then none of its samples are used, as in Prometheus,
	// which reads a page in full before it parses it.
	err error
	// check is called before buf gets so many bytes, and from time to time. An error ends the
	// reading. May be nil.
	check func(bytes int) error
}

// newWindow returns a window at the start of the page that r gives.
func newWindow(r io.Reader) *window {
	return &window{r: r, buf: getBuffer(windowBytes)[:headroom], maxLine: maxText, minRead: windowBytes / 16}
}

// free gives back the memory. What was read must not be used afterwards.
func (w *window) free() {
	putBuffer(w.buf)
	w.buf = nil
}

// fill keeps what is there from i on, reads more behind it, and returns where it is now: at
// headroom.
func (w *window) fill(i int) (int, error) {
	if w.err != nil {
		return i, w.err
	}
	if i > headroom {
		w.buf = w.buf[:headroom+copy(w.buf[headroom:], w.buf[i:])]
	}
	if cap(w.buf)-len(w.buf) < w.minRead {
		w.err = w.grow(2 * cap(w.buf))
	} else {
		w.err = w.checkMemory()
	}
	for enough := min(len(w.buf)+cap(w.buf)/4, cap(w.buf)-w.minRead/2); w.err == nil && !w.eof && len(w.buf) < enough; {
		w.err = w.read()
	}
	return headroom, w.err
}

// checkMemory checks the memory that the page uses by now.
func (w *window) checkMemory() error {
	if w.err == nil && w.check != nil {
		w.err = w.check(cap(w.buf))
	}
	return w.err
}

// read reads once.
func (w *window) read() error {
	from := len(w.buf)
	n, err := w.r.Read(w.buf[from : cap(w.buf)-1])
	w.buf = w.buf[:from+n]
	w.size += int64(n)
	w.nul = w.nul || bytes.IndexByte(w.buf[from:], 0) >= 0
	switch {
	case errors.Is(err, io.EOF):
		w.eof = true
	case err != nil:
		return err
	}
	if w.limit > 0 && w.size >= w.limit {
		return bodySizeError{w.limitKey, w.limit}
	}
	return nil
}

// grow makes room for so many bytes in all.
func (w *window) grow(size int) error {
	if w.check != nil {
		if err := w.check(size); err != nil {
			return err
		}
	}
	larger := append(getBuffer(size), w.buf...)
	putBuffer(w.buf)
	w.buf = larger
	return nil
}

// atLeast fills the window until n bytes from i on are there, or the page ends. It returns where i
// is then.
func (w *window) atLeast(i, n int) (int, error) {
	for w.err == nil && !w.eof && len(w.buf)-i < n {
		i, w.err = w.fill(i)
	}
	return i, w.err
}

// rest fills the window with all of the page from i on, and returns where that is. A line that is
// too long is an error, but does not set err.
func (w *window) rest(i int) (int, error) {
	var err error
	for !w.eof {
		if i, err = w.fill(i); err != nil {
			return i, err
		}
	}
	for b := w.buf[i:]; int64(len(b)) > w.maxLine; {
		n := bytes.IndexByte(b, '\n')
		if n < 0 {
			n = len(b)
		}
		if int64(n) > w.maxLine {
			return i, w.tooLong()
		}
		b = b[min(n+1, len(b)):]
	}
	return i, nil
}

// tooLong is the error about a line that is too long.
func (w *window) tooLong() error { return w.tooLarge("a line of the page", 0) }

// tooLarge is the error about a part of the page that is longer than a line may be.
func (w *window) tooLarge(what string, bytes int) error {
	e := sizeError{what: what, bytes: int64(bytes), limit: w.maxLine}
	if w.maxLine < maxText {
		e.key = "scrape.line_size_limit"
	}
	return e
}

// drain reads the rest of the page and discards it, to learn its size and whether it can be read.
func (w *window) drain() {
	for w.err == nil && !w.eof {
		_, _ = w.fill(len(w.buf))
	}
}

// buffers keeps memory for windows, by the power of two of its size.
var buffers [40]sync.Pool

func getBuffer(size int) []byte {
	class := bits.Len(uint(size - 1))
	if b, ok := buffers[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

func putBuffer(b []byte) {
	if class := bits.Len(uint(cap(b))) - 1; class >= 10 && class < len(buffers) {
		buffers[class].Put(&b)
	}
}

// bodySizeError is about a page that is too large.
type bodySizeError struct {
	key   string // of the configuration
	limit int64  // bytes
}

func (e bodySizeError) Error() string {
	return fmt.Sprintf("%s %d: the page has as many bytes, or more", e.key, e.limit)
}
