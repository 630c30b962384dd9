package wal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Frame is what a writer appends.
type Frame struct {
	// Type is chosen by the writer, 1 to 127. wal keeps the others for itself.
	Type byte
	// Repeated marks frames that the writer writes again in each new segment, such as tables. A reader that starts inside a
	// segment gets these frames from the segment's beginning on.
	Repeated bool
	// Count is how much the frame adds to the running count, in the writer's own unit (samples).
	Count uint32
	// Payload has at most 256 MiB. Append does not keep it.
	Payload []byte
}

const (
	retryInterval = time.Second // between attempts to open a segment, while they fail
	keepGroup     = 4 << 20     // a larger write buffer is released
	ceiling       = 4           // a segment grows to at most this many times SegmentBytes
	amortised     = 4           // fresh bytes for each repeated one, before a segment is full at SegmentBytes
)

// rotateNow reports whether a group of group bytes must land in a new segment. The frames that each segment repeats (tables)
// are overhead. So a segment is full at target bytes only if repeated frames make at most a fifth of it; otherwise it grows
// until they do, to at most four times target. So tables add at most a quarter to the data as long as those of one segment
// have at most 4/5 of target. A segment without a frame accepts any group.
func rotateNow(fresh, repeated, group, target int64) bool {
	held := fresh + repeated
	switch {
	case held == 0:
		return false
	case held+group > ceiling*target:
		return true
	default:
		return held >= target && fresh >= amortised*repeated
	}
}

// Segment returns the number of the segment in which the next group would land. It opens that segment if the present one
// is full or was given up. While none can be opened, it returns the number that the next attempt will use.
func (w *WAL) Segment() uint64 {
	w.appendMu.Lock()
	defer w.appendMu.Unlock()
	if !w.closed.Load() {
		if s, err := w.landingLocked(0); err == nil {
			return s.number
		}
	}
	return w.next
}

// Append writes group in one write to one segment, and returns the position behind it. When Append returns, readers see the
// whole group; it is durable after the next Sync. A *RotatedError means that the group would land in another segment than
// the one it was encoded for. With this and every other error, nothing was appended, nothing was added to the running count,
// and no reader will see any of it (doc.go names the one exception, after a crash).
//
// After a failed write the segment is given up, and Append opens another one. While that fails, it tries once a second; in
// between it returns the last error at once.
func (w *WAL) Append(segment uint64, group ...Frame) (Position, error) {
	size, err := groupBytes(group)
	if err == nil && size > w.opts.MaxBytes {
		err = fmt.Errorf("group of %d bytes: %w", size, ErrTooLarge)
	}
	if err != nil {
		return Position{}, fmt.Errorf("append to segment %d: %w", segment, err)
	}

	w.appendMu.Lock()
	defer w.appendMu.Unlock()
	if w.closed.Load() {
		return Position{}, ErrClosed
	}
	s, err := w.landingLocked(size)
	if err != nil {
		return Position{}, fmt.Errorf("append to segment %d: %w", segment, err)
	}
	if s.number != segment {
		return Position{}, &RotatedError{Segment: s.number}
	}
	if err := w.writeLocked(s, group, size); err != nil {
		return Position{}, fmt.Errorf("append to segment %d: %w", segment, err)
	}
	return w.Head(), nil
}

// writeLocked writes group behind the last frame of s and shows it to readers.
func (w *WAL) writeLocked(s *segment, group []Frame, size int64) error {
	w.makeRoomFor(size)
	head := w.Head()
	buf := slices.Grow(w.buf[:0], int(size))
	count := head.Count
	var repeated int64
	for _, f := range group {
		before := len(buf)
		buf = appendFrame(buf, s.number, head.Offset+int64(before), count, f)
		count += uint64(f.Count)
		if f.Repeated {
			repeated += int64(len(buf) - before)
		}
	}
	if w.buf = buf; cap(buf) > keepGroup {
		w.buf = nil
	}
	if err := writeAll(s.file, buf, head.Offset); err != nil {
		w.metrics.writeFailures.Inc()
		err = errors.Join(err, s.file.Truncate(head.Offset))
		w.giveUpLocked(s, err)
		return err
	}
	s.repeated += repeated
	s.fresh += size - repeated
	w.publish(s, Position{Segment: s.number, Offset: head.Offset + size, Count: count})
	w.metrics.appendedFrames.Add(float64(len(group)))
	w.metrics.appendedBytes.Add(float64(size))
	return nil
}

// publish shows readers everything in s up to head.
func (w *WAL) publish(s *segment, head Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resizeLocked(s, head.Offset)
	w.pace.bytes += uint64(head.Offset - w.head.Offset)
	w.head = head
	s.size.Store(head.Offset)
	w.wakeLocked()
}

// landingLocked returns the segment in which a group of group bytes lands. It opens a segment if needed.
func (w *WAL) landingLocked(group int64) (*segment, error) {
	full := w.active
	if full != nil && !rotateNow(full.fresh, full.repeated, group, w.opts.SegmentBytes) {
		return full, nil
	}
	s, err := w.openLocked()
	if err != nil {
		if full != nil && full.fresh+full.repeated+group <= ceiling*w.opts.SegmentBytes {
			return full, nil // a full segment is better than none
		}
		return nil, err
	}
	if full != nil {
		w.retireLocked(full)
	}
	return s, nil
}

// openLocked opens the next segment and makes it the active one. A number is used for one attempt only.
func (w *WAL) openLocked() (*segment, error) {
	now := time.Now()
	if w.troubled != nil {
		if now.Before(w.retryAt) {
			return nil, fmt.Errorf("wait before a new segment: %w", w.troubled)
		}
		w.retryAt = now.Add(retryInterval)
	}
	s, err := w.createLocked()
	if err != nil {
		w.metrics.writeFailures.Inc()
		w.troubled, w.retryAt = err, now.Add(retryInterval)
		if w.active == nil {
			w.setReady(err)
		}
		if isFull(err) {
			w.makeRoomAfterFull(nil)
		}
		return nil, err
	}
	if w.troubled != nil {
		w.log.Info("segment opened after a failure", zap.Uint64("segment", s.number), zap.NamedError("failure", w.troubled))
		w.troubled = nil
	}
	w.active = s
	w.setReady(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.segments = append(w.segments, s)
	w.dirty = append(w.dirty, s)
	w.bytes += s.disk
	w.head = s.first()
	w.showLocked()
	return s, nil
}

// createLocked creates the next segment, after it made sure that the directory is there and locked.
func (w *WAL) createLocked() (*segment, error) {
	if err := w.renew(); err != nil {
		return nil, err
	}
	number := w.next
	w.next++
	return createSegment(w.disk, w.opts.Dir, number, w.Head().Count)
}

// retireLocked closes a full segment with a closing frame. Its file is closed after the next Sync. The segment is sound even
// without a closing frame: recovery walks through it.
func (w *WAL) retireLocked(s *segment) {
	size, end := s.size.Load(), w.Head().Count
	buf := appendFrame(w.buf[:0], s.number, size, end, Frame{Type: typeClosing})
	if err := writeAll(s.file, buf, size); err != nil {
		w.metrics.writeFailures.Inc()
		w.log.Warn("segment closed without a closing frame", zap.Uint64("segment", s.number),
			zap.NamedError("err", errors.Join(err, s.file.Truncate(size))))
	} else {
		w.mu.Lock()
		w.resizeLocked(s, size+int64(len(buf)))
		w.mu.Unlock()
	}
	s.finish(end)
}

// giveUpLocked ends the active segment because of cause, and does not write to it again. If the remains of a failed write
// behind the last frame could not be cut off, recovery finds them. Then readers know that they belong to a failed write: the
// next segment starts at a lower running count.
func (w *WAL) giveUpLocked(s *segment, cause error) {
	w.troubled = cause
	w.active = nil
	w.setReady(cause)
	s.finish(w.Head().Count)
	if s.size.Load() == s.layout.headerBytes {
		w.remove(s, reasonAcknowledged)
	}
	if isFull(cause) {
		w.makeRoomAfterFull(s)
	}
}

// resizeLocked records that the file of s has disk bytes.
func (w *WAL) resizeLocked(s *segment, disk int64) {
	w.bytes += disk - s.disk
	s.disk = disk
	w.showLocked()
}

// wakeReaders wakes every reader that waits at the head.
func (w *WAL) wakeReaders() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeLocked()
}

func (w *WAL) wakeLocked() {
	if w.wake != nil {
		close(w.wake)
		w.wake = nil
	}
}

// appended returns a channel that is closed at the next change of the head.
func (w *WAL) appended() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake == nil {
		w.wake = make(chan struct{})
	}
	return w.wake
}
