package scrape

import (
	"time"
)

// A table is written in full with the first scrape of its target in a segment. If that record is
// damaged, all samples of the target up to the next segment are lost, which is hours in a small
// cluster. So the table is repeated after a minute, and again after parts were appended.
// Repetitions use a bounded share of the log.
const (
	repeatSoon  = time.Minute     // after the first record in a segment
	repeatLater = 5 * time.Minute // after a repetition, if parts were appended since
	repeatShare = 32              // one byte in so many of the log may belong to a repetition
	repeatSaved = 2 << 20         // bytes that unused shares add up to at most; about those of one segment
)

// written says which parts of a table are in a segment of the log.
type written struct {
	segment uint64    // 0 for none
	last    time.Time // when all of it was last written
	copies  int       // how often all of it was written
	parts   bool      // parts were appended since
}

// repeatNow decides whether all of the table is written again. One large table may use up the saved
// bytes; the others then wait.
func (w *written) repeatNow(now time.Time, saved int) bool {
	age := now.Sub(w.last)
	return saved > 0 && (w.copies == 1 && age >= repeatSoon || w.parts && age >= repeatLater)
}

// whole notes that all of the table was written.
func (w *written) whole(now time.Time) { w.last, w.copies, w.parts = now, w.copies+1, false }
