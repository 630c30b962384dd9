package scrape

import (
	"context"
	"sync"
	"time"

	"promrelay/targets"
)

// tolerance is how late a scrape may begin and still bear the timestamp that was planned, as in
// prometheus/scrape; stamps at even distances compress better.
const tolerance = 2 * time.Millisecond

// loop scrapes one target. Its table outlives it where the job is reloaded and series stay what they are.
type loop struct {
	pool    *Pool
	table   *table
	after   <-chan struct{} // closed when the loop that had the table before is done with it, nil for none
	done    chan struct{}   // closed by finish when no more scrapes follow; staleness markers may
	finish  func()
	stop    context.CancelFunc
	expects int64     // bytes that its last scrape held
	last    time.Time // when the last scrape began
	stamp   time.Time // the latest timestamp of a scrape

	mu     sync.Mutex
	target *targets.Target
	set    *settings
	client *client // nil until a scrape needs it
	forced error   // makes each scrape fail
	keep   bool    // another loop goes on with the table
	status Status
}

func newLoop(p *Pool, t *targets.Target, tab *table) *loop {
	l := &loop{pool: p, table: tab, done: make(chan struct{}), status: Status{Health: HealthUnknown}}
	l.finish = sync.OnceFunc(func() { close(l.done) })
	l.setTarget(t)
	return l
}

// handOver keeps the loop from writing staleness markers when it ends.
func (l *loop) handOver() {
	l.mu.Lock()
	l.keep = true
	l.mu.Unlock()
}

// ends is closed when the loop is done with its table; nil if it never began. The caller holds the pool's mu.
func (l *loop) ends() <-chan struct{} {
	if l.stop == nil {
		return nil
	}
	return l.done
}

// run scrapes until ctx ends. Then, unless life has ended too or the table was handed over, it writes
// staleness markers, late enough that a loop which scrapes the same series since makes them void.
func (l *loop) run(ctx, life context.Context) {
	if l.after != nil {
		<-l.after
	}
	target := l.state().Target
	interval := target.Interval
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	l.scrapes(ctx, life, ticker, target)
	l.mu.Lock()
	l.pool.clients.put(l.client)
	keep := l.keep
	l.mu.Unlock()
	l.finish()
	if keep {
		return
	}
	defer l.table.close()
	if l.last.IsZero() {
		return
	}
	var at time.Time
	for _, wait := range []<-chan time.Time{ticker.C, ticker.C, nil} {
		if wait == nil {
			wait = time.After(interval / 10)
		}
		select {
		case <-life.Done():
			return
		case <-wait:
		}
		if at.IsZero() {
			at, _ = l.pool.clock.now()
		}
	}
	l.end(at)
}

func (l *loop) scrapes(ctx, life context.Context, ticker *time.Ticker, target *targets.Target) {
	interval := target.Interval
	select {
	case <-ctx.Done():
		return
	case <-time.After(l.pool.offset(target)):
	}
	ticker.Reset(interval)
	planned, planDistance := l.pool.clock.now()
	for ctx.Err() == nil {
		at, distance := l.pool.clock.now()
		if by := distance - planDistance; by.Abs() > tolerance { // the clock was set, the ticker goes on
			planned, planDistance = planned.Add(by), distance
		}
		if over := at.Sub(planned); over >= interval {
			planned = planned.Add(over.Truncate(interval))
		}
		l.pool.metrics.late.Observe(at.Sub(planned).Seconds())
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

// offset spreads the targets over the interval: a target has its place in it, pinned to the clock
// (Target.offset of prometheus/scrape).
func (p *Pool) offset(t *targets.Target) time.Duration {
	interval, hash := t.Interval, t.Hash^p.offsetSeed
	now, _ := p.clock.now()
	next := int64(interval) - now.UnixNano()%int64(interval) + int64(hash%uint64(interval))
	if next > int64(interval) {
		next -= int64(interval)
	}
	return time.Duration(next)
}
