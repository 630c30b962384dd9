package scrape

import (
	"time"
)

// A table is written in full the first time that its target is written to a segment. Were that record damaged, all that
// the target gave until the next segment would be lost, which is hours in a small cluster. So it is written
// again soon, and once more where parts were appended since; these records are to cost little.
const (
	repeatSoon  = time.Minute     // after the first time in a segment
	repeatLater = 5 * time.Minute // after another time, where parts came since
	repeatShare = 32              // one byte in so many of the log may be of a repeated table
	repeatSaved = 2 << 20         // so many bytes are saved up for them at most; about what a segment has
)

// written is what of a table stands in a segment.
type written struct {
	segment uint64    // 0 for none
	last    time.Time // when all of it was written last
	copies  int       // how often all of it was written
	parts   bool      // parts came since
}

// repeatNow decides whether all of the table is written again. The saved bytes may be used up by one large table: the others
// then wait.
func (w *written) repeatNow(now time.Time, saved int) bool {
	age := now.Sub(w.last)
	return saved > 0 && (w.copies == 1 && age >= repeatSoon || w.parts && age >= repeatLater)
}

// whole takes note that all of the table was written.
func (w *written) whole(now time.Time) { w.last, w.copies, w.parts = now, w.copies+1, false }
