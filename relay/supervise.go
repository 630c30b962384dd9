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

// panicTellEvery is how often the log has the stack of a destination that panics again and again.
const panicTellEvery = 10 * time.Minute

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
// A block of the log that cannot be put into requests without a panic is passed over.
func (r *Relay) supervise(ctx context.Context, n *runner) {
	poison := map[wal.Position]bool{}
	b := backoff{min: time.Second, max: time.Minute}
	var told time.Time
	for {
		d := n.current.Load()
		d.poison, d.leave = poison, n.leave
		err := d.run(ctx)
		if err == nil {
			return
		}
		d.metrics.panics.Inc()
		pause := b.pause(0)
		if d.taking != nil {
			poison[d.taking.start] = true
			pause = 0
		}
		if p := new(panicError); errors.As(err, &p) && time.Since(told) >= panicTellEvery {
			told = time.Now()
			d.log.Error("a destination panicked; it begins again at its position", zap.Any("panic", p.value), zap.Duration("pause", pause), zap.ByteString("stack", p.stack))
		}
		for {
			d.tell.trouble(decision{err: err, rule: "panic"}, pause, time.Now())
			select {
			case <-ctx.Done():
				return
			case <-n.leave:
				return
			case <-time.After(pause):
			}
			next, made := r.destination(n.settings)
			if made == nil {
				next.inherit(d)
				next.tell = d.tell
				n.current.Store(next)
				break
			}
			err, pause = made, b.pause(0)
		}
	}
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
	defer func() {
		cancel()
		beside.Wait()
	}()
	beside.Go(func() { d.safely(func() { d.triage.run(ctx) }) })
	beside.Go(func() { d.safely(func() { d.meta.run(ctx) }) })
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

// poisoned tells whether a block is to be passed over, since it made the destination panic before, and counts it then.
func (d *destination) poisoned(b *block) bool {
	if !d.poison[b.start] {
		return false
	}
	n := b.end.Count - b.start.Count
	d.metrics.dropped.WithLabelValues(dropLost).Add(float64(n))
	d.log.Error("samples are lost: the relay panics over them", zap.Uint64("samples", n), zap.Uint64("segment", b.start.Segment), zap.Int64("offset", b.start.Offset))
	return true
}
