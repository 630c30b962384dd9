package relay

import (
	"context"
	"time"
)

const (
	// leastFactor is the least factor by which a backlog is sent faster than samples come: it must shrink.
	leastFactor = 1.5
	// drainBurst is how much of the log, in its own time, is sent without a limit. So a short outage is caught up at once.
	drainBurst = 10 * time.Second
	// longestGap is the time between two scrapes in the log from which on it counts as time without scrapes, which costs nothing.
	longestGap = 2 * time.Minute
)

// drainLimiter bounds how fast a backlog is sent: factor times as fast as it was written, by the timestamps of its scrapes. So
// the limit needs no knowledge of how many samples come in a second, which nobody has after a start.
type drainLimiter struct {
	factor float64

	newest int64         // timestamp of the newest scrape that was read, milliseconds since the epoch, 0 for none
	credit time.Duration // of the log's time
	at     time.Time     // when credit was counted last
}

// newDrainLimiter returns nil, for no limit, where factor is 0.
func newDrainLimiter(factor float64) *drainLimiter {
	if factor == 0 {
		return nil
	}
	return &drainLimiter{factor: max(factor, leastFactor), credit: drainBurst}
}

// wait returns when a scrape of the log with this timestamp may be followed by others, or ctx ends.
func (l *drainLimiter) wait(ctx context.Context, scrape int64) {
	if pause := l.pause(scrape, time.Now()); pause > 0 {
		sleep(ctx, pause)
	}
}

func (l *drainLimiter) pause(scrape int64, now time.Time) time.Duration {
	if !l.at.IsZero() {
		l.credit += time.Duration(l.factor * float64(now.Sub(l.at)))
	}
	l.at = now
	gap := time.Duration(scrape-l.newest) * time.Millisecond
	if l.newest != 0 && gap > 0 && gap < longestGap {
		l.credit -= gap
	}
	if l.newest == 0 || gap > -longestGap { // else the clock was ahead
		l.newest = max(l.newest, scrape)
	} else {
		l.newest = scrape
	}
	l.credit = min(l.credit, drainBurst)
	return time.Duration(float64(-l.credit) / l.factor)
}
