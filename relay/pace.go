package relay

import (
	"time"

	"golang.org/x/time/rate"
)

// leastDrain is the rate in samples a second below which a backlog is not slowed down.
const leastDrain = 1000

// growAfter is how long requests stay small after the receiver found one too large.
const growAfter = 10 * time.Minute

// pace is how often a destination does what is not due to samples.
type pace struct {
	review time.Duration // how many shards it needs, how fast it may drain
	hold   time.Duration // an attempt where a person must do something first
	tell   time.Duration // the first request with metadata, from the start on
}

var usualPace = pace{review: 10 * time.Second, hold: 30 * time.Second, tell: 10 * time.Second}

// review decides how many shards there should be, and how fast a backlog is sent.
func (d *destination) review(now time.Time) (shards int) {
	window := now.Sub(d.reviewed)
	d.taken.observe(d.mark.Position().Count, now)
	d.mu.Lock()
	d.state.Rate = d.taken.rate
	busy, retried := d.busy, d.retry
	d.busy, d.retry = 0, false
	for h, until := range d.aside {
		if now.After(until) {
			delete(d.aside, h)
		}
	}
	d.mu.Unlock()
	blocked := d.blocked
	d.reviewed, d.blocked = now, 0
	d.live.observe(d.wal.Head().Count, now)
	if d.relay.DrainFactor > 0 {
		limit := max(leastDrain, d.relay.DrainFactor*d.live.rate)
		d.limiter.SetLimitAt(now, rate.Limit(limit))
		d.limiter.SetBurstAt(now, int(limit)+1)
	}
	if now.Sub(d.sized) >= growAfter {
		d.most, d.sized = min(2*d.most, d.cfg.QueueConfig.MaxSamplesPerSend), now
	}
	return wantedShards(len(d.shards), d.cfg.QueueConfig.MinShards, d.cfg.QueueConfig.MaxShards, blocked, busy, window, retried)
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
		l.rate += 0.2 * (r - l.rate)
	}
	l.count, l.at = count, now
}
