package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"
)

// recover finds the segments and positions of earlier processes, and begins a segment above all of them. It reads the header
// and the end of every segment. It walks through the newest one, unless that was closed. While it runs, w.head.Count is the
// highest running count found so far.
func (w *WAL) recover() error {
	if err := w.findSegments(); err != nil {
		return err
	}
	damaged, err := w.loadPositions()
	if err != nil {
		return err
	}
	for _, d := range w.destinations {
		// After a power loss, the frames before a position may be missing. They were appended all the same.
		w.next = max(w.next, d.position.Segment+1)
		w.head.Count = max(w.head.Count, d.position.Count)
	}
	end := w.head.Count
	for _, s := range slices.Backward(w.segments) {
		s.end.Store(end)
		end = s.start
		w.bytes += s.disk
	}
	w.head.Segment, w.head.Offset = w.next, segmentHeaderBytes
	w.gone = []span{{to: w.tailLocked().Count, reason: reasonMissing}}
	for _, d := range damaged {
		d.position = w.tailLocked()
	}
	w.dirty = slices.Clone(w.segments)
	return w.begin()
}

// begin opens the first segment of this process. Then it deletes segments without a frame, not before: their headers may
// be all that had the running count.
func (w *WAL) begin() error {
	w.appendMu.Lock()
	defer w.appendMu.Unlock()
	left := slices.Clone(w.segments)
	_, err := w.openLocked()
	if isFull(err) { // the deletions have made room
		w.retryAt = time.Time{}
		_, err = w.openLocked()
	}
	if isFull(err) {
		w.log.Error("disk is full, nothing can be appended yet", zap.NamedError("err", err))
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range left {
		if !s.gone.Load() && s.size.Load() == s.layout.headerBytes {
			w.remove(s, reasonAcknowledged)
		}
	}
	w.log.Info("write-ahead log opened", zap.String("dir", w.opts.Dir), zap.Uint64("segment", w.head.Segment),
		zap.Int("segments", len(w.segments)), zap.Int64("bytes", w.bytes), zap.Uint64("count", w.head.Count))
	return nil
}

func (w *WAL) tell(step OpenStep, done, total int64) {
	if w.opts.Progress != nil {
		w.opts.Progress(step, done, total)
	}
}

// findSegments reads the segments of the directory, and moves w.next above all of them.
func (w *WAL) findSegments() error {
	entries, err := w.disk.List(w.opts.Dir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	for i, e := range entries {
		w.tell(StepSegments, int64(i), int64(len(entries)))
		number, aside, ok := parseSegmentName(e.name)
		if !ok {
			continue
		}
		w.next = max(w.next, number+1)
		if aside {
			w.metrics.unknown.Inc()
			continue
		}
		s := &segment{number: number, path: filepath.Join(w.opts.Dir, e.name), disk: e.size}
		if err := w.recoverSegment(s); err != nil {
			return fmt.Errorf("recover segment %d: %w", number, err)
		}
	}
	slices.SortFunc(w.segments, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	if n := len(w.segments); n > 0 && w.segments[n-1].torn {
		s := w.segments[n-1]
		if err := w.withFile(s, func(f file) error { return w.findEnd(f, s) }); err != nil {
			return fmt.Errorf("recover segment %d: %w", s.number, err)
		}
	}
	return nil
}

// recoverSegment adds s to the log if it can be read. Otherwise it keeps s aside, or deletes s if it is too short to hold
// anything.
func (w *WAL) recoverSegment(s *segment) error {
	if s.disk < segmentHeaderBytes {
		w.unsyncedNames.Store(true)
		return w.disk.Remove(s.path)
	}
	var readable bool
	err := w.withFile(s, func(f file) (err error) {
		readable, err = w.readSegment(f, s)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrPermission):
		return w.setAside(s, "segment cannot be opened, and is kept aside", zap.NamedError("err", err))
	case err != nil:
		return err
	case !readable:
		return w.setAside(s, "segment of an unknown version, or without anything sound, is kept aside")
	}
	w.segments = append(w.segments, s)
	return nil
}

func (w *WAL) withFile(s *segment, read func(file) error) error {
	f, err := w.disk.Open(s.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(read(f), f.Close())
}

// setAside renames a segment that this process cannot read; message says why. Its file is not touched again and its number
// is not reused. If it cannot be renamed, the next start finds it again.
func (w *WAL) setAside(s *segment, message string, why ...zap.Field) error {
	w.metrics.unknown.Inc()
	w.log.Warn(message, append(why, zap.Uint64("segment", s.number), zap.Int64("bytes", s.disk))...)
	err := w.disk.Rename(s.path, s.path+unknownSuffix)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return errors.Join(err, syncDir(w.disk, w.opts.Dir))
}

// readSegment completes s from its header and its closing frame; false if nothing can be read from it. A damaged
// header costs no frame: the file's name has the number, the first sound frame the running count.
func (w *WAL) readSegment(f file, s *segment) (bool, error) {
	v := window{file: f}
	b, err := v.view(0, segmentHeaderBytes, headerAhead, s.disk)
	if err != nil {
		return false, err
	}
	h, sound := decodeSegmentHeader(b)
	if sound = sound && h.number == s.number; !sound {
		h = segmentHeader{version: version}
	}
	w.head.Count = max(w.head.Count, h.start)
	if s.layout = layouts[h.version]; s.layout == nil {
		return false, nil
	}
	s.start, s.created = h.start, h.created
	if err := w.readClosing(f, s); err != nil || sound {
		return true, err
	}
	c := newCursor(f, s)
	first, found, err := c.header(headerAhead, s.disk)
	if found {
		w.metrics.corruptions.Inc()
		w.log.Warn("segment header is damaged", zap.Uint64("segment", s.number))
	}
	s.start = first.before
	return found, err
}

// readClosing looks for the closing frame at the end of s.
func (w *WAL) readClosing(f file, s *segment) error {
	c := newCursor(f, s)
	size := s.disk - s.layout.frameBytes
	var h header
	var ok bool
	var err error
	if size >= s.layout.headerBytes {
		h, ok, err = c.headerAt(size, headerAhead, s.disk)
	}
	if s.torn = !ok || h.kind != typeClosing; s.torn {
		size = s.disk
	} else {
		w.head.Count = max(w.head.Count, h.before)
	}
	s.size.Store(size)
	s.closed.Store(true)
	return err
}

// findEnd walks through the newest segment: no later one has the running count at which it ends.
func (w *WAL) findEnd(f file, s *segment) error {
	c := newCursor(f, s)
	end := s.layout.headerBytes
	for {
		h, ok, err := c.header(headerAhead, s.disk)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		c.skip(h)
		end = c.off
		w.tell(StepNewest, end, s.disk)
	}
	if end < s.disk {
		w.log.Info("unfinished end of a segment ignored", zap.Uint64("segment", s.number),
			zap.Int64("offset", end), zap.Int64("bytes", s.disk-end))
	}
	s.size.Store(end)
	w.head.Count = max(w.head.Count, c.highest)
	return nil
}
