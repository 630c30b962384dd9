package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// drained is how long it takes to send a log of scrapes so far apart.
func drained(ctx context.Context, p *drainLimiter, scrapes int, apart time.Duration) time.Duration {
	start, at := time.Now(), int64(1_000_000)
	for range scrapes {
		p.wait(ctx, at)
		at += apart.Milliseconds()
	}
	return time.Since(start)
}

func TestDrain(t *testing.T) {
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
				got := drained(t.Context(), newDrainLimiter(tt.factor), tt.scrapes, tt.apart)
				if d := got - tt.want; d < -time.Millisecond || d > time.Millisecond {
					t.Errorf("%s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestDrainOrder: targets' scrapes lie in the log nearly in order; those that go back cost nothing.
func TestDrainOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, start := newDrainLimiter(3), time.Now()
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

// TestDrainFollowsLive: samples that come as fast as they are scraped never wait. The backlog of a short outage is then sent at once.
func TestDrainFollowsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDrainLimiter(1)
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

// TestDrainRestart: a start with a backlog drains it in its share of time, however long ago it is.
func TestDrainRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newDrainLimiter(3)
		start := time.Now()
		at := start.Add(-20 * time.Second)
		for !at.After(time.Now()) { // a scrape a second; more of them come meanwhile
			p.wait(t.Context(), at.UnixMilli())
			at = at.Add(time.Second)
		}
		if got := time.Since(start); got > 15*time.Second {
			t.Errorf("an outage of 20s is made up for after %s", got)
		}
	})
}

func TestDrainOff(t *testing.T) {
	if newDrainLimiter(0) != nil {
		t.Error("0 does not switch it off")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p, start := newDrainLimiter(2), time.Now()
		p.wait(ctx, 1)
		p.wait(ctx, 100_000)
		if got := time.Since(start); got != time.Second {
			t.Errorf("it ended %s after it began", got)
		}
	})
}
