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

// scraper scrapes one target, when its loop tells it to. The table may be handed over to another
// loop. One goroutine calls scrape and endSeries; the others may be called at any time.
type scraper struct {
	shared   *shared
	table    *table
	expected int64     // bytes of memory that the last scrape held
	last     time.Time // when the last scrape began, zero if none did
	newest   time.Time // the latest timestamp of a scrape

	mu         sync.Mutex // guards what follows
	target     *targets.Target
	set        *settings
	client     *client // nil until a scrape needs it
	forced     error   // makes each scrape fail
	handedOver bool    // another loop goes on with the table
	status     Status  // without Target and Added
	churn      churn
}

// setTarget makes the loop scrape t, which has the labels and the URL of the target before it.
func (s *scraper) setTarget(t *targets.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.target == nil || s.target.Job != t.Job {
		s.shared.clients.put(s.client)
		s.set, s.client = newSettings(t), nil
	}
	s.target = t
}

// setForced makes each scrape fail with err. Nil ends that.
func (s *scraper) setForced(err error) {
	s.mu.Lock()
	s.forced = err
	s.mu.Unlock()
}

// handOver leaves the table to another loop, so that this one writes no staleness markers when it
// ends.
func (s *scraper) handOver() {
	s.mu.Lock()
	s.handedOver = true
	s.mu.Unlock()
}

// closeClient gives back the client, after the last scrape. It returns whether the table was handed
// over.
func (s *scraper) closeClient() (handedOver bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared.clients.put(s.client)
	return s.handedOver
}

func (s *scraper) state() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Target = s.target
	status.Added = s.churn.sum(time.Now())
	return status
}

// prepare returns what a scrape needs. If the client cannot be made, for example because a file is
// missing, the next scrape tries again.
func (s *scraper) prepare() (*targets.Target, *settings, *client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.forced
	if err == nil {
		err = s.shared.checkToken(s.target)
	}
	if s.client == nil && err == nil {
		s.client, err = s.shared.clients.get(s.target.Job.Config.HTTPClientConfig, s.target.Labels.Get(targets.UnixSocketLabel))
	}
	return s.target, s.set, s.client, err
}

var pages = sync.Pool{New: func() any { return new(page) }}

// scrape fetches the page once and commits its samples, with the timestamp at. A panic fails this
// scrape alone. After a panic outside the reading of the page, the table may be half changed, so
// the target's series start from an empty table.
func (s *scraper) scrape(ctx context.Context, at time.Time) {
	s.table.inUse.Lock()
	defer s.table.inUse.Unlock()
	start := time.Now()
	if err := caught(func() error { s.attempt(ctx, at); return nil }); err != nil {
		s.reportPanic(err)
		s.table.renew()
		s.account(new(page), start, time.Since(start), 0, err)
	}
}

// reportPanic counts and logs err if it is a panic, and returns whether it is.
func (s *scraper) reportPanic(err error) (is bool) {
	var p *panicError
	if is = errors.As(err, &p); is {
		s.shared.panics.report(p, zap.String("target", s.state().Target.URL))
	}
	return is
}

func (s *scraper) attempt(ctx context.Context, at time.Time) {
	target, set, client, err := s.prepare()
	start := time.Now()
	s.last = start
	p := pages.Get().(*page)
	p.reset(s.table, set, at.UnixMilli())
	p.behind = s.shared.clock.isBehind(p.out.Time)
	if at.After(s.newest) || s.newest.Sub(at) > order.MaxAhead {
		s.newest = at
	}

	size := 0
	if err == nil {
		err = caught(func() (err error) {
			size, err = s.fetchPage(ctx, p, target, client)
			return err
		})
	}
	if ctx.Err() != nil {
		return // the relay stops; nothing is known of the target
	}
	panicked := s.reportPanic(err)
	if errors.As(err, new(fullError)) {
		p.forgetNew()
	}
	if err != nil {
		for i := range reports(target.Job.Config) {
			_, _ = p.reportRow(i) // report returns the same error
		}
	}
	p.conclude(err == nil && size > 0, err != nil)
	duration := time.Since(start)
	s.report(p, target, duration, size, err == nil)
	if full := s.commit(p); err == nil && errors.Is(full, wal.ErrTooLarge) {
		err = fmt.Errorf("what the target gives is too large for the log: %w", full)
		s.table.renew()
		p.reset(s.table, set, at.UnixMilli()+1)
		s.report(p, target, duration, size, false)
		_ = s.commit(p)
	}
	if err != nil {
		s.shared.failures.add(target, err, s.shared.logger)
	}
	s.account(p, start, duration, size, err)
	if !panicked {
		pages.Put(p)
	}
}

// report puts the report series into the record.
func (s *scraper) report(p *page, target *targets.Target, duration time.Duration, size int, isUp bool) {
	up := 0.0
	if isUp {
		up = 1
	}
	p.report(reports(target.Job.Config), false, up, duration.Seconds(), float64(p.total), float64(p.added), float64(p.seriesAdded),
		target.Timeout.Seconds(), float64(p.set.sampleLimit), float64(size))
}

// fetchPage fetches the page and reads it into p while it arrives. The size is in bytes,
// decompressed, -1 if it is beyond the limit.
func (s *scraper) fetchPage(ctx context.Context, p *page, t *targets.Target, c *client) (size int, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	limits := s.shared.limits.Load()
	memory := allowance{of: limits.memory}
	defer memory.release()
	if err := memory.atLeast(ctx, max(s.expected, windowBytes+p.memory())); err != nil {
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
	win.maxLine = limits.line()
	largest := int64(0)
	win.check = func(n int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.fits(); err != nil {
			return err
		}
		largest = max(largest, int64(n)+p.memory())
		return memory.atLeast(ctx, largest)
	}
	p.maxTime, p.t.maxBytes = s.shared.clock.limit(), limits.table()
	if _, err = win.fill(headroom); err == nil && win.size > 0 {
		err = p.read(win, body.contentType)
	}
	win.drain()
	s.expected = largest
	if win.err != nil {
		p.undo()
		if errors.As(win.err, new(bodySizeError)) {
			return -1, win.err
		}
		return 0, explain(win.err, t, win.size)
	}
	return int(win.size), err
}

// commit writes the samples of p to the log, and returns why they could not be written.
func (s *scraper) commit(p *page) error {
	p.widen()
	err := s.shared.writer.commit(s.table, &p.out)
	if err != nil {
		s.shared.commitFailed(err)
	}
	s.table.sweep()
	return err
}

// account counts the scrape, and sets the target's status to its result.
func (s *scraper) account(p *page, start time.Time, duration time.Duration, size int, err error) {
	m := s.shared.metrics
	health := HealthUp
	text, help := "", ""
	if err != nil {
		help = advice(s.state().Target, err)
		health, text = HealthDown, cut(strings.ToValidUTF8(s.state().Target.ShownError(err), "?"), shownError)
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
	added := p.seriesAdded
	if !s.table.filled {
		added = 0
	}
	s.table.filled = s.table.filled || err == nil
	s.mu.Lock()
	s.churn.add(added, start)
	s.status = Status{
		Health: health, Error: text, Advice: help, LastScrape: start, Duration: duration,
		Samples: p.added, Series: s.table.live, Bytes: max(size, 0), Page: p.total,
		Repeated: p.outOfOrder + p.repeated + p.duplicates, Future: p.outOfBounds, DroppedBy: s.table.droppedMost(),
	}
	target := s.target
	s.mu.Unlock()
	s.shared.progress.scrape()
	if unauthorized(err) && s.shared.unauthorized != nil {
		s.shared.unauthorized(target)
	}
}

// endSeries writes the staleness markers of all series. If the clock went back, the markers have
// the time directly after the last samples.
func (s *scraper) endSeries(at time.Time) {
	if ahead := s.newest.Sub(at); ahead >= 0 && ahead <= order.MaxAhead {
		at = s.newest.Add(time.Millisecond)
	}
	s.table.inUse.Lock()
	defer s.table.inUse.Unlock()
	p := pages.Get().(*page)
	defer pages.Put(p)
	p.reset(s.table, s.set, at.UnixMilli())
	p.conclude(false, false)
	p.report(reports(s.target.Job.Config), true)
	_ = s.commit(p)
}
