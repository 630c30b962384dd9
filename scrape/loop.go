package scrape

import (
	"context"
	"sync"
	"time"

	"promrelay/targets"
)

// tolerance is how late a scrape may begin and still bear its planned timestamp, as in
// prometheus/scrape. Timestamps at even distances compress better.
const tolerance = 2 * time.Millisecond

// loop decides when a target is scraped, and when its series end.
type loop struct {
	scraper
	after  <-chan struct{}    // closed when the loop that had the table before is done with it; nil for none
	done   chan struct{}      // closed by finish, when no more scrapes follow; staleness markers may still follow
	finish func()             // may be called more than once
	stop   context.CancelFunc // nil until the loop runs; guarded by the pool's mu
}

// newLoop returns the loop of t, which waits for after before it uses the table.
func newLoop(s *shared, t *targets.Target, tab *table, after <-chan struct{}) *loop {
	l := &loop{scraper: scraper{shared: s, table: tab, status: Status{Health: HealthUnknown}}, after: after, done: make(chan struct{})}
	l.finish = sync.OnceFunc(func() { close(l.done) })
	l.setTarget(t)
	return l
}

// ended returns a channel that is closed when the loop is done with its table, nil if it never ran.
// The caller holds the pool's mu.
func (l *loop) ended() <-chan struct{} {
	if l.stop == nil {
		return nil
	}
	return l.done
}

// run scrapes until ctx ends. Then it writes staleness markers, unless life has ended too or
// another loop took over the table.
func (l *loop) run(ctx, life context.Context) {
	if l.after != nil {
		<-l.after
	}
	interval := l.state().Target.Interval
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	l.scrapes(ctx, life, ticker)
	handedOver := l.closeClient()
	l.finish()
	if handedOver {
		return
	}
	defer l.table.close()
	if l.last.IsZero() {
		return
	}
	if at, ok := l.waitForOthers(life, ticker, interval); ok {
		l.endSeries(at)
	}
}

// waitForOthers waits for two to three intervals. If another loop scrapes the same series by then,
// the staleness markers have no effect. It returns the time of the markers: the end of the first
// interval. It returns false if life ended.
func (l *loop) waitForOthers(life context.Context, ticker *time.Ticker, interval time.Duration) (at time.Time, ok bool) {
	for _, wait := range []<-chan time.Time{ticker.C, ticker.C, nil} {
		if wait == nil {
			wait = time.After(interval / 10)
		}
		select {
		case <-life.Done():
			return at, false
		case <-wait:
		}
		if at.IsZero() {
			at, _ = l.shared.clock.now()
		}
	}
	return at, true
}

// scrapes runs a scrape at the target's place in each interval. A scrape that is under way goes on
// when ctx ends, and stops when life ends.
func (l *loop) scrapes(ctx, life context.Context, ticker *time.Ticker) {
	target, clock := l.state().Target, l.shared.clock
	interval := target.Interval
	select {
	case <-ctx.Done():
		return
	case <-time.After(l.shared.offset(target)):
	}
	ticker.Reset(interval)
	planned, planDistance := clock.now()
	for ctx.Err() == nil {
		at, distance := clock.now()
		if by := distance - planDistance; by.Abs() > tolerance { // the clock was set, the ticker goes on
			planned, planDistance = planned.Add(by), distance
		}
		if over := at.Sub(planned); over >= interval {
			planned = planned.Add(over.Truncate(interval))
		}
		l.shared.metrics.late.Observe(at.Sub(planned).Seconds())
		if at.Sub(planned) <= min(interval/100, tolerance) {
			at = planned
		}
		l.scrape(life, at)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// offset returns how long to wait for the target's place in its interval, which is pinned to the
// clock. It spreads the targets over the interval (Target.offset of prometheus/scrape).
func (s *shared) offset(t *targets.Target) time.Duration {
	now, _ := s.clock.now()
	return offset(now, t.Interval, t.Hash^s.offsetSeed)
}

func offset(now time.Time, interval time.Duration, hash uint64) time.Duration {
	next := int64(interval) - now.UnixNano()%int64(interval) + int64(hash%uint64(interval))
	if next > int64(interval) {
		next -= int64(interval)
	}
	return time.Duration(next)
}
