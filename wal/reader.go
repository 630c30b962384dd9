package wal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.uber.org/zap"
)

// forgetStep is how many bytes a reader uses before it drops them from the page cache.
const forgetStep = 4 << 20

// Entry is a frame as a reader returns it.
type Entry struct {
	Type  byte
	Count uint32 // the frame adds it to the running count
	// Payload belongs to the reader and is valid until its next call.
	Payload []byte
	// Start and End are the positions before and behind the frame.
	Start, End Position
	// Lost is how much of the running count is missing before this entry: since the entry before it, or since the position
	// where the reader began. It was damaged, or deleted before it was read.
	Lost uint64
	// NewSegment marks the first entry that the reader returns from a segment.
	NewSegment bool
	// Replay marks a frame that lies before the position where the reader began. Only those that were appended as
	// Repeated are returned, from the beginning of that segment.
	Replay bool
}

// Reader returns frames from a position on. One goroutine uses it.
//
// If the segment that a reader reads is deleted, the reader continues with the oldest one there is, and reports what it did
// not return as Lost: reading on from the unlinked file would hold the space that the deletion must free.
type Reader struct {
	wal   *WAL
	from  Position
	next  uint64   // lowest number of the segment to open next
	seg   *segment // nil = none open
	cur   cursor   // in seg
	count uint64   // running count behind all entries that were returned or counted as lost

	opened    bool  // nothing was returned from seg yet
	forgotten int64 // bytes of seg dropped from the page cache
	closed    bool
}

// NewReader returns a reader that begins at from, a position from Head, Tail, Append, an Entry or a Destination. The reader
// skips frames after from that were deleted, and reports them as Lost of the first entry: everything ever deleted for the
// zero Position, nothing for Tail.
func (w *WAL) NewReader(from Position) (*Reader, error) {
	if w.Head().Before(from) {
		return nil, fmt.Errorf("read from segment %d, offset %d: %w", from.Segment, from.Offset, ErrBeyondHead)
	}
	return &Reader{wal: w, from: from, next: from.Segment, count: from.Count}, nil
}

// Next waits for the next entry. It returns the error of ctx when that is done, and ErrClosed when the log is closed
// and everything was read. Any other error comes from the disk: the reader has not moved, and the call can be repeated.
func (r *Reader) Next(ctx context.Context) (Entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Entry{}, err
		}
		if e, ok, err := r.TryNext(); ok || err != nil {
			return e, err
		}
		appended := r.wal.appended()
		// Try again: an entry may have come before the channel was made.
		if e, ok, err := r.TryNext(); ok || err != nil {
			return e, err
		}
		select {
		case <-ctx.Done():
		case <-appended:
		}
	}
}

// TryNext is Next without waiting: false at the head.
func (r *Reader) TryNext() (Entry, bool, error) {
	for {
		over := r.closed || r.wal.closed.Load() // read before what is there, so that nothing is missed
		if r.seg != nil && r.seg.gone.Load() {
			r.leave()
		}
		if r.seg == nil {
			ok, err := r.open()
			if err != nil {
				return Entry{}, false, err
			}
			if !ok && over {
				return Entry{}, false, ErrClosed
			}
			if !ok {
				return Entry{}, false, nil
			}
		}
		final := r.seg.closed.Load() // read before size
		e, ok, err := r.read(r.seg.size.Load(), final)
		switch {
		case ok:
			return e, true, nil
		case r.seg.gone.Load(): // and cut: the bytes that were read from it mean nothing
			r.leave()
		case err != nil:
			return Entry{}, false, fmt.Errorf("read segment %d: %w", r.seg.number, err)
		case !final:
			return Entry{}, false, nil
		default:
			r.leave()
		}
	}
}

// Close closes the segment that is being read.
func (r *Reader) Close() error {
	r.closed = true
	r.leave()
	return nil
}

// open opens the next segment; false if there is none yet.
func (r *Reader) open() (bool, error) {
	for !r.closed {
		s := r.wal.segmentFrom(r.next)
		if s == nil {
			return false, nil
		}
		if s.passed(r.from) {
			r.next = s.number + 1
			continue
		}
		f, err := r.wal.disk.Open(s.path, os.O_RDONLY)
		switch {
		case err == nil:
			buf := r.cur.buf[:0]
			r.seg, r.cur, r.opened, r.forgotten = s, newCursor(f, s), true, 0
			r.cur.buf = buf
			r.next = s.number + 1
			return true, nil
		case s.gone.Load():
			r.next = s.number + 1
		case errors.Is(err, fs.ErrNotExist):
			if !s.closed.Load() {
				return false, nil // it is given up soon; then its content is known
			}
			r.next = s.number + 1
			r.wal.noteMissing(s)
		default:
			return false, fmt.Errorf("open segment %d: %w", s.number, err)
		}
	}
	return false, nil
}

// leave closes the segment, if one is open.
func (r *Reader) leave() {
	if r.seg == nil {
		return
	}
	r.forget(0)
	// The file was only read: its error does not matter.
	_ = r.cur.file.Close()
	r.seg = nil
}

// read returns the next entry of the segment below limit; false at limit.
func (r *Reader) read(limit int64, final bool) (Entry, bool, error) {
	for {
		ahead := int64(readAhead)
		if r.replaying() {
			ahead = headerAhead
		}
		h, ok, err := r.cur.header(ahead, limit)
		if err != nil {
			return Entry{}, false, err
		}
		r.noteDamage(ok, final)
		if !ok {
			return Entry{}, false, nil
		}
		if h.kind == typeClosing || r.seg.torn && h.after() > r.seg.end.Load() {
			// At the end of a torn segment there may be a group whose write failed. The next segment does not count it.
			r.cur.off = limit
			return Entry{}, false, nil
		}
		if h.kind >= typeReserved || r.replaying() && !h.repeated {
			r.cur.skip(h)
			continue
		}
		payload, ok, err := r.cur.payload(h, limit)
		if err != nil {
			return Entry{}, false, err
		}
		if !ok {
			r.cur.damage = r.cur.off
			r.noteDamage(true, final)
			r.cur.skip(h)
			continue
		}
		return r.entry(h, payload), true, nil
	}
}

// replaying reports whether the next frame lies before the position where the reader began.
func (r *Reader) replaying() bool {
	return r.seg.number == r.from.Segment && r.cur.off < r.from.Offset
}

// entry makes an entry of the frame at the cursor and goes behind it.
func (r *Reader) entry(h header, payload []byte) Entry {
	e := Entry{
		Type:       h.kind,
		Count:      h.count,
		Payload:    payload,
		Start:      Position{Segment: r.seg.number, Offset: r.cur.off, Count: h.before},
		NewSegment: r.opened,
		Replay:     r.replaying(),
	}
	r.cur.skip(h)
	e.End = Position{Segment: r.seg.number, Offset: r.cur.off, Count: h.after()}
	r.opened = false
	if !e.Replay {
		e.Lost = gap(r.count, h.before)
		r.count = max(r.count, h.after())
	}
	r.forget(forgetStep)
	return e
}

// noteDamage counts a damaged place once. The end of a torn segment is no damage if nothing sound is behind it: it was never
// finished.
func (r *Reader) noteDamage(found, final bool) {
	at := r.cur.damage
	if at == 0 || r.seg.gone.Load() {
		return
	}
	r.cur.damage = 0
	if !found && final && r.seg.torn {
		return
	}
	r.wal.metrics.corruptions.Inc()
	r.wal.log.Warn("damage skipped", zap.NamedError("err", &CorruptionError{Segment: r.seg.number, Offset: at}))
}

// forget drops the bytes that the reader has passed from the page cache, which counts as memory of the pod. It does so if they
// are at least step bytes and all of them are synced. Another reader further behind reads them from the disk again.
func (r *Reader) forget(step int64) {
	if r.cur.off-r.forgotten > step && r.seg.synced.Load() >= r.cur.off {
		r.cur.file.Forget(r.forgotten, r.cur.off-r.forgotten)
		r.forgotten = r.cur.off / pageBytes * pageBytes // the kernel keeps a page that is not covered whole
	}
}

// segmentFrom returns the first segment numbered number or above, nil if there is none.
func (w *WAL) segmentFrom(number uint64) *segment {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.segments {
		if s.number >= number {
			return s
		}
	}
	return nil
}
