package relay

import (
	"sync"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
)

// idleReviews is how many reviews in a row must find shards idle before there are fewer.
const idleReviews = 15

// pace is how long a destination waits for some things. Tests have shorter times.
type pace struct {
	review   time.Duration // between reviews of the number of shards
	hold     time.Duration // the longest pause where a person must do something first
	metadata time.Duration // from the start to the first request with metadata
}

var defaultPace = pace{review: 2 * time.Second, hold: 25 * time.Second, metadata: 10 * time.Second}

// governor decides how many shards a destination has, and how fast a backlog is sent.
type governor struct {
	queue   promconfig.QueueConfig
	every   time.Duration // between reviews
	limiter *drainLimiter // nil: a backlog is sent as fast as the receiver accepts it

	// Only pump uses these.
	reviewed time.Time
	blocked  time.Duration // in which a request waited for its shard, since the last review
	idle     int           // reviews in a row in which fewer shards would have been enough

	mu      sync.Mutex // guards what follows
	shards  int
	busy    time.Duration // of the shards together, since the last review
	retried bool          // a request was retried since the last review, or the splitter was full
	rate    liveRate      // of the acknowledged position
	written liveRate      // of the head of the log
}

func newGovernor(q promconfig.QueueConfig, drainFactor float64, every time.Duration) *governor {
	return &governor{queue: q, every: every, limiter: newDrainLimiter(drainFactor)}
}

// start begins to measure a number of shards.
func (g *governor) start(now time.Time, shards int) {
	g.reviewed, g.blocked = now, 0
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shards = shards
}

// due reports whether it is time for a review.
func (g *governor) due(now time.Time) bool { return now.Sub(g.reviewed) >= g.every }

// waited counts time in which a request waited for its shard.
func (g *governor) waited(d time.Duration) { g.blocked += d }

// worked counts time in which a shard sent a request.
func (g *governor) worked(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy += d
}

// noteRetry records that the receiver does not keep up: more shards would not help.
func (g *governor) noteRetry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retried = true
}

// review returns how many shards there should be. Count is the running count of the acknowledged position, head that of the head of the
// log.
func (g *governor) review(now time.Time, count, head uint64) int {
	window, blocked := now.Sub(g.reviewed), g.blocked
	g.reviewed, g.blocked = now, 0
	g.mu.Lock()
	g.rate.observe(count, now)
	g.written.observe(head, now)
	shards, busy, retried := g.shards, g.busy, g.retried
	g.busy, g.retried = 0, false
	g.mu.Unlock()
	wanted := wantedShards(shards, g.queue.MinShards, g.queue.MaxShards, load{blocked, busy, window, retried})
	if wanted >= shards {
		g.idle = 0
		return wanted
	}
	if g.idle++; g.idle < idleReviews {
		return shards
	}
	g.idle = 0
	return wanted
}

// state returns how many shards there are, and how many samples a second are acknowledged and written to the log.
func (g *governor) state() (shards int, rate, written float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shards, g.rate.rate, g.written.rate
}

// load is what a review measures.
type load struct {
	blocked time.Duration // in which a request waited for its shard
	busy    time.Duration // of the shards together
	window  time.Duration // since the last review
	retried bool          // the receiver does not keep up
}

// wantedShards doubles the shards while requests wait for them more than half of the time, and halves them while they idle. It does
// not add shards for a receiver that fails.
func wantedShards(now, lower, upper int, l load) int {
	switch {
	case l.retried:
		return now
	case l.blocked > l.window/2:
		return min(2*now, upper)
	case l.busy < time.Duration(now)*l.window/5:
		return max(now/2, lower)
	}
	return now
}

// liveRate measures how fast a count grows.
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
