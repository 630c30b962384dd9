package relay

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// carefulFor is how long after a panic each block of the log gets separate requests.
const carefulFor = 10 * time.Minute

// isolation finds the block of the log that causes a panic, so that only this block is skipped.
type isolation struct {
	packing      bool      // a block is being put into requests
	skip         bool      // the next block is skipped
	carefulUntil time.Time // until then each block gets separate requests
}

func (i *isolation) careful() bool { return time.Now().Before(i.carefulUntil) }

// put adds a block to the batches. A block that causes a panic here is skipped the second time. False: ctx has ended.
func (p *packer) put(ctx context.Context, b *block) (ok bool) {
	if p.skip {
		p.skip = false
		p.passOver(b, "in sending")
		return true
	}
	if !p.careful() {
		p.packing = true
		ok = p.encode(ctx, b)
		p.packing = false
		return ok
	}
	defer func() {
		if v := recover(); v != nil {
			p.carefulUntil = time.Now().Add(carefulFor)
			p.metrics.panics.Inc()
			p.passOver(b, v)
			ok = true
		}
	}()
	return p.encode(ctx, b)
}

// passOver removes a block from the batches, and counts all its samples as lost.
func (p *packer) passOver(b *block, v any) {
	for _, s := range p.shards {
		if !s.batch.empty() {
			s.batch.reset()
			p.progress.discard(s.number)
		}
	}
	p.catalog.reset()
	n := b.scrape.Samples()
	p.metrics.dropped.WithLabelValues(dropLost).Add(float64(n))
	p.log.Error("samples lost: the relay panics over them", seeOperations, zap.Int("samples", n), zap.Uint64("segment", b.start.Segment), zap.Int64("offset", b.start.Offset), zap.Any("panic", v))
}
