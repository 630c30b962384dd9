package scrape

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"

	"promrelay/targets"
)

// Health is whether the last scrape of a target went well.
type Health string

// The healths, in the words of Prometheus's API.
const (
	HealthUnknown Health = "unknown"
	HealthUp      Health = "up"
	HealthDown    Health = "down"
)

// Status is what is known of a target.
type Status struct {
	Target     *targets.Target
	Health     Health
	Error      string // of the last scrape
	LastScrape time.Time
	Duration   time.Duration
	Samples    int // on the last page, after relabelling
	Series     int // that the target feeds now
	Bytes      int // of the last page, decompressed
}

// tolerance is how late a scrape may begin and still bear the timestamp that was planned, as in
// prometheus/scrape; stamps at even distances compress better.
const tolerance = 2 * time.Millisecond

// maxAhead is how far in the future the timestamp of a sample may lie.
const maxAhead = 10 * time.Minute

// loop scrapes one target. Its table outlives it where the job is reloaded and series stay what they are.
type loop struct {
	pool    *Pool
	table   *table
	after   <-chan struct{} // closed when the loop that had the table before is done with it, nil for none
	done    chan struct{}   // closed when no more scrapes follow; staleness markers may
	stop    context.CancelFunc
	expects int       // bytes of a page
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
	l.setTarget(t)
	return l
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

func (l *loop) state() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	s.Target = l.target
	return s
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
	close(l.done)
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

var pages = sync.Pool{New: func() any { return new(page) }}

// scrape fetches the page once and commits what it gave, with the timestamp at.
func (l *loop) scrape(ctx context.Context, at time.Time) {
	target, set, client, err := l.prepare()
	start := time.Now()
	l.last = start
	p := pages.Get().(*page)
	defer pages.Put(p)
	p.reset(l.table, set, at.UnixMilli())
	p.behind = l.pool.clock.isBehind(p.out.Time)
	if at.After(l.stamp) || l.stamp.Sub(at) > maxAhead {
		l.stamp = at
	}

	size := 0
	if err == nil {
		size, err = l.page(ctx, p, target, client)
	}
	if ctx.Err() != nil {
		return // the relay stops; nothing is known of the target
	}
	p.conclude(err == nil && size > 0, err != nil)
	duration := time.Since(start)
	up := 0.0
	if err == nil {
		up = 1
	}
	p.report(reports(target.Job.Config), false, up, duration.Seconds(), float64(p.total), float64(p.added), float64(p.seriesAdded),
		target.Timeout.Seconds(), float64(set.sampleLimit), float64(size))
	l.commit(p)
	if err != nil {
		l.pool.failures.add(target, err, l.pool.logger)
	}
	l.account(p, start, duration, size, err)
}

// page fetches the page and reads it into p. The size is in bytes, decompressed, -1 if it went beyond the limit.
func (l *loop) page(ctx context.Context, p *page, t *targets.Target, c *client) (size int, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	buf, contentType, err := fetch(ctx, c.Client, t, l.expects)
	if buf != nil {
		defer putBuffer(buf)
	}
	switch {
	case errors.Is(err, errBodySizeLimit):
		return -1, err
	case err != nil:
		return 0, err
	}
	if size = len(buf) - headroom - 1; size > 0 {
		l.expects = size
		p.maxTime = l.pool.clock.limit()
		err = p.read(buf, contentType)
	}
	return size, err
}

// conclude ends the reading of the page: what is gone gets its staleness markers. Whole tells that the page was read
// to its end; with failed, its samples are dropped.
func (p *page) conclude(whole, failed bool) {
	if failed {
		p.discard()
	}
	p.markGone()
	p.t.pageDone(p, whole)
}

// markGone writes staleness markers for the series that the page before held and this one does not.
func (p *page) markGone() {
	stale := math.Float64frombits(value.StaleNaN)
	for w, was := range p.t.previous {
		gone := was &^ p.t.current[w]
		for row := uint32(w * 64); gone != 0; row, gone = row+1, gone>>1 {
			switch {
			case gone&1 == 0:
			case p.out.Time > p.t.guard.last(p.t.slots[row]):
				p.put(row, p.out.Time, 0, stale)
			case p.behind:
				p.t.current.Set(int(row)) // a page to come writes its marker
			}
		}
	}
}

// report puts the first n report series into the record. With stale, they end.
func (p *page) report(n int, stale bool, values ...float64) {
	p.bySlot = nil
	for i := range n {
		row := p.t.report[i]
		if row == noRow {
			var err error
			p.lset = p.set.reportLabels(i)
			if row, err = p.rowFor(p.out.Time, 0); err != nil {
				if errors.Is(err, errClock) {
					p.clocked++
				}
				continue // another target gives this series
			}
			p.t.report[i] = row
		}
		p.t.describeReport(row, i)
		if p.out.Time <= p.t.guard.last(p.t.slots[row]) {
			if p.behind && !stale {
				p.clocked++
			}
			continue
		}
		v := math.Float64frombits(value.StaleNaN)
		if !stale {
			v = values[i]
		}
		p.put(row, p.out.Time, 0, v)
	}
}

func (t *table) describeReport(row uint32, i int) {
	if t.reportEntries[i] == 0 {
		s := t.rows.Symbols()
		r := reportSeries[i]
		t.reportEntries[i] = t.rows.Metadata(model.MetricTypeGauge, s.Intern([]byte(r.name)), s.Intern([]byte(r.help)), s.Intern([]byte(r.unit)))
	}
	t.rows.SetMeta(row, t.reportEntries[i])
}

func (l *loop) commit(p *page) {
	p.widen()
	if err := l.pool.writer.commit(l.table, &p.out); err != nil {
		l.pool.logState(err)
	}
	l.table.sweep()
}

// end writes the staleness markers of all series. Where the clock went back, they come right after the last samples.
func (l *loop) end(at time.Time) {
	if ahead := l.stamp.Sub(at); ahead >= 0 && ahead <= maxAhead {
		at = l.stamp.Add(time.Millisecond)
	}
	p := pages.Get().(*page)
	defer pages.Put(p)
	p.reset(l.table, l.set, at.UnixMilli())
	p.conclude(false, false)
	p.report(reports(l.target.Job.Config), true)
	l.commit(p)
}

// account tells metrics and pages how the scrape went.
func (l *loop) account(p *page, start time.Time, duration time.Duration, size int, err error) {
	m := l.pool.metrics
	health := HealthUp
	text := ""
	if err != nil {
		health, text = HealthDown, strings.ToValidUTF8(l.target.ShownError(err), "?")
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
	case errors.Is(err, errSampleLimit):
		return "sample_limit"
	case errors.Is(err, errBucketLimit):
		return "native_histogram_bucket_limit"
	case errors.Is(err, errBodySizeLimit):
		return "body_size_limit"
	case errors.As(err, &label):
		return "label_limit"
	case errors.As(err, &target):
		return "target_limit"
	}
	return ""
}
