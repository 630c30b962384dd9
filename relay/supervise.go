package relay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"promrelay/wal"
)

const (
	// panicTellEvery is how often the log has the stack of a destination that panics again and again.
	panicTellEvery = 10 * time.Minute
	// carefulFor is how long each block of the log gets requests of its own after a panic.
	carefulFor = 10 * time.Minute
	// panicsInPlace is how many panics in a row a block may cause that is sent in vain.
	panicsInPlace = 5
)

// panicPause is the pause after a panic.
var panicPause = backoff{min: time.Second, max: time.Minute}

// panicError is a panic in one of a destination's goroutines.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("the relay has a fault (panic: %v); the destination begins again at its position", e.value)
}

// runner is a destination and its goroutine.
type runner struct {
	settings Settings // that it was made with, for this one destination
	stop     context.CancelFunc
	leave    chan struct{} // closed when what is under way is to be the last
	done     chan struct{}
	current  atomic.Pointer[destination]
}

func newRunner(d *destination, s Settings) *runner {
	r := &runner{settings: s, leave: make(chan struct{}), done: make(chan struct{})}
	r.current.Store(d)
	return r
}

// supervise runs a destination until ctx ends. Where one of its goroutines panics, the destination is made anew and goes on from its
// position after a pause; so a fault that one receiver's answer brings out costs that destination some time, and no other one anything.
// A block of the log that cannot be put into requests without a panic, or that is in the way of all that follow, is passed over.
func (r *Relay) supervise(ctx context.Context, n *runner) {
	b := panicPause
	var told time.Time
	var at wal.Position // at which it panicked last
	inPlace := 0        // panics there in a row
	for {
		d := n.current.Load()
		d.leave = n.leave
		begun := time.Now()
		err := d.run(ctx)
		if err == nil {
			return
		}
		d.metrics.panics.Inc()
		if time.Since(begun) > carefulFor {
			b = panicPause
		}
		pause := b.pause(0)
		if d.taking {
			pause = 0 // the next one is careful
		}
		if inPlace++; d.mark.Position() != at {
			at, inPlace = d.mark.Position(), 1
		}
		if p := new(panicError); errors.As(err, &p) && time.Since(told) >= panicTellEvery {
			told = time.Now()
			d.log.Error("a destination panicked; it begins again at its position", zap.Any("panic", p.value), zap.Duration("pause", pause), zap.ByteString("stack", p.stack))
		}
		next := r.again(ctx, n, d, err, pause)
		if next == nil {
			return
		}
		next.carefulUntil = d.carefulUntil
		if d.taking || inPlace > 1 {
			next.carefulUntil = time.Now().Add(carefulFor)
		}
		if inPlace >= panicsInPlace {
			next.skip, inPlace = true, 0
		}
		n.current.Store(next)
	}
}

// again makes the destination that follows one which panicked, after a pause. It returns nil when there is to be none.
func (r *Relay) again(ctx context.Context, n *runner, d *destination, err error, pause time.Duration) *destination {
	for {
		d.beat.until(pause)
		d.tell.trouble(decision{err: err, rule: "panic"}, pause, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-n.leave:
			return nil
		case <-time.After(pause):
		}
		c, made := newClient(n.settings.Destinations[0], n.settings.Relay.RedirectHosts, r.transport)
		var next *destination
		if made == nil {
			next, made = r.destination(n.settings, c)
		}
		if made == nil {
			next.inherit(d)
			next.tell = d.tell
			return next
		}
		err, pause = made, panicPause.max
	}
}

// careful tells whether each block of the log gets requests of its own, so that one over which the destination panics can be passed over alone.
func (d *destination) careful() bool { return time.Now().Before(d.carefulUntil) }

// put adds a block to the batches. A block over which that panics is passed over, at the second time. False: ctx has ended.
func (d *destination) put(ctx context.Context, b *block) (ok bool) {
	if d.skip {
		d.skip = false
		d.passOver(b, "in sending")
		return true
	}
	if !d.careful() {
		d.taking = true
		ok = d.encode(ctx, b)
		d.taking = false
		return ok
	}
	defer func() {
		if v := recover(); v != nil {
			d.carefulUntil = time.Now().Add(carefulFor)
			d.metrics.panics.Inc()
			d.passOver(b, v)
			ok = true
		}
	}()
	return d.encode(ctx, b)
}

// passOver drops what the batches have of a block, and counts all of it as lost.
func (d *destination) passOver(b *block, v any) {
	for _, s := range d.shards {
		if s.batch.empty() {
			continue
		}
		s.batch.reset()
		d.mu.Lock()
		s.from = s.from[:len(s.from)-1]
		d.mu.Unlock()
	}
	d.catalog.reset()
	n := b.scrape.Samples()
	d.metrics.dropped.WithLabelValues(dropLost).Add(float64(n))
	d.log.Error("samples are lost: the relay panics over them", zap.Int("samples", n), zap.Uint64("segment", b.start.Segment), zap.Int64("offset", b.start.Offset), zap.Any("panic", v))
}

// run sends until ctx ends. It returns an error when one of its goroutines has panicked.
func (d *destination) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.broke = cancel
	d.safely(func() { d.work(ctx) })
	if p := new(panicError); errors.As(context.Cause(ctx), &p) {
		return p
	}
	return nil
}

func (d *destination) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.src = newSource(d.src.feed, d.mark.Position())
	defer d.src.close()
	d.mu.Lock()
	d.read = d.src.pos
	d.mu.Unlock()
	d.told = time.Now().Add(d.pace.tell - time.Duration(d.cfg.MetadataConfig.SendInterval))
	var beside sync.WaitGroup
	d.loadBeyond()
	defer func() {
		cancel()
		beside.Wait()
		d.keepBeyond(d.deliveredBeyond())
	}()
	beside.Go(func() { d.safely(func() { d.triage.run(ctx) }) })
	beside.Go(func() { d.safely(func() { d.meta.run(ctx) }) })
	beside.Go(func() { d.safely(func() { d.saveBeyond(ctx) }) })
	for shards := d.cfg.QueueConfig.MinShards; ctx.Err() == nil && !d.leaving(); {
		shards = d.session(ctx, shards)
	}
}

// leaving tells whether the destination is to end with what is under way.
func (d *destination) leaving() bool {
	select {
	case <-d.leave:
		return true
	default:
		return false
	}
}

// session sends with a given number of shards. It returns another number when that should be, with everything delivered that was
// put together, or when ctx has ended.
func (d *destination) session(ctx context.Context, shards int) (next int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make([]*shard, shards)
	for i := range lines {
		lines[i] = &shard{batch: batch{symbols: &d.catalog.symbols}, queue: make(chan *request, 1)}
	}
	d.mu.Lock()
	d.shards = lines
	d.mu.Unlock()
	d.gate.setLines(shards)
	for _, s := range lines {
		wg.Go(func() { d.safely(func() { d.lane(ctx, s) }) })
	}
	d.metrics.shards.Set(float64(shards))
	d.reviewed, d.blocked = time.Now(), 0
	d.safely(func() { next = d.pump(ctx) })
	if ctx.Err() == nil && d.flushAll(ctx) {
		for _, s := range lines {
			close(s.queue)
		}
		wg.Wait()
	}
	return next
}

// safely runs a part of the destination. Where that panics, all of the destination ends.
func (d *destination) safely(part func()) {
	defer func() {
		if v := recover(); v != nil {
			d.broke(&panicError{v, debug.Stack()})
		}
	}()
	part()
}
