package relay

import (
	"context"
	"time"

	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

// maxBody is the size in bytes, before compression, at which a request is sent even if it has few samples.
const maxBody = 1 << 20

// packer reads the log, puts its samples into requests, and hands these to the shards. Only pump uses it.
type packer struct {
	cfg      config.Destination
	log      *zap.Logger
	position *wal.Destination
	metrics  *destinationMetrics
	drain    <-chan struct{} // closed when the relay stops: then batches no longer wait for more samples
	progress *progress
	governor *governor
	sender   *sender
	metadata *metadataSender

	source  *source
	catalog *catalog
	segment uint64 // of the catalog
	version int    // of the batches
	shards  []*shard
	ahead   *ahead // delivered ahead of the position by an earlier run; nil for nothing

	// Reused for each row.
	cursor    record.Cursor
	point     point
	irregular []record.Irregular

	isolation
}

// shard is a queue for the requests of some series. Its goroutine sends them one after the other.
type shard struct {
	number int
	batch  batch // the packer fills it
	queue  chan *request
}

func newPacker(d *destination, c *catalog, from *source, drain <-chan struct{}) *packer {
	p := &packer{
		cfg: d.sender.cfg, log: d.log, position: d.position, metrics: d.metrics, drain: drain,
		progress: d.progress, governor: d.governor, sender: d.sender, metadata: d.metadata, source: from, catalog: c,
	}
	p.version, _ = d.sender.dialect.inForce()
	if p.cfg.Negotiate || p.version == version1 {
		c.described = func(m description) { p.metadata.learn(m, &c.symbols) }
	}
	return p
}

// start makes a number of new shards.
func (p *packer) start(shards int) {
	p.shards = make([]*shard, shards)
	for i := range p.shards {
		p.shards[i] = &shard{number: i, batch: batch{symbols: &p.catalog.symbols}, queue: make(chan *request, 1)}
	}
	p.progress.start(shards)
}

// draining returns a channel that is closed if the relay stops and a batch waits for more samples.
func (p *packer) draining() <-chan struct{} {
	for _, s := range p.shards {
		if !s.batch.empty() {
			return p.drain
		}
	}
	return nil
}

// batchWait returns how long the oldest batch may still wait for more samples, at most limit.
func (p *packer) batchWait(now time.Time, limit time.Duration) time.Duration {
	wait := limit
	for _, s := range p.shards {
		if !s.batch.empty() {
			wait = min(wait, s.batch.opened.Add(time.Duration(p.cfg.QueueConfig.BatchSendDeadline)).Sub(now))
		}
	}
	return max(wait, 0)
}

// add puts the samples of a block into batches, and hands over those that are full.
func (p *packer) add(ctx context.Context, b *block) {
	if b.lost > 0 {
		p.position.Skipped(b.start, b.gap)
		p.metrics.dropped.WithLabelValues(dropLost).Add(float64(b.lost))
		p.log.Error("samples lost: damaged, or deleted before they were sent", seeOperations, zap.Uint64("samples", b.lost))
	}
	if b.table != nil && !p.pack(ctx, b) {
		return
	}
	p.progress.moveTo(b.end)
	if b.table == nil {
		return
	}
	p.sender.noteTime(b.scrape.Time)
	if p.source.behind() && p.governor.limiter != nil {
		p.progress.acknowledge()
		p.sender.heartbeat.until(longestGap)
		p.governor.limiter.wait(ctx, b.scrape.Time)
	}
}

// pack adds a scrape to the batches. A batch has samples of one segment and of one version. False: ctx has ended.
func (p *packer) pack(ctx context.Context, b *block) bool {
	if version, _ := p.sender.dialect.inForce(); b.start.Segment != p.segment || version != p.version || p.careful() {
		if !p.flushAll(ctx) {
			return false
		}
		p.version = version
	}
	if b.start.Segment != p.segment {
		p.catalog.reset()
		p.metadata.forget()
		p.segment = b.start.Segment
	}
	return p.put(ctx, b)
}

// open begins the batch of a shard with samples of b.
func (p *packer) open(s *shard, b *block) {
	s.batch.version, s.batch.from, s.batch.opened = p.version, b.start, time.Now()
	p.progress.begin(s.number, b.start)
}

// flush hands the batch of s to its shard, which may have to finish another request first. False: ctx has ended.
func (p *packer) flush(ctx context.Context, s *shard) bool {
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
	defer func() { p.governor.waited(time.Since(start)) }()
	select {
	case s.queue <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *packer) flushAll(ctx context.Context) bool {
	for _, s := range p.shards {
		if !p.flush(ctx, s) {
			return false
		}
	}
	return true
}

// flushOld hands over the batches that have waited long enough, and metadata that is due. False: ctx has ended.
func (p *packer) flushOld(ctx context.Context, now time.Time) bool {
	deadline := time.Duration(p.cfg.QueueConfig.BatchSendDeadline)
	if closed(p.drain) {
		deadline = 0
	}
	for _, s := range p.shards {
		if !s.batch.empty() && now.Sub(s.batch.opened) >= deadline && !p.flush(ctx, s) {
			return false
		}
	}
	p.metadata.offer(now)
	return true
}
