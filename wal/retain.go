package wal

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Why a segment was deleted.
const (
	reasonAcknowledged = "acknowledged" // no destination needs it
	reasonMaxBytes     = "max_bytes"
	reasonMinFree      = "min_free"
	reasonDiskFull     = "disk_full"
	reasonMissing      = "missing" // missing when this process began, or removed by somebody else
)

// lossReasons are the reasons after which a destination can miss the content of a segment.
var lossReasons = []string{reasonMaxBytes, reasonMinFree, reasonDiskFull, reasonMissing}

// settleTime is how long a file system may need to free the space of a deleted file. Until then it reports too little free
// space, and acting on that would delete segment after segment.
const settleTime = 10 * time.Second

// idle counts the oldest segments that no destination needs, not even after a power loss: those that every durable position
// has passed. Without positions no segment is needed, but the newest closed one is still kept.
func idle(segments []*segment, positions []Position) int {
	closed := countUntil(segments, func(s *segment) bool { return !s.closed.Load() })
	if len(positions) == 0 {
		return max(closed-1, 0)
	}
	return countUntil(segments[:closed], func(s *segment) bool {
		return slices.ContainsFunc(positions, func(p Position) bool { return !s.passed(p) })
	})
}

// countUntil counts the segments before the first one for which stop is true.
func countUntil(segments []*segment, stop func(*segment) bool) int {
	if i := slices.IndexFunc(segments, stop); i >= 0 {
		return i
	}
	return len(segments)
}

// keepBounds deletes segments that no destination needs, then segments that exceed the bounds. Only Run calls it.
func (w *WAL) keepBounds() {
	w.retainMu.Lock()
	w.deleteIdle()
	w.retainMu.Unlock()
	w.makeRoomFor(0)
	if now := time.Now(); !now.Before(w.settled) && w.makeRoomOnDisk() > 0 {
		w.settled = now.Add(settleTime)
	}
}

// makeRoomFor deletes segments until group bytes more are within MaxBytes, or only the one being written is left.
func (w *WAL) makeRoomFor(group int64) {
	if w.size()+group <= w.opts.MaxBytes {
		return
	}
	w.retainMu.Lock()
	defer w.retainMu.Unlock()
	w.deleteIdle()
	for w.size()+group > w.opts.MaxBytes && w.deleteOldest(reasonMaxBytes, nil) > 0 {
	}
}

// makeRoomOnDisk deletes segments until MinFreeBytes are free, and returns how many bytes that should have freed. If only the
// segment being written is left, it opens a new one so that this one can be deleted.
func (w *WAL) makeRoomOnDisk() (freed int64) {
	if w.opts.MinFreeBytes < 0 {
		return 0
	}
	volume, err := w.disk.Space(w.opts.Dir)
	w.noteChange(&w.freeTroubled, "measurement of free disk space", err)
	w.noteFree(volume, err)
	lacking := w.opts.MinFreeBytes - volume.free
	if err != nil || lacking <= 0 {
		return 0
	}
	freed = w.deleteBytes(lacking)
	if freed < lacking && w.rotateEarly() {
		freed += w.deleteBytes(lacking - freed)
	}
	return freed
}

// deleteBytes deletes the oldest segments until n bytes are freed, and returns how many bytes were freed.
func (w *WAL) deleteBytes(n int64) (freed int64) {
	w.retainMu.Lock()
	defer w.retainMu.Unlock()
	for freed < n {
		size := w.deleteOldest(reasonMinFree, nil)
		if size == 0 {
			break
		}
		freed += size
	}
	return freed
}

// rotateEarly closes a segment that is not full, if it is worth deleting.
func (w *WAL) rotateEarly() bool {
	w.appendMu.Lock()
	defer w.appendMu.Unlock()
	s := w.active
	if s == nil || s.fresh+s.repeated < w.opts.SegmentBytes/8 {
		return false
	}
	if _, err := w.openLocked(); err != nil {
		return false
	}
	w.retireLocked(s)
	return true
}

// makeRoomAfterFull runs after the disk was found to be full. It deletes idle segments, or the oldest one if none is idle. It
// does not delete spare: this segment was given up a moment ago, and its readers may acknowledge it soon.
func (w *WAL) makeRoomAfterFull(spare *segment) {
	w.retainMu.Lock()
	defer w.retainMu.Unlock()
	if w.deleteIdle() == 0 {
		w.deleteOldest(reasonDiskFull, spare)
	}
}

// deleteIdle deletes the segments that no destination needs, and returns their number.
func (w *WAL) deleteIdle() int {
	w.mu.Lock()
	positions := make([]Position, 0, len(w.destinations))
	for _, d := range w.destinations {
		positions = append(positions, d.saved.position)
	}
	n := idle(w.segments, positions)
	w.mu.Unlock()
	for range n {
		w.deleteOldest(reasonAcknowledged, nil)
	}
	return n
}

// deleteOldest deletes the oldest segment, unless it is being written or spare, and returns its size in bytes. The caller
// holds retainMu.
func (w *WAL) deleteOldest(reason string, spare *segment) int64 {
	w.mu.Lock()
	if len(w.segments) == 0 || w.segments[0] == spare || !w.segments[0].closed.Load() {
		w.mu.Unlock()
		return 0
	}
	s := w.segments[0]
	var waiting []string
	var samples uint64
	for _, d := range w.destinations {
		if n := s.waiting(d.position); n > 0 {
			waiting, samples = append(waiting, d.label), max(samples, n)
		}
	}
	w.mu.Unlock()

	if !w.remove(s, reason) {
		return 0
	}
	w.metrics.deleted.WithLabelValues(reason).Inc()
	fields := []zap.Field{zap.Uint64("segment", s.number), zap.Int64("bytes", s.disk), zap.String("reason", reason)}
	if reason == reasonAcknowledged {
		w.log.Debug("segment deleted", fields...)
		return s.disk
	}
	slices.Sort(waiting)
	w.log.Warn("segment deleted to make room", append(fields, zap.Uint64("samples", samples),
		zap.String("destinations", strings.Join(waiting, ", ")))...)
	return s.disk
}

// remove removes s from the log and from the disk; false if it is not in the log any more. The file is cut before it is
// unlinked: a reader that still has it open, because its destination is down, must not hold the space.
func (w *WAL) remove(s *segment, reason string) bool {
	w.mu.Lock()
	i := slices.Index(w.segments, s)
	if i < 0 {
		w.mu.Unlock()
		return false
	}
	w.segments = slices.Delete(w.segments, i, i+1)
	w.bytes -= s.disk
	if !s.missing && slices.Contains(lossReasons, reason) {
		w.noteGoneLocked(span{s.start, s.end.Load(), reason})
	}
	w.showLocked()
	w.mu.Unlock()

	s.gone.Store(true)
	var err error
	f, openErr := w.disk.Open(s.path, os.O_RDWR)
	if openErr == nil {
		err = errors.Join(f.Truncate(0), f.Close())
	}
	err = errors.Join(err, w.disk.Remove(s.path))
	w.unsyncedNames.Store(true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Warn("file of a deleted segment could not be removed", zap.Uint64("segment", s.number), zap.NamedError("err", err))
	}
	return true
}

// size returns the bytes that the segments use on disk.
func (w *WAL) size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

// showLocked updates the gauges.
func (w *WAL) showLocked() {
	w.metrics.segments.Set(float64(len(w.segments)))
	w.metrics.bytes.Set(float64(w.bytes))
	w.metrics.headSegment.Set(float64(w.head.Segment))
}
