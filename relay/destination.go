package relay

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

// maxBody is the size in bytes, before compression, at which a request is sent whatever its number of samples.
const maxBody = 1 << 20

// destination sends the log to one receiver. Its goroutine run reads and puts requests together; a goroutine a shard
// sends them. Shards are chosen by the hash of the labels, so that the samples of one series go one after the other. Requests
// that are refused go to triage, metadata goes beside all of it.
type destination struct {
	cfg     config.Destination
	relay   config.Relay
	log     *zap.Logger
	wal     *wal.WAL
	mark    *wal.Destination
	metrics *destinationMetrics
	client  *client
	pace    pace
	begun   time.Time
	drain   <-chan struct{} // closed when the relay stops: nothing waits for more samples then
	dialect *dialect
	gate    *gate
	size    *size
	tell    *teller
	triage  *triage
	meta    *metadataLine
	beat    heartbeat

	// Of run alone.
	src          *source
	catalog      *catalog
	version      int // of the batches
	shards       []*shard
	cursor       record.Cursor
	point        point
	odd          []record.Irregular
	limiter      *drainPace        // nil: a backlog is sent as fast as it is taken
	families     map[string]family // 1.0: what is to be told of metadata
	told         time.Time         // when it was told last
	taken        liveRate          // of the acknowledged position
	blocked      time.Duration     // in which a request waited for its shard, since the last review
	reviewed     time.Time
	idle         int    // reviews in a row in which fewer shards would have done
	segment      uint64 // of the catalog
	taking       bool   // a block is being put into requests
	skip         bool   // the next block is passed over
	carefulUntil time.Time
	broke        func(error)     // ends the destination
	leave        <-chan struct{} // closed when it is to end with what is under way
	before       *beyond         // what a run before this one has delivered beyond the position; nil for nothing
	keptBeyond   bool            // the log has something of that

	passes     atomic.Uint64 // requests of which something was stored
	lastPassed atomic.Pointer[request]

	mu    sync.Mutex
	read  wal.Position // everything before it is in a request, or was sent
	state Status
	retry bool          // a request was retried since the last review
	busy  time.Duration // of the shards together, since the last review
}

// shard is one line of requests.
type shard struct {
	batch batch
	queue chan *request
	from  []wal.Position // where the oldest samples lie of each request that is not finished, and of the batch; guarded by destination.mu
}

// inherit takes over what another configuration of the same destination has learnt.
func (d *destination) inherit(old *destination) {
	d.lastPassed.Store(old.lastPassed.Load())
	old.mu.Lock()
	d.state.Newest, d.state.Stored = old.state.Newest, old.state.Stored
	old.mu.Unlock()
}

// pump reads the log and hands requests to the shards, until there should be another number of them or ctx ends.
func (d *destination) pump(ctx context.Context) (shards int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && !d.leaving() {
		now := time.Now()
		d.beat.now()
		if now.Sub(d.reviewed) >= d.pace.review {
			if n := d.review(now); n != len(d.shards) {
				return n
			}
		}
		if !d.flushOld(ctx, now) {
			break
		}
		b, wake, err := d.src.next()
		if b != nil {
			d.take(ctx, b)
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
		case <-wake:
		case <-timer.C:
		case <-d.draining():
		case <-d.leave:
		}
	}
	return len(d.shards)
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
func (d *destination) take(ctx context.Context, b *block) {
	if b.lost > 0 {
		d.mark.Skipped(b.start, b.gap)
		d.metrics.dropped.WithLabelValues(dropLost).Add(float64(b.lost))
		d.log.Error("samples are lost: damaged, or deleted before they were sent", zap.Uint64("samples", b.lost))
	}
	if b.table != nil {
		if version, _ := d.dialect.inForce(); b.start.Segment != d.segment || version != d.version || d.careful() {
			if !d.flushAll(ctx) {
				return
			}
			d.version = version
		}
		if b.start.Segment != d.segment {
			d.catalog.reset()
			d.families, d.segment = nil, b.start.Segment
		}
		if !d.put(ctx, b) {
			return
		}
	}
	d.mu.Lock()
	d.read = b.end
	d.mu.Unlock()
	d.seeTime(b)
	if d.src.behind() && d.limiter != nil && b.table != nil {
		d.advance()
		d.beat.until(longestGap)
		d.limiter.wait(ctx, b.scrape.Time)
	}
}

// seeTime tells how new the samples were that the destination took before it was stopped, until it takes some.
func (d *destination) seeTime(b *block) {
	if b.table == nil {
		return
	}
	d.mu.Lock()
	if d.state.Newest == 0 {
		d.state.Newest = b.scrape.Time
	}
	d.mu.Unlock()
}

// encode adds the rows of a block to the batches of their shards. False: ctx has ended.
func (d *destination) encode(ctx context.Context, b *block) bool {
	v := d.catalog.of(b.table)
	rows := v.rows(b.table)
	s := &b.scrape
	d.odd = append(d.odd[:0], s.Irregular...)
	slices.SortStableFunc(d.odd, func(a, b record.Irregular) int { return cmp.Compare(a.Row, b.Row) })
	odd := d.odd
	oldest, most := d.oldest(), d.size.samples()
	again := d.before != nil && b.start.Before(d.before.upTo)
	d.cursor.Reset(rows)
	for row := 0; row < len(s.Values) && d.cursor.Next(); row++ {
		n := 0
		for n < len(odd) && int(odd[n].Row) == row {
			n++
		}
		if n == 0 && !s.Present.Has(row) {
			continue
		}
		if again && !d.before.has(d.seriesID(d.catalog.series(v, rows, &d.cursor)), b.start) {
			odd = odd[n:]
			continue
		}
		d.collect(b, row, odd[:n], oldest)
		odd = odd[n:]
		p := &d.point
		if len(p.samples) == 0 && len(p.distinct) == 0 {
			continue
		}
		p.labels = d.catalog.series(v, rows, &d.cursor)
		if len(p.labels) == 0 {
			d.metrics.dropped.WithLabelValues(dropRelabel).Add(float64(len(p.samples) + len(p.distinct)))
			continue
		}
		if m := d.catalog.describe(v, b.table, row); d.cfg.MetadataConfig.Send {
			p.typ, p.help, p.unit = m.typ, m.help, m.unit
		}
		to := d.shards[0]
		if len(d.shards) > 1 {
			to = d.shards[d.catalog.rowHash(v, row, p.labels)%uint32(len(d.shards))]
		}
		if to.batch.empty() {
			d.open(to, b)
		}
		to.batch.add(p)
		if to.batch.all() >= most || len(to.batch.body) >= maxBody {
			if !d.flush(ctx, to) {
				return false
			}
		}
	}
	return true
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
			if d.sends(d.version, d.cfg.Exemplars) {
				p.trailing = append(p.trailing, e)
			} else if d.cfg.Exemplars == nil {
				d.metrics.droppedExemplars.WithLabelValues(dropVersion).Inc()
			}
		case e.Time < oldest:
			old++
		case e.Kind == record.Sample:
			p.samples = append(p.samples, sample{e.Value, e.Time, e.Start})
		case d.sends(d.version, d.cfg.NativeHistograms):
			p.distinct = append(p.distinct, e)
		default:
			d.metrics.dropped.WithLabelValues(dropHistogram).Inc()
		}
	}
	if old > 0 {
		d.metrics.dropped.WithLabelValues(dropOld).Add(float64(old))
	}
}

// sends tells whether something is sent by a version that the configuration may leave open.
func (d *destination) sends(version int, configured *bool) bool {
	if configured != nil {
		return *configured
	}
	return version == version2
}

// open begins the batch of a shard with samples of b.
func (d *destination) open(s *shard, b *block) {
	s.batch.version, s.batch.from, s.batch.opened = d.version, b.start, time.Now()
	d.mu.Lock()
	s.from = append(s.from, b.start)
	d.mu.Unlock()
}

// flush hands the batch of s to its lane, which may have to finish another request first. False: ctx has ended.
func (d *destination) flush(ctx context.Context, s *shard) bool {
	if s.batch.empty() {
		return ctx.Err() == nil
	}
	r := s.batch.seal()
	select {
	case s.queue <- r:
		return true
	default:
	}
	start := time.Now()
	defer func() { d.blocked += time.Since(start) }()
	select {
	case s.queue <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

func (d *destination) flushAll(ctx context.Context) bool {
	for _, s := range d.shards {
		if !d.flush(ctx, s) {
			return false
		}
	}
	return true
}

// flushOld hands over the batches that have waited long enough, and tells of metadata when it is time to. False: ctx has ended.
func (d *destination) flushOld(ctx context.Context, now time.Time) bool {
	deadline := time.Duration(d.cfg.QueueConfig.BatchSendDeadline)
	if d.stopping() {
		deadline = 0
	}
	for _, s := range d.shards {
		if !s.batch.empty() && now.Sub(s.batch.opened) >= deadline && !d.flush(ctx, s) {
			return false
		}
	}
	if version, _ := d.dialect.inForce(); version == version1 && d.cfg.MetadataConfig.Send && now.Sub(d.told) >= time.Duration(d.cfg.MetadataConfig.SendInterval) {
		if d.meta.offer(d.families) {
			d.told = now
		}
	}
	return true
}

// delivered is the position before which everything was delivered or is in triage.
func (d *destination) delivered() wal.Position {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.read
	for _, s := range d.shards {
		if len(s.from) > 0 && s.from[0].Before(at) {
			at = s.from[0]
		}
	}
	return at
}

// advance acknowledges what was delivered.
func (d *destination) advance() {
	at := d.delivered()
	// After that: what shards hand to triage is there before it is gone from them.
	if held, ok := d.triage.oldest(); ok && held.Before(at) {
		at = held
	}
	d.mark.Acknowledge(at)
}
