package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"go.uber.org/zap"
)

// Ready returns nil while appends work and the next process will find them. Otherwise it returns the reason.
func (w *WAL) Ready() error {
	if w.closed.Load() {
		return ErrClosed
	}
	if err := w.unready.Load(); err != nil {
		return fmt.Errorf("append to the write-ahead log: %w", *err)
	}
	return nil
}

// setReady sets why appends do not work, nil if they do. The caller holds appendMu.
func (w *WAL) setReady(err error) {
	if err == nil {
		w.unready.Store(nil)
		return
	}
	w.unready.Store(&err)
}

// renew makes the directory again if somebody removed it.
func (w *WAL) renew() error {
	made, err := w.lock.Renew()
	if made {
		w.metrics.renewed.Inc()
		w.log.Error("directory was removed, or part of it, and is made again; what was in it is lost but for what is in memory", zap.String("dir", w.opts.Dir))
		w.unsavedFiles.Store(true)
	}
	return err
}

// keepDirectory renews the directory, and opens a new segment if there is none or its file was removed: frames in a removed
// file are lost when this process ends. While the directory cannot be made again, appends still go to the removed file: that
// is better than nothing. Only Run calls it.
func (w *WAL) keepDirectory() {
	err := w.renew()
	w.noteChange(&w.dirTroubled, "check of the directory", err)
	w.appendMu.Lock()
	s := w.active
	w.appendMu.Unlock()
	there := err == nil && s != nil && w.exists(s.path)

	w.appendMu.Lock()
	defer w.appendMu.Unlock()
	switch {
	case w.active != s || w.closed.Load(): // there is another segment by now, or the log is closed
	case err != nil:
		w.setReady(err)
	case there:
		w.setReady(nil)
	case isFull(w.troubled): // each attempt costs a segment, so only Append makes attempts
	default:
		w.replaceActiveLocked(s)
	}
}

// replaceActiveLocked opens a segment in place of the active segment s, whose file was removed, or of nil.
func (w *WAL) replaceActiveLocked(s *segment) {
	if _, err := w.openLocked(); err != nil {
		w.setReady(err)
		return
	}
	if s != nil {
		w.log.Error("segment being written was removed", zap.Uint64("segment", s.number))
		s.finish(w.Head().Count)
		w.wakeReaders()
	}
}

// exists returns false only if the file certainly does not exist.
func (w *WAL) exists(path string) bool {
	f, err := w.disk.Open(path, os.O_RDONLY)
	if err == nil {
		_ = f.Close() // it was not used
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// forgetFiles makes the next save of each position write a new file, after the directory was removed. The caller holds
// syncMu.
func (w *WAL) forgetFiles() {
	if !w.unsavedFiles.Swap(false) {
		return
	}
	w.mu.Lock()
	destinations := slices.Collect(maps.Values(w.destinations))
	for _, d := range destinations {
		d.saved = mark{}
	}
	w.mu.Unlock()
	for _, d := range destinations {
		_ = d.closeFile() // the file has no name any more
	}
}
