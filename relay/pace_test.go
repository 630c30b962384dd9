package relay

import (
	"context"
	"testing"
	"testing/synctest"
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
			if got := wantedShards(tt.now, 1, 8, tt.blocked, tt.busy, window, tt.retried); got != tt.want {
				t.Errorf("%d shards, want %d", got, tt.want)
			}
		})
	}
}

// drained is how long it takes to send a log of scrapes so far apart.
func drained(ctx context.Context, p *drainPace, scrapes int, apart time.Duration) time.Duration {
	start, at := time.Now(), int64(1_000_000)
	for range scrapes {
		p.wait(ctx, at)
		at += apart.Milliseconds()
	}
	return time.Since(start)
}

func TestDrainPace(t *testing.T) {
	tests := map[string]struct {
		factor  float64
		scrapes int
		apart   time.Duration
		want    time.Duration
	}{
		"an hour thrice as fast":            {3, 361, 10 * time.Second, (time.Hour - drainBurst) / 3},
		"an hour by small steps":            {3, 36001, 100 * time.Millisecond, (time.Hour - drainBurst) / 3},
		"never slower than the least":       {1, 361, 10 * time.Second, (time.Hour - drainBurst) * 2 / 3},
		"no slower for a factor below 1":    {0.01, 361, 10 * time.Second, (time.Hour - drainBurst) * 2 / 3},
		"a factor between":                  {2.5, 361, 10 * time.Second, time.Duration(float64(time.Hour-drainBurst) / 2.5)},
		"a short outage at once":            {3, 11, time.Second, 0},
		"what is longer than the burst":     {3, 14, time.Second, time.Second},
		"a gap is no time in which it grew": {3, 2, 24 * time.Hour, 0},
		"a gap as long as it counts":        {3, 2, longestGap - time.Millisecond, (longestGap - drainBurst) / 3},
		"many gaps":                         {2, 4, 24 * time.Hour, 0},
		"one scrape":                        {3, 1, 0, 0},
		"many targets at the same time":     {3, 1000, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := drained(t.Context(), newDrainPace(tt.factor), tt.scrapes, tt.apart)
				if d := got - tt.want; d < -time.Millisecond || d > time.Millisecond {
					t.Errorf("%s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestDrainPaceOrder: targets' scrapes lie in the log nearly in order; those that go back cost nothing.
func TestDrainPaceOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := newDrainPace(3), time.Now()
		for at := range int64(60) {
			for _, off := range []int64{0, -900, 500, -30_000} {
				p.wait(t.Context(), 1_000_000+at*1000+off)
			}
		}
		want := (59500*time.Millisecond - drainBurst) / 3
		if got := time.Since(start); got < want-time.Millisecond || got > want+time.Millisecond {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestDrainPaceFollowsLive: what comes as fast as it is scraped never waits, and after any time of that a short outage is made up for at once.
func TestDrainPaceFollowsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDrainPace(1)
		for range 1000 {
			start := time.Now()
			if p.wait(t.Context(), start.UnixMilli()); time.Since(start) > 0 {
				t.Fatalf("live data waits %s", time.Since(start))
			}
			time.Sleep(time.Second)
		}
		if p.credit < drainBurst-time.Second {
			t.Errorf("a credit of %s", p.credit)
		}
		time.Sleep(time.Hour) // nothing is scraped, and no credit comes of it
		if p.pause(time.Now().UnixMilli(), time.Now()); p.credit > drainBurst {
			t.Errorf("a credit of %s", p.credit)
		}
	})
}

// TestDrainPaceRestart: a start with a backlog drains it in its share of time, however long ago it is.
func TestDrainPaceRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDrainPace(3)
		start := time.Now()
		at := start.Add(-20 * time.Second)
		for !at.After(time.Now()) { // a scrape a second, of which more come meanwhile
			p.wait(t.Context(), at.UnixMilli())
			at = at.Add(time.Second)
		}
		if got := time.Since(start); got > 15*time.Second {
			t.Errorf("an outage of 20s is made up for after %s", got)
		}
	})
}

func TestDrainPaceOff(t *testing.T) {
	if newDrainPace(0) != nil {
		t.Error("0 does not switch it off")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p, start := newDrainPace(2), time.Now()
		p.wait(ctx, 1)
		p.wait(ctx, 100_000)
		if got := time.Since(start); got != time.Second {
			t.Errorf("it ended %s after it began", got)
		}
	})
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
