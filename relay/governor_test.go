package relay

import (
	"testing"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
)

func TestWantedShards(t *testing.T) {
	const window = 10 * time.Second
	tests := map[string]struct {
		now           int
		blocked, busy time.Duration
		retried       bool
		want          int
	}{
		"requests wait":  {now: 2, blocked: 6 * time.Second, busy: 20 * time.Second, want: 4},
		"at the most":    {now: 8, blocked: 6 * time.Second, busy: 80 * time.Second, want: 8},
		"idle":           {now: 4, busy: 3 * time.Second, want: 2},
		"at the least":   {now: 1, want: 1},
		"just right":     {now: 4, blocked: time.Second, busy: 30 * time.Second, want: 4},
		"receiver fails": {now: 2, blocked: 10 * time.Second, busy: 20 * time.Second, retried: true, want: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := wantedShards(tt.now, 1, 8, load{tt.blocked, tt.busy, window, tt.retried}); got != tt.want {
				t.Errorf("%d shards, want %d", got, tt.want)
			}
		})
	}
}

func TestLiveRate(t *testing.T) {
	now := time.Now()
	var l liveRate
	l.observe(5000, now)
	if l.rate != 0 {
		t.Errorf("%v before anything can be known", l.rate)
	}
	for range 3 {
		now = now.Add(2 * time.Second)
		l.observe(l.count+200, now)
		if l.rate != 100 {
			t.Errorf("%v, want 100", l.rate)
		}
	}
	if l.observe(l.count+200, now); l.rate != 100 {
		t.Errorf("%v after no time", l.rate)
	}
	for range 100 {
		now = now.Add(2 * time.Second)
		l.observe(l.count+400, now)
	}
	if l.rate < 199 || l.rate > 200 {
		t.Errorf("%v, want nearly 200", l.rate)
	}
}

// TestGovernorReview: shards grow at one review, and shrink after many in a row that find them idle.
func TestGovernorReview(t *testing.T) {
	now := time.Now()
	g := newGovernor(promconfig.QueueConfig{MinShards: 1, MaxShards: 8}, 0, 2*time.Second)
	if g.limiter != nil {
		t.Error("a factor of 0 limits a backlog")
	}
	g.start(now, 2)
	review := func(blocked, busy time.Duration) int {
		g.waited(blocked)
		g.worked(busy)
		if now = now.Add(2*time.Second - 1); g.due(now) {
			t.Error("a review is due too early")
		}
		if now = now.Add(1); !g.due(now) {
			t.Error("no review is due")
		}
		return g.review(now, 0, 0)
	}
	if got := review(1500*time.Millisecond, 4*time.Second); got != 4 {
		t.Errorf("%d shards where requests wait, want 4", got)
	}
	if got := review(0, 4*time.Second); got != 2 {
		t.Errorf("%d shards; what requests waited before counts again", got)
	}
	g.noteRetry()
	if got := review(1500*time.Millisecond, 4*time.Second); got != 2 {
		t.Errorf("%d shards where the receiver fails, want 2", got)
	}
	for range 2 {
		for i := range idleReviews - 1 {
			if got := review(0, 0); got != 2 {
				t.Errorf("%d shards after %d idle reviews", got, i+1)
			}
		}
		review(0, 4*time.Second) // busy: the count starts again
	}
	for range idleReviews - 1 {
		review(0, 0)
	}
	if got := review(0, 0); got != 1 {
		t.Errorf("%d shards after %d idle reviews, want 1", got, idleReviews)
	}
}

// TestGovernorRate: the rate is that of the acknowledged position, whatever the number of shards.
func TestGovernorRate(t *testing.T) {
	now := time.Now()
	g := newGovernor(promconfig.QueueConfig{MinShards: 1, MaxShards: 1}, 0, 2*time.Second)
	for i := range uint64(5) {
		g.start(now, int(i)+1)
		now = now.Add(2 * time.Second)
		g.review(now, i*300, i*300)
	}
	if shards, rate, written := g.state(); shards != 5 || rate != 150 || written != 150 {
		t.Errorf("%d shards, %v samples a second; want 5 and 150", shards, rate)
	}
}
