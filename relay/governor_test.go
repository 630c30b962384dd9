package relay

import (
	"testing"
	"time"
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
