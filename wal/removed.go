package wal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Keep removes every destination except ids. The caller no longer reads for a removed one. During Options.Grace its position
// and note remain: segments are kept for it, and Destination returns to it. After that it is forgotten: no segments are kept
// for it, and it is new if it comes again. The grace begins again with the Keep of the next process; Run ends it.
//
// Frames that were deleted before the removed destination had read them count as lost now, and its position moves behind them.
func (w *WAL) Keep(ids []string) error {
	if w.closed.Load() {
		return ErrClosed
	}
	kept := map[string]bool{}
	for _, id := range ids {
		kept[positionFileName(id)] = true
	}
	w.mu.Lock()
	var removed []*Destination
	for name, d := range w.destinations {
		if !kept[name] && d.forgetAt.IsZero() {
			removed = append(removed, d)
		}
	}
	slices.SortFunc(removed, func(a, b *Destination) int { return cmp.Compare(a.name, b.name) })
	waiting := make([]uint64, len(removed))
	for i, d := range removed {
		w.removeLocked(d)
		waiting[i] = d.waiting
	}
	w.mu.Unlock()

	for i, d := range removed {
		if waiting[i] > 0 {
			w.log.Warn("destination removed with samples waiting", zap.String("destination", d.label),
				zap.Uint64("samples", waiting[i]), zap.Duration("grace", max(w.opts.Grace, 0)))
		}
	}
	if w.opts.Grace < 0 {
		return w.forgetRemoved(time.Now())
	}
	return nil
}

// removeLocked starts the grace of d. The caller holds mu.
func (w *WAL) removeLocked(d *Destination) {
	if tail := w.tailLocked(); d.position.Before(tail) {
		w.countLostLocked(d, span{from: d.position.Count, to: tail.Count})
		d.position, d.skipped = tail, nil
		w.wakeRun()
	}
	d.waiting = gap(d.position.Count, w.head.Count)
	d.forgetAt = time.Now().Add(max(w.opts.Grace, 0))
}

// forgetRemoved forgets the destinations whose grace is over.
func (w *WAL) forgetRemoved(now time.Time) error {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.released {
		return ErrClosed
	}
	var forgotten []*Destination
	w.mu.Lock()
	for name, d := range w.destinations {
		if !d.forgetAt.IsZero() && !now.Before(d.forgetAt) {
			delete(w.destinations, name)
			forgotten = append(forgotten, d)
		}
	}
	w.mu.Unlock()
	if len(forgotten) == 0 {
		return nil
	}
	var errs []error
	for _, d := range forgotten {
		w.metrics.removed.Add(float64(d.waiting))
		w.log.Info("removed destination is forgotten", zap.String("destination", d.label), zap.Uint64("samples", d.waiting))
		errs = append(errs, d.remove())
	}
	errs = append(errs, syncDir(w.disk, w.positionsPath("")))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("forget destinations: %w", err)
	}
	return nil
}

// remove deletes the files of d.
func (d *Destination) remove() error {
	err := d.closeFile()
	d.wal.metrics.removeDestination(d.label)
	for _, name := range []string{d.extraName(), d.name} {
		if rmErr := d.wal.disk.Remove(d.wal.positionsPath(name)); !errors.Is(rmErr, os.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}
