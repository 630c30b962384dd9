package wal

import (
	"slices"

	"go.uber.org/zap"
)

// span is a part of the running count.
type span struct {
	from, to uint64
	reason   string // why the segment that held it was deleted; empty for a gap that a reader found
}

// overlap returns how much of the running count two spans share.
func (s span) overlap(o span) uint64 { return gap(max(s.from, o.from), min(s.to, o.to)) }

// The content of a deleted segment is not lost yet: a destination may have read it and acknowledge it later. It is lost for a
// destination whose reader found the gap, once the destination acknowledges a position behind the gap. So WAL.gone holds the
// spans of deleted segments until every destination is past them, and Destination.skipped holds the gaps that readers found.

// Skipped reports a gap that the destination's reader found: Start and Lost of an Entry. Another reader may report it again.
// The part of the gap that was in deleted segments counts as lost when the destination acknowledges a position behind it.
func (d *Destination) Skipped(start Position, lost uint64) {
	found := span{from: start.Count - min(lost, start.Count), to: start.Count}
	d.wal.mu.Lock()
	defer d.wal.mu.Unlock()
	if found.from >= found.to || found.to <= d.position.Count {
		return
	}
	d.skipped = slices.DeleteFunc(d.skipped, func(s span) bool {
		if s.to < found.from || found.to < s.from {
			return false
		}
		found.from, found.to = min(s.from, found.from), max(s.to, found.to)
		return true
	})
	d.skipped = append(d.skipped, found)
}

// settleLocked counts the losses of d before its position. The caller holds mu.
func (w *WAL) settleLocked(d *Destination) {
	d.skipped = slices.DeleteFunc(d.skipped, func(s span) bool {
		if s.to > d.position.Count {
			return false
		}
		w.countLostLocked(d, s)
		return true
	})
}

// countLostLocked counts the part of s that was in deleted segments as lost by d. The caller holds mu.
func (w *WAL) countLostLocked(d *Destination, s span) {
	for _, g := range w.gone {
		if n := g.overlap(s); n > 0 {
			w.metrics.lost.WithLabelValues(d.label, g.reason).Add(float64(n))
		}
	}
}

// noteMissing records that the file of the closed segment s was removed. A reader that has it open may read on.
func (w *WAL) noteMissing(s *segment) {
	w.mu.Lock()
	first := !s.missing && slices.Contains(w.segments, s)
	if first {
		s.missing = true
		w.noteGoneLocked(span{s.start, s.end.Load(), reasonMissing})
	}
	w.mu.Unlock()
	if first {
		w.log.Warn("segment is missing", zap.Uint64("segment", s.number))
	}
}

// noteGoneLocked records that the span g is no longer in the log. The caller holds mu.
func (w *WAL) noteGoneLocked(g span) {
	if g.from >= g.to {
		return
	}
	w.gone = slices.DeleteFunc(w.gone, func(old span) bool {
		for _, d := range w.destinations {
			if d.position.Count < old.to {
				return false
			}
		}
		return true
	})
	if n := len(w.gone); n > 0 && w.gone[n-1].reason == g.reason && w.gone[n-1].to == g.from {
		w.gone[n-1].to = g.to
		return
	}
	w.gone = append(w.gone, g)
}
