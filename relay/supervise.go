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
	// stackEvery is the pause before the stack of a destination that panics repeatedly is logged again.
	stackEvery = 10 * time.Minute
	// panicsInPlace is how many panics in a row there may be at one position before a block is skipped.
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
	settings Settings // of this destination only
	stop     context.CancelFunc
	quit     chan struct{} // closed when the destination must end after the requests under way
	done     chan struct{}
	current  atomic.Pointer[destination]
}

func newRunner(d *destination, s Settings) *runner {
	r := &runner{settings: s, quit: make(chan struct{}), done: make(chan struct{})}
	r.current.Store(d)
	return r
}

// supervise runs a destination until ctx ends. When one of its goroutines panics, a new destination continues from the position after a
// pause. So a fault that the answer of one receiver causes delays only that destination. A block of the log is skipped if it causes a
// panic each time, or if nothing behind it is delivered.
func (r *Relay) supervise(ctx context.Context, n *runner) {
	b := panicPause
	var logged time.Time
	var at wal.Position // of the last panic
	inPlace := 0        // panics there in a row
	for {
		d := n.current.Load()
		d.quit = n.quit
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
		if d.packer.packing {
			pause = 0 // the next one is careful
		}
		if inPlace++; d.position.Position() != at {
			at, inPlace = d.position.Position(), 1
		}
		if p := new(panicError); errors.As(err, &p) && time.Since(logged) >= stackEvery {
			logged = time.Now()
			d.log.Error("a destination panicked; it begins again at its position", seeOperations, zap.Any("panic", p.value), zap.Duration("pause", pause), zap.ByteString("stack", p.stack))
		}
		next := r.remake(ctx, n, d, err, pause)
		if next == nil {
			return
		}
		next.packer.carefulUntil = d.packer.carefulUntil
		if d.packer.packing || inPlace > 1 {
			next.packer.carefulUntil = time.Now().Add(carefulFor)
		}
		if inPlace >= panicsInPlace {
			next.packer.skip, inPlace = true, 0
		}
		n.current.Store(next)
	}
}

// remake replaces a destination that panicked, after a pause. Nil: ctx has ended, or the destination must end.
func (r *Relay) remake(ctx context.Context, n *runner, d *destination, err error, pause time.Duration) *destination {
	for {
		d.sender.heartbeat.until(pause)
		d.sender.report.waits(pause, "panic", err, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-n.quit:
			return nil
		case <-time.After(pause):
		}
		c, made := newClient(n.settings.Destinations[0], n.settings.Relay.RedirectHosts, r.transport)
		var next *destination
		if made == nil {
			next, made = r.newDestination(n.settings, c)
		}
		if made == nil {
			next.sender.inherit(d.sender)
			next.sender.report = d.sender.report
			return next
		}
		err, pause = made, panicPause.max
	}
}

// run sends until ctx ends. It returns an error when one of its goroutines has panicked.
func (d *destination) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.fail = cancel
	d.safely(func() { d.work(ctx) })
	if p := new(panicError); errors.As(context.Cause(ctx), &p) {
		return p
	}
	return nil
}

func (d *destination) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := d.packer
	p.source = newSource(p.source.feed, d.position.Position())
	defer p.source.close()
	d.progress.moveTo(p.source.pos)
	d.metadata.start(time.Now())
	p.ahead = d.ahead.load(d.wal.Head())
	var beside sync.WaitGroup
	defer func() {
		cancel()
		beside.Wait()
		d.ahead.save(d.deliveredAhead())
	}()
	beside.Go(func() { d.safely(func() { d.splitter.run(ctx, d.safely) }) })
	beside.Go(func() { d.safely(func() { d.metadata.run(ctx) }) })
	beside.Go(func() { d.safely(func() { d.ahead.run(ctx, d.deliveredAhead) }) })
	for shards := d.governor.queue.MinShards; ctx.Err() == nil && !closed(d.quit); {
		shards = d.session(ctx, shards)
	}
}

// session sends with a given number of shards until ctx ends or the number must change. It returns the new number. If ctx has not
// ended, everything that was packed is delivered.
func (d *destination) session(ctx context.Context, shards int) (next int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := d.packer
	p.start(shards)
	d.sender.breaker.setShards(shards)
	d.governor.start(time.Now(), shards)
	d.metrics.shards.Set(float64(shards))
	for _, s := range p.shards {
		wg.Go(func() { d.safely(func() { d.sender.run(ctx, s) }) })
	}
	d.safely(func() { next = d.pump(ctx) })
	if ctx.Err() == nil && p.flushAll(ctx) {
		for _, s := range p.shards {
			close(s.queue)
		}
		wg.Wait()
	}
	return next
}

// safely runs a part of the destination. If that panics, the whole destination ends.
func (d *destination) safely(part func()) {
	defer func() {
		if v := recover(); v != nil {
			d.fail(&panicError{v, debug.Stack()})
		}
	}()
	part()
}
