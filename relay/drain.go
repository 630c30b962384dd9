package relay

import (
	"context"
	"time"
)

const (
	// leastFactor is the least speed at which a backlog is sent, as a multiple of the speed of new samples: the backlog must shrink.
	leastFactor = 1.5
	// drainBurst is how much of the log, in its own time, is sent without a limit. So the backlog of a short outage is sent at once.
	drainBurst = 10 * time.Second
	// longestGap is the longest time between two scrapes in the log that costs credit. In a longer gap there were no scrapes to send.
	longestGap = 2 * time.Minute
)

// drainLimiter bounds how fast a backlog is sent: factor times as fast as it was written, by the timestamps of its scrapes. So the
// limit does not depend on the number of samples per second, which is unknown after a start.
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

// wait returns when more scrapes may follow the scrape with this timestamp, or when ctx ends.
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
