package scrape

import (
	"errors"
	"fmt"
	"time"

	"promrelay/record"
	"promrelay/scrape/order"
	"promrelay/wal"
)

// Log is where records go. *wal.WAL is one. Both methods may block on the disk. Neither keeps the
// frames.
type Log interface {
	// Segment returns the segment into which the next group of frames goes.
	Segment() uint64
	// Append writes a group of frames to the segment. If that is no longer the current one, it
	// returns *wal.RotatedError.
	Append(segment uint64, group ...wal.Frame) (wal.Position, error)
}

// writer writes scrapes to the log, one after the other.
type writer struct {
	guard   *order.Guard
	log     Log
	metrics *metrics
	clock   *clock

	table, scrape []byte // memory for records; guarded by the guard's lock
	saved         int    // bytes that repeated tables may use; guarded by the guard's lock
}

// maxKept bounds the memory that a writer keeps from one scrape to the next, in bytes.
const maxKept = 1 << 20

// commit drops the samples of s that are not newer than the last one of their series, and appends
// the others to the log, after the parts of the table that are missing in the segment. After an
// error the samples are lost.
func (w *writer) commit(t *table, s *record.Scrape) error {
	w.guard.Lock()
	defer w.guard.Unlock()
	if limit := w.clock.limit(); s.Time > limit { // the clock went back since
		w.guard.ForgetExemplarsLocked(t.slots, limit)
		w.metrics.dropped.WithLabelValues(dropClock).Add(float64(s.Samples()))
		return nil
	}
	late, behind := w.guard.FilterLocked(t.slots, s, w.clock.isBehind(s.Time))
	if late+behind > 0 {
		w.metrics.dropped.WithLabelValues(dropLate).Add(float64(late))
		w.metrics.dropped.WithLabelValues(dropClock).Add(float64(behind))
	}
	samples := s.Samples()
	if samples == 0 && len(s.Irregular) == 0 {
		return nil
	}
	for {
		err := w.append(t, s, samples)
		if rotated := (*wal.RotatedError)(nil); errors.As(err, &rotated) {
			continue
		}
		if err != nil {
			t.written = written{} // the next record has all of the table
			w.metrics.dropped.WithLabelValues(dropLog).Add(float64(samples))
			return fmt.Errorf("append to the log: %w", err)
		}
		w.metrics.samples.Add(float64(samples))
		return nil
	}
}

// append writes one group of frames: the table's, then the scrape.
func (w *writer) append(t *table, s *record.Scrape, samples int) error {
	segment := w.log.Segment()
	var group [3]wal.Frame
	before := t.written
	t.written = written{} // until the log has the records
	frames, next, repeated := w.tableFrames(group[:0], t, s, before, segment)
	w.scrape = record.AppendScrape(w.scrape[:0], t.rows, s)
	frames = append(frames, wal.Frame{Type: record.FrameScrape, Count: uint32(samples), Payload: w.scrape})
	_, err := w.log.Append(segment, frames...)
	if err == nil {
		t.written = next
		w.saved = min(w.saved+(len(w.table)+len(w.scrape))/repeatShare, repeatSaved) - repeated
	}
	if cap(w.table) > maxKept {
		w.table = nil
	}
	if cap(w.scrape) > maxKept {
		w.scrape = nil
	}
	return err
}

// tableFrames adds the parts of the table that are missing in the segment, and all of the table if
// a repetition is due. Next is what the segment has after that. Repeated is how many of these bytes
// it had already.
func (w *writer) tableFrames(frames []wal.Frame, t *table, s *record.Scrape, before written, segment uint64) (out []wal.Frame, next written, repeated int) {
	now := time.Now()
	next = before
	w.table = w.table[:0]
	if before.segment != segment {
		next = written{segment: segment}
		next.whole(now)
		w.table = t.rows.AppendFull(w.table, s.Values, s.Present)
		return append(frames, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.table}), next, 0
	}
	part := 0
	if t.rows.Dirty() {
		next.parts = true
		w.table = t.rows.AppendDelta(w.table)
		part = len(w.table)
	}
	if next.repeatNow(now, w.saved) {
		next.whole(now)
		w.table = t.rows.AppendRepeat(w.table)
		repeated = len(w.table) - part
	}
	for _, b := range [...][]byte{w.table[:part], w.table[part:]} {
		if len(b) > 0 {
			frames = append(frames, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: b})
		}
	}
	return frames, next, repeated
}
