package relay

import (
	"context"
	"time"
)

const (
	// leastFactor is the least that a backlog is sent faster than samples come: it must shrink.
	leastFactor = 1.5
	// drainBurst is how much of the log, in its own time, is sent without a limit: it makes up for a short outage at once.
	drainBurst = 10 * time.Second
	// longestGap is a time between two scrapes in the log from which on it does not count: nothing was scraped in it.
	longestGap = 2 * time.Minute
	// idleReviews is how many reviews in a row must find shards idle before there are fewer.
	idleReviews = 15
)

// pace is how often a destination does what is not due to samples.
type pace struct {
	review time.Duration // how many shards it needs
	hold   time.Duration // the longest pause where a person must do something first
	tell   time.Duration // the first request with metadata, from the start on
}

var usualPace = pace{review: 2 * time.Second, hold: 25 * time.Second, tell: 10 * time.Second}

// review decides how many shards there should be.
func (d *destination) review(now time.Time) (shards int) {
	window := now.Sub(d.reviewed)
	d.taken.observe(d.mark.Position().Count, now)
	d.mu.Lock()
	d.state.Rate = d.taken.rate
	busy, retried := d.busy, d.retry || d.triage.full.Swap(false)
	d.busy, d.retry = 0, false
	d.mu.Unlock()
	blocked := d.blocked
	d.reviewed, d.blocked = now, 0
	d.tell.flush(now)
	d.triage.prune(now)
	q := d.cfg.QueueConfig
	shards = wantedShards(len(d.shards), q.MinShards, q.MaxShards, blocked, busy, window, retried)
	if shards >= len(d.shards) {
		d.idle = 0
		return shards
	}
	if d.idle++; d.idle < idleReviews {
		return len(d.shards)
	}
	d.idle = 0
	return shards
}

// wantedShards doubles the shards while requests wait for them most of the time, and halves them while they idle. A
// receiver that fails does not get more.
func wantedShards(now, least, most int, blocked, busy, window time.Duration, retried bool) int {
	switch {
	case retried:
		return now
	case blocked > window/2:
		return min(2*now, most)
	case busy < time.Duration(now)*window/5:
		return max(now/2, least)
	}
	return now
}

// drainPace bounds how fast a backlog is sent: so many times as fast as it was written, by the timestamps of the scrapes in it.
// So the rate at which samples come need not be known, after a start above all.
type drainPace struct {
	factor float64

	newest int64         // timestamp of the newest scrape that was read, milliseconds since the epoch, 0 for none
	credit time.Duration // of the log's time
	at     time.Time     // when credit was counted last
}

func newDrainPace(factor float64) *drainPace {
	if factor == 0 {
		return nil
	}
	return &drainPace{factor: max(factor, leastFactor), credit: drainBurst}
}

// wait returns when a scrape of the log with this timestamp may be followed by others, or ctx ends.
func (p *drainPace) wait(ctx context.Context, scrape int64) {
	pause := p.pause(scrape, time.Now())
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (p *drainPace) pause(scrape int64, now time.Time) time.Duration {
	if !p.at.IsZero() {
		p.credit += time.Duration(p.factor * float64(now.Sub(p.at)))
	}
	p.at = now
	gap := time.Duration(scrape-p.newest) * time.Millisecond
	if p.newest != 0 && gap > 0 && gap < longestGap {
		p.credit -= gap
	}
	if p.newest == 0 || gap > -longestGap { // else the clock was ahead
		p.newest = max(p.newest, scrape)
	} else {
		p.newest = scrape
	}
	p.credit = min(p.credit, drainBurst)
	return time.Duration(float64(-p.credit) / p.factor)
}

// liveRate follows how fast a count grows.
type liveRate struct {
	rate  float64 // samples a second
	count uint64
	at    time.Time
}

func (l *liveRate) observe(count uint64, now time.Time) {
	if secs := now.Sub(l.at).Seconds(); !l.at.IsZero() && secs > 0 {
		r := float64(count-l.count) / secs
		if l.rate == 0 {
			l.rate = r
		}
		l.rate += 0.1 * (r - l.rate)
	}
	l.count, l.at = count, now
}
