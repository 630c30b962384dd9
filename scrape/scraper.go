package scrape

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"promrelay/scrape/order"
	"promrelay/targets"
	"promrelay/wal"
)

var pages = sync.Pool{New: func() any { return new(page) }}

// scrape fetches the page once and commits what it gave, with the timestamp at. A panic costs this scrape; where it came while the
// scrape was written, the target's series begin anew.
func (l *loop) scrape(ctx context.Context, at time.Time) {
	start := time.Now()
	if err := caught(func() error { l.attempt(ctx, at); return nil }); err != nil {
		l.panicked(err)
		l.table.renew()
		l.account(new(page), start, time.Since(start), 0, err)
	}
}

// panicked tells of err if it is a panic.
func (l *loop) panicked(err error) (is bool) {
	var p *panicError
	if is = errors.As(err, &p); is {
		l.pool.panics.tell(p, zap.String("target", l.state().Target.URL))
	}
	return is
}

func (l *loop) attempt(ctx context.Context, at time.Time) {
	target, set, client, err := l.prepare()
	start := time.Now()
	l.last = start
	p := pages.Get().(*page)
	p.reset(l.table, set, at.UnixMilli())
	p.behind = l.pool.clock.isBehind(p.out.Time)
	if at.After(l.stamp) || l.stamp.Sub(at) > order.MaxAhead {
		l.stamp = at
	}

	size := 0
	if err == nil {
		err = caught(func() (err error) {
			size, err = l.page(ctx, p, target, client)
			return err
		})
	}
	if ctx.Err() != nil {
		return // the relay stops; nothing is known of the target
	}
	panicked := l.panicked(err)
	if errors.As(err, new(fullError)) {
		p.forgetNew()
	}
	if err != nil {
		for i := range reports(target.Job.Config) {
			_, _ = p.reportRow(i) // says the same again
		}
	}
	p.conclude(err == nil && size > 0, err != nil)
	duration := time.Since(start)
	l.report(p, target, duration, size, err == nil)
	if full := l.commit(p); err == nil && errors.Is(full, wal.ErrTooLarge) {
		err = fmt.Errorf("what the target gives is too large for the log: %w", full)
		l.table.renew()
		p.reset(l.table, set, at.UnixMilli()+1)
		l.report(p, target, duration, size, false)
		_ = l.commit(p)
	}
	if err != nil {
		l.pool.failures.add(target, err, l.pool.logger)
	}
	l.account(p, start, duration, size, err)
	if !panicked {
		pages.Put(p)
	}
}

// report puts the report series into the record.
func (l *loop) report(p *page, target *targets.Target, duration time.Duration, size int, isUp bool) {
	up := 0.0
	if isUp {
		up = 1
	}
	p.report(reports(target.Job.Config), false, up, duration.Seconds(), float64(p.total), float64(p.added), float64(p.seriesAdded),
		target.Timeout.Seconds(), float64(p.set.sampleLimit), float64(size))
}

// page fetches the page and reads it into p, while it comes. The size is in bytes, decompressed, -1 if it went beyond the limit.
func (l *loop) page(ctx context.Context, p *page, t *targets.Target, c *client) (size int, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	limits := l.pool.limits.Load()
	memory := lease{of: limits.memory}
	defer memory.release()
	if err := memory.atLeast(ctx, max(l.expects, windowBytes+p.held())); err != nil {
		return 0, err
	}
	body, err := fetch(ctx, c.Client, t)
	if err != nil {
		return 0, explain(err, t, -1)
	}
	defer body.close()
	win := newWindow(body)
	defer win.free()
	win.limit, win.limitKey = limits.body(t.Job)
	win.longest = limits.line()
	most := int64(0)
	win.hold = func(n int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.fits(); err != nil {
			return err
		}
		most = max(most, int64(n)+p.held())
		return memory.atLeast(ctx, most)
	}
	p.maxTime, p.t.most = l.pool.clock.limit(), limits.table()
	if _, err = win.fill(headroom); err == nil && win.size > 0 {
		err = p.read(win, body.contentType)
	}
	win.drain()
	l.expects = most
	if win.err != nil {
		p.undo()
		if errors.As(win.err, new(bodySizeError)) {
			return -1, win.err
		}
		return 0, explain(win.err, t, win.size)
	}
	return int(win.size), err
}

// commit writes what p holds, and returns why it could not be.
func (l *loop) commit(p *page) error {
	p.widen()
	err := l.pool.writer.commit(l.table, &p.out)
	if err != nil {
		l.pool.logState(err)
	}
	l.table.sweep()
	return err
}

// account tells metrics and pages how the scrape went.
func (l *loop) account(p *page, start time.Time, duration time.Duration, size int, err error) {
	m := l.pool.metrics
	health := HealthUp
	text := ""
	if err != nil {
		health, text = HealthDown, cut(strings.ToValidUTF8(l.target.ShownError(err), "?"), shownError)
	}
	m.scrapes.WithLabelValues(string(health)).Inc()
	m.duration.Observe(time.Since(start).Seconds())
	m.bytes.Add(float64(max(size, 0)))
	m.walkedLines.Add(float64(p.walked))
	m.parsedLines.Add(float64(p.total - p.walked))
	m.dropped.WithLabelValues(dropLate).Add(float64(p.outOfOrder))
	m.dropped.WithLabelValues(dropRepeated).Add(float64(p.repeated))
	m.dropped.WithLabelValues(dropTwice).Add(float64(p.duplicates))
	m.dropped.WithLabelValues(dropFuture).Add(float64(p.outOfBounds))
	m.dropped.WithLabelValues(dropClock).Add(float64(p.clocked))
	if name := limitName(err); name != "" {
		m.limited.WithLabelValues(name).Inc()
	}
	l.mu.Lock()
	l.status = Status{
		Health: health, Error: text, LastScrape: start, Duration: duration,
		Samples: p.added, Series: l.table.live, Bytes: max(size, 0),
	}
	target := l.target
	l.mu.Unlock()
	if unauthorized(err) && l.pool.unauthorized != nil {
		l.pool.unauthorized(target)
	}
}

func limitName(err error) string {
	var label labelLimitError
	var target targetLimitError
	switch {
	case errors.As(err, new(sampleLimitError)):
		return "sample_limit"
	case errors.As(err, new(bucketLimitError)):
		return "native_histogram_bucket_limit"
	case errors.As(err, new(bodySizeError)):
		return "body_size_limit"
	case errors.As(err, new(sizeError)), errors.As(err, new(countError)), errors.As(err, new(ruleError)):
		return "size"
	case errors.As(err, new(memoryError)):
		return "memory_limit"
	case errors.As(err, &label):
		return "label_limit"
	case errors.As(err, &target):
		return "target_limit"
	}
	return ""
}

// setTarget makes the loop scrape t, the labels and URL of which are those that it has.
func (l *loop) setTarget(t *targets.Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.target == nil || l.target.Job != t.Job {
		l.pool.clients.put(l.client)
		l.set, l.client = newSettings(t), nil
	}
	l.target = t
}

// prepare returns what a scrape needs. Where the client cannot be made, for a file that is missing say, the
// next scrape tries again.
func (l *loop) prepare() (*targets.Target, *settings, *client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.forced
	if err == nil {
		err = l.pool.checkToken(l.target)
	}
	if l.client == nil && err == nil {
		l.client, err = l.pool.clients.get(l.target.Job.Config.HTTPClientConfig, l.target.Labels.Get(targets.UnixSocketLabel))
	}
	return l.target, l.set, l.client, err
}

func (l *loop) setForced(err error) {
	l.mu.Lock()
	l.forced = err
	l.mu.Unlock()
}

func (l *loop) state() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	s.Target = l.target
	return s
}

// end writes the staleness markers of all series. Where the clock went back, they come right after the last samples.
func (l *loop) end(at time.Time) {
	if ahead := l.stamp.Sub(at); ahead >= 0 && ahead <= order.MaxAhead {
		at = l.stamp.Add(time.Millisecond)
	}
	p := pages.Get().(*page)
	defer pages.Put(p)
	p.reset(l.table, l.set, at.UnixMilli())
	p.conclude(false, false)
	p.report(reports(l.target.Job.Config), true)
	_ = l.commit(p)
}
