package relay

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

const (
	// maxBody is the size in bytes, before compression, at which a request is sent whatever its number of samples.
	maxBody = 1 << 20
	// asideTime is how long a series that the receiver does not take stays out of requests.
	asideTime = 10 * time.Minute
)

// destination sends the log to one receiver. Its goroutine run reads and puts requests together; a goroutine a shard
// sends them. Shards are chosen by the hash of the labels, so that the samples of one series go one after the other.
type destination struct {
	cfg     config.Destination
	relay   config.Relay
	log     *zap.Logger
	wal     *wal.WAL
	mark    *wal.Destination
	metrics *destinationMetrics
	client  *client
	pace    pace
	drain   <-chan struct{} // closed when the relay stops: nothing waits for more samples then

	// Of run alone.
	src      *source
	catalog  *catalog
	version  int
	most     int       // samples in a request
	sized    time.Time // when most was changed last
	shards   []*shard
	cursor   record.Cursor
	point    point
	odd      []record.Irregular
	limiter  *rate.Limiter
	families map[string]family // 1.0: what is to be told of metadata
	told     time.Time         // when it was told last
	live     liveRate          // of the log
	taken    liveRate          // of the acknowledged position
	blocked  time.Duration     // in which a request waited for its shard, since the last review
	reviewed time.Time

	mu    sync.Mutex
	read  wal.Position         // everything before it is in a request, or was sent
	aside map[uint32]time.Time // by hash of the labels: until when a series is left out
	state Status
	retry bool          // a request was retried since the last review
	busy  time.Duration // of the shards together, since the last review

	splitMinute time.Time
	splits      int // requests in it that looked for refused series

	hasAside atomic.Bool // aside was ever used
}

// shard is one line of requests.
type shard struct {
	batch batch
	queue chan *request
	from  []wal.Position // where the oldest samples lie of each request that is not finished, and of the batch; guarded by destination.mu
}

// event is what a shard cannot settle itself.
type event struct {
	outcome outcome
	err     error
}

// run sends until ctx ends.
func (d *destination) run(ctx context.Context) {
	d.src = newSource(d.src.feed, d.mark.Position())
	defer d.src.close()
	d.read = d.src.pos
	d.told = time.Now().Add(d.pace.tell - time.Duration(d.cfg.MetadataConfig.SendInterval))
	shards := d.cfg.QueueConfig.MinShards
	for ctx.Err() == nil {
		next := d.session(ctx, shards)
		if next.shards > 0 {
			shards = next.shards
		}
		switch next.outcome {
		case downgrade:
			d.log.Warn("send by remote write 1.0, since the destination does not take 2.0", zap.Error(next.err))
			d.setVersion(version1)
		case tooLarge:
			d.most, d.sized = max(d.most/2, 1), time.Now()
			d.log.Warn("send smaller requests, since the destination finds them too large", zap.Int("samples", d.most), zap.Error(next.err))
		default:
			continue
		}
		d.mu.Lock()
		d.read = d.mark.Position()
		d.mu.Unlock()
		d.src.seek(d.read)
		d.catalog.reset()
	}
}

func (d *destination) setVersion(v int) {
	d.version = v
	d.mu.Lock()
	d.state.Version = v
	d.mu.Unlock()
}

// ending is why a session ended.
type ending struct {
	event
	shards int // that the next one should have, 0 for no opinion
}

// session sends with a given number of shards, until something calls for a barrier: everything that was put together is
// then either delivered, or (after an event) forgotten and to be read again.
func (d *destination) session(ctx context.Context, shards int) ending {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan event, shards)
	var wg sync.WaitGroup
	lines := make([]*shard, shards)
	for i := range lines {
		lines[i] = &shard{batch: batch{version: d.version, symbols: &d.catalog.symbols}, queue: make(chan *request, 1)}
	}
	d.mu.Lock()
	d.shards = lines
	d.mu.Unlock()
	for _, s := range lines {
		wg.Go(func() { d.sender(ctx, s, events) })
	}
	d.metrics.shards.Set(float64(shards))
	d.reviewed, d.blocked = time.Now(), 0
	next := d.pump(ctx, events)
	if next.outcome == delivered && ctx.Err() == nil {
		next.event = d.barrier(ctx, events, &wg)
	}
	cancel()
	wg.Wait()
	return next
}

// barrier waits until all that was put together is delivered.
func (d *destination) barrier(ctx context.Context, events <-chan event, senders *sync.WaitGroup) event {
	if e := d.flushAll(ctx, events); e.outcome != delivered {
		return e
	}
	for _, s := range d.shards {
		close(s.queue)
	}
	done := make(chan struct{})
	go func() { senders.Wait(); close(done) }()
	select {
	case e := <-events:
		return e
	case <-done:
		return event{}
	}
}

// pump reads the log and hands requests to the shards.
func (d *destination) pump(ctx context.Context, events <-chan event) ending {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if now.Sub(d.reviewed) >= d.pace.review {
			if n := d.review(now); n != len(d.shards) {
				return ending{shards: n}
			}
		}
		if e := d.flushOld(ctx, events, now); e.outcome != delivered {
			return ending{event: e}
		}
		b, wake, err := d.src.next()
		if b != nil {
			if e := d.take(ctx, events, b); e.outcome != delivered {
				return ending{event: e}
			}
			if ctx.Err() != nil {
				return ending{}
			}
			continue
		}
		d.advance()
		wait := d.patience(now)
		if err != nil {
			d.log.Error("read on from the log", zap.Error(err))
			wait = time.Second
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ending{}
		case e := <-events:
			return ending{event: e}
		case <-wake:
		case <-timer.C:
		case <-d.draining():
		}
	}
}

// draining is closed while the relay stops and a batch waits for more samples.
func (d *destination) draining() <-chan struct{} {
	for _, s := range d.shards {
		if !s.batch.empty() {
			return d.drain
		}
	}
	return nil
}

func (d *destination) stopping() bool {
	select {
	case <-d.drain:
		return true
	default:
		return false
	}
}

// patience is how long the oldest batch may wait for more samples.
func (d *destination) patience(now time.Time) time.Duration {
	wait := d.pace.review
	for _, s := range d.shards {
		if !s.batch.empty() {
			wait = min(wait, s.batch.opened.Add(time.Duration(d.cfg.QueueConfig.BatchSendDeadline)).Sub(now))
		}
	}
	return max(wait, 0)
}

// take puts the samples of a block into requests.
func (d *destination) take(ctx context.Context, events <-chan event, b *block) event {
	if b.lost > 0 {
		d.mark.Skipped(b.start, b.gap)
		d.metrics.dropped.WithLabelValues(dropLost).Add(float64(b.lost))
		d.log.Error("samples are lost: damaged, or deleted before they were sent", zap.Uint64("samples", b.lost))
	}
	if b.table != nil {
		if b.start.Segment != d.read.Segment {
			if e := d.flushAll(ctx, events); e.outcome != delivered {
				return e
			}
			d.catalog.reset()
			d.families = nil
		}
		if e := d.encode(ctx, events, b); e.outcome != delivered {
			return e
		}
	}
	if ctx.Err() != nil {
		return event{}
	}
	d.mu.Lock()
	d.read = b.end
	d.mu.Unlock()
	if d.src.behind() && d.limiter != nil {
		d.advance()
		n := min(b.scrape.Samples(), d.limiter.Burst())
		if err := d.limiter.WaitN(ctx, n); err != nil {
			return event{}
		}
	}
	return event{}
}

// encode adds the rows of a block to the batches of their shards.
func (d *destination) encode(ctx context.Context, events <-chan event, b *block) event {
	v := d.catalog.of(b.table)
	rows := v.rows(b.table)
	s := &b.scrape
	d.odd = append(d.odd[:0], s.Irregular...)
	slices.SortStableFunc(d.odd, func(a, b record.Irregular) int { return cmp.Compare(a.Row, b.Row) })
	odd := d.odd
	oldest := d.oldest()
	d.cursor.Reset(rows)
	for row := 0; row < len(s.Values) && d.cursor.Next(); row++ {
		n := 0
		for n < len(odd) && int(odd[n].Row) == row {
			n++
		}
		if n == 0 && !s.Present.Has(row) {
			continue
		}
		d.collect(b, row, odd[:n], oldest)
		odd = odd[n:]
		p := &d.point
		if len(p.samples) == 0 && len(p.distinct) == 0 {
			continue
		}
		p.labels = d.catalog.series(v, rows, &d.cursor)
		count := len(p.samples) + len(p.distinct)
		if len(p.labels) == 0 {
			d.metrics.dropped.WithLabelValues(dropRelabel).Add(float64(count))
			continue
		}
		m := d.catalog.describe(v, b.table, row)
		p.typ, p.help, p.unit = m.typ, m.help, m.unit
		to := d.shards[0]
		if len(d.shards) > 1 || d.hasAside.Load() {
			h := d.catalog.rowHash(v, row, p.labels)
			if d.leftOut(h) {
				d.metrics.dropped.WithLabelValues(dropAside).Add(float64(count))
				continue
			}
			to = d.shards[h%uint32(len(d.shards))]
		}
		if to.batch.empty() {
			d.open(to, b)
		}
		to.batch.add(p)
		if to.batch.samples+to.batch.histograms >= d.most || len(to.batch.body) >= maxBody {
			if e := d.flush(ctx, events, to); e.outcome != delivered || ctx.Err() != nil {
				return e
			}
		}
	}
	return event{}
}

// oldest is the timestamp below which samples are not sent any more.
func (d *destination) oldest() int64 {
	if limit := time.Duration(d.cfg.QueueConfig.SampleAgeLimit); limit > 0 {
		return time.Now().Add(-limit).UnixMilli()
	}
	return math.MinInt64
}

// collect sets d.point to the samples of a row.
func (d *destination) collect(b *block, row int, odd []record.Irregular, oldest int64) {
	p, s := &d.point, &b.scrape
	p.samples, p.distinct, p.trailing = p.samples[:0], p.distinct[:0], p.trailing[:0]
	old := 0
	if s.Present.Has(row) {
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		start := b.table.Start(uint32(row))
		if isStale(s.Values[row]) {
			start = 0
		}
		if ms >= oldest {
			p.samples = append(p.samples, sample{s.Values[row], ms, start})
		} else {
			old++
		}
	}
	for _, e := range odd {
		switch {
		case e.Kind == record.Exemplar:
			if d.sends(d.cfg.Exemplars) {
				p.trailing = append(p.trailing, e)
			}
		case e.Time < oldest:
			old++
		case e.Kind == record.Sample:
			p.samples = append(p.samples, sample{e.Value, e.Time, e.Start})
		case d.sends(d.cfg.NativeHistograms):
			p.distinct = append(p.distinct, e)
		default:
			d.metrics.dropped.WithLabelValues(dropHistogram).Inc()
		}
	}
	if old > 0 {
		d.metrics.dropped.WithLabelValues(dropOld).Add(float64(old))
	}
}

// sends tells whether something is sent that the configuration may leave open.
func (d *destination) sends(configured *bool) bool {
	if configured != nil {
		return *configured
	}
	return d.version == version2
}

// open begins the batch of a shard with samples of b.
func (d *destination) open(s *shard, b *block) {
	s.batch.from, s.batch.opened = b.start, time.Now()
	d.mu.Lock()
	s.from = append(s.from, b.start)
	d.mu.Unlock()
}

// flush hands the batch of s to its sender, which may have to finish another request first.
func (d *destination) flush(ctx context.Context, events <-chan event, s *shard) event {
	if s.batch.empty() {
		return event{}
	}
	return d.enqueue(ctx, events, s, s.batch.seal())
}

func (d *destination) enqueue(ctx context.Context, events <-chan event, s *shard, r *request) event {
	select {
	case s.queue <- r:
		return event{}
	default:
	}
	start := time.Now()
	defer func() { d.blocked += time.Since(start) }()
	select {
	case s.queue <- r:
	case e := <-events:
		return e
	case <-ctx.Done():
	}
	return event{}
}

func (d *destination) flushAll(ctx context.Context, events <-chan event) event {
	for _, s := range d.shards {
		if e := d.flush(ctx, events, s); e.outcome != delivered {
			return e
		}
	}
	return event{}
}

// flushOld hands over the batches that have waited long enough, and tells of metadata when it is time to.
func (d *destination) flushOld(ctx context.Context, events <-chan event, now time.Time) event {
	deadline := time.Duration(d.cfg.QueueConfig.BatchSendDeadline)
	if d.stopping() {
		deadline = 0
	}
	for _, s := range d.shards {
		if !s.batch.empty() && now.Sub(s.batch.opened) >= deadline {
			if e := d.flush(ctx, events, s); e.outcome != delivered {
				return e
			}
		}
	}
	if d.version == version1 && d.cfg.MetadataConfig.Send && now.Sub(d.told) >= time.Duration(d.cfg.MetadataConfig.SendInterval) {
		d.told = now
		return d.tellMetadata(ctx, events)
	}
	return event{}
}

// advance acknowledges what was delivered.
func (d *destination) advance() {
	d.mu.Lock()
	if d.src != nil {
		at := d.read
		for _, s := range d.shards {
			if len(s.from) > 0 && s.from[0].Before(at) {
				at = s.from[0]
			}
		}
		d.mark.Acknowledge(at)
	}
	d.mu.Unlock()
}

func (d *destination) String() string { return fmt.Sprintf("destination %s", d.mark.Label()) }
