package scrape

import (
	"errors"
	"fmt"

	"promrelay/record"
	"promrelay/wal"
)

// Log is where records go: the WAL. Segment says in which segment the next group of frames would
// land; Append refuses a group for another one with *wal.RotatedError. Neither keeps the frames.
type Log interface {
	Segment() uint64
	Append(segment uint64, group ...wal.Frame) (wal.Position, error)
}

// writer brings what scrapes gave to the log, one after the other.
type writer struct {
	guard   *Guard
	log     Log
	metrics *metrics

	table, scrape []byte // memory for records; guarded by guard.mu
}

// maxKept bounds the memory that a writer keeps from one scrape to the next, in bytes.
const maxKept = 1 << 20

// commit drops the samples of s that are not newer than their series' last one, and appends the rest
// to the log, with what it needs of the table. After an error the samples are lost.
func (w *writer) commit(t *table, s *record.Scrape) error {
	w.guard.mu.Lock()
	defer w.guard.mu.Unlock()
	if late := w.guard.order(t.slots, s); late > 0 {
		w.metrics.dropped.WithLabelValues(dropLate).Add(float64(late))
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
			t.segment = 0 // the next record says all again
			w.metrics.dropped.WithLabelValues(dropLog).Add(float64(samples))
			return fmt.Errorf("append to the log: %w", err)
		}
		w.metrics.samples.Add(float64(samples))
		return nil
	}
}

func (w *writer) append(t *table, s *record.Scrape, samples int) error {
	segment := w.log.Segment()
	var group [2]wal.Frame
	frames := group[:0]
	switch {
	case t.segment != segment:
		w.table = t.rows.AppendFull(w.table[:0], s.Values, s.Present)
		frames = append(frames, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.table})
	case t.rows.Dirty():
		w.table = t.rows.AppendDelta(w.table[:0])
		frames = append(frames, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.table})
	}
	w.scrape = record.AppendScrape(w.scrape[:0], t.rows, s)
	frames = append(frames, wal.Frame{Type: record.FrameScrape, Count: uint32(samples), Payload: w.scrape})
	t.segment = 0
	_, err := w.log.Append(segment, frames...)
	if err == nil {
		t.segment = segment
	}
	if cap(w.table) > maxKept {
		w.table = nil
	}
	if cap(w.scrape) > maxKept {
		w.scrape = nil
	}
	return err
}

// order drops what is not newer than the last sample of its series, and returns how many that was. The
// caller holds mu.
func (g *Guard) order(slots []uint32, s *record.Scrape) (late int) {
	for row := range s.Values {
		if !s.Present.Has(row) {
			continue
		}
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		if last := &g.slot(slots[row]).last; ms > last.Load() {
			last.Store(ms)
		} else {
			s.Present.Clear(row)
			late++
		}
	}
	kept := s.Irregular[:0]
	for _, e := range s.Irregular {
		if e.Kind != record.Exemplar {
			last := &g.slot(slots[e.Row]).last
			if e.Time <= last.Load() {
				late++
				continue
			}
			last.Store(e.Time)
		}
		kept = append(kept, e)
	}
	s.Irregular = kept
	return late
}
