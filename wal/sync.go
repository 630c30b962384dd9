package wal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Sync makes durable everything that was appended and acknowledged before the call. Appends go on meanwhile.
func (w *WAL) Sync() error {
	return errors.Join(w.sync())
}

// sync saves positions after the segments, so that a power loss rarely leaves a position without its segment.
func (w *WAL) sync() (syncErr, saveErr error) {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.released {
		return nil, nil
	}
	w.forgetFiles()
	acknowledged := w.unsavedPositions()
	syncErr = errors.Join(w.syncSegments(), w.syncNames())
	return syncErr, w.savePositions(acknowledged)
}

func (w *WAL) syncSegments() error {
	w.mu.Lock()
	dirty := slices.Clone(w.dirty)
	w.mu.Unlock()
	var errs []error
	for _, s := range dirty {
		if err := w.syncSegment(s); err != nil {
			errs = append(errs, fmt.Errorf("sync segment %d: %w", s.number, err))
		}
	}
	return errors.Join(errs...)
}

// syncSegment syncs s if it has grown, and closes the writer's file if it will not grow again. A failure is final:
// the kernel may have dropped the data that it could not write, and report no error the next time. So the segment is given
// up. Its data stays readable as long as the page cache keeps it.
func (w *WAL) syncSegment(s *segment) error {
	final := s.closed.Load()
	size := s.size.Load()
	if s.gone.Load() {
		return w.closeFile(s)
	}
	if !final && size == s.synced.Load() {
		return nil
	}
	if s.file == nil { // found by recovery: the process before this one may not have synced it
		f, err := w.disk.Open(s.path, os.O_RDONLY)
		if err != nil && s.gone.Load() {
			return w.closeFile(s)
		}
		if err != nil {
			return errors.Join(err, w.closeFile(s))
		}
		s.file = f
	}
	start := time.Now()
	err := s.file.Sync()
	w.metrics.fsyncSeconds.Observe(time.Since(start).Seconds())
	if err != nil {
		w.metrics.fsyncFailures.Inc()
		w.appendMu.Lock()
		if w.active == s {
			w.giveUpLocked(s, err)
		}
		w.appendMu.Unlock()
		return errors.Join(err, w.closeFile(s))
	}
	s.synced.Store(size)
	if !final {
		return nil
	}
	s.file.Forget(0, 0)
	return w.closeFile(s)
}

// closeFile closes the writer's file of s. It needs no more sync.
func (w *WAL) closeFile(s *segment) error {
	w.mu.Lock()
	w.dirty = slices.DeleteFunc(w.dirty, func(d *segment) bool { return d == s })
	w.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// syncNames makes deletions durable. They are not urgent: a file that comes back is deleted again.
func (w *WAL) syncNames() error {
	if !w.unsyncedNames.Swap(false) {
		return nil
	}
	return syncDir(w.disk, w.opts.Dir)
}
