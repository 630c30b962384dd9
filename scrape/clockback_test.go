package scrape

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/value"

	"promrelay/scrape/order"
)

// TestClockGoesBackAndForth sets the clock back, and after some time right again. What must hold
// (see clock):
//   - back by up to order.MaxAhead, nothing is written until the clock is as late as before, and all is from then on: the pages of that time are dropped
//     with the reason clock, and each series goes on where it was;
//   - back by more, scraping goes on at once, without waiting for the old time;
//   - either way no sample is written twice or out of order, but those of a time before which all was forgotten.
func TestClockGoesBackAndForth(t *testing.T) {
	const interval = 15 * time.Second
	for name, c := range map[string]struct {
		back, stays time.Duration // then it is right again
		written     int           // scrapes while it is back
		steps       float64       // in each direction
	}{
		"by a second":                     {time.Second, 10 * interval, 10, 0}, // less than an interval: no scrape bears an old time
		"by two seconds":                  {2 * time.Second, 10 * interval, 10, 1},
		"by a minute":                     {time.Minute, 10 * interval, 6, 1},
		"by a minute, for less":           {time.Minute, 2 * interval, 0, 1},
		"by 10 minutes":                   {10 * time.Minute, 50 * interval, 10, 1},
		"by 10 minutes, for less":         {10 * time.Minute, 10 * interval, 0, 1},
		"by 11 minutes":                   {11 * time.Minute, 10 * interval, 10, 1},
		"by a day":                        {24 * time.Hour, 10 * interval, 10, 1},
		"by a day, for longer than a day": {24 * time.Hour, 24*60*4*interval + 20*interval, 24*60*4 + 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			withClock(t, interval, func(t *testing.T, x *clocked) {
				const after = 8
				x.sleep(8 * interval)
				set := x.wall()
				x.set(-c.back)
				scrapes := testutil.ToFloat64(x.metrics.scrapes.WithLabelValues("up"))
				samples := testutil.ToFloat64(x.metrics.samples)
				x.sleep(c.stays)
				scrapes = testutil.ToFloat64(x.metrics.scrapes.WithLabelValues("up")) - scrapes
				samples = testutil.ToFloat64(x.metrics.samples) - samples
				const perScrape = 7 // m, n and five report series
				written := int(samples) / perScrape / 2
				if off := written - c.written; off < -1 || off > 1 || int(samples)%perScrape != 0 {
					t.Errorf("%v samples are written while the clock is back, want those of about %d scrapes of each target", samples, c.written)
				}
				if got := x.dropped(dropClock); got != scrapes*perScrape-samples {
					t.Errorf("%v samples are dropped for the clock, of %v in %v scrapes of which %v are written", got, scrapes*perScrape, scrapes, samples)
				}
				forgotten := c.back > order.MaxAhead
				x.set(0)
				right := x.wall()
				x.sleep(after * interval)
				for _, series := range []string{"m@a:1", "n@b:1", "up@a:1", "scrape_duration_seconds@b:1"} {
					if n := len(x.log.between(series, right, right.Add(after*interval))); n < after-1 {
						t.Errorf("%s: %d samples after the clock is right, want about %d", series, n, after)
					}
					for _, p := range x.log.points[series] {
						if value.IsStaleNaN(p.v) {
							t.Errorf("%s ends at %s, though the target gives it", series, time.UnixMilli(p.ms))
						}
					}
				}
				inOrder(t, x.log, forgotten, set)
				for _, reason := range []string{dropRepeated, dropLate, dropTwice, dropFuture, dropLog} {
					if n := x.dropped(reason); n > 0 {
						t.Errorf("%v samples are dropped as %s", n, reason)
					}
				}
				for _, direction := range []string{clockBack, clockAhead} {
					if got := testutil.ToFloat64(x.metrics.clockSteps.WithLabelValues(direction)); got != c.steps {
						t.Errorf("%v steps %s, want %v", got, direction, c.steps)
					}
				}
			})
		})
	}
}

// inOrder requires that every series goes on in time. If all was forgotten, it may go back once,
// from a time before set.
func inOrder(t *testing.T, l *readLog, forgotten bool, set time.Time) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, ps := range l.points {
		back := 0
		for i := 1; i < len(ps); i++ {
			if ps[i].ms > ps[i-1].ms {
				continue
			}
			if back++; !forgotten || back > 1 || ps[i-1].ms > set.UnixMilli() {
				t.Errorf("%s: a sample of %s after one of %s", name, time.UnixMilli(ps[i].ms), time.UnixMilli(ps[i-1].ms))
			}
		}
		if forgotten && back != 1 {
			t.Errorf("%s goes back %d times, want once", name, back)
		}
	}
}
