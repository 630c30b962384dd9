package relay

import (
	"context"
	"sync"
	"time"
)

// breaker is a circuit breaker for the requests of a destination. It trips when more requests in a row have failed than there are
// shards. Then it lets one request at a time through, as a trial. The first request that succeeds closes the circuit for all. So a
// request that fails alone does not stop the others, and a receiver that recovers does not get all of them at once.
type breaker struct {
	mu      sync.Mutex // guards what follows
	shards  int
	failed  int           // requests in a row
	tripped bool          // only trials are sent
	trial   bool          // one is under way
	until   time.Time     // when the next trial may start
	change  chan struct{} // closed at the next change of the above
}

func newBreaker(shards int) *breaker { return &breaker{shards: shards, change: make(chan struct{})} }

// wait returns when a request may be sent, and whether that is a trial. Not ok: ctx has ended.
func (b *breaker) wait(ctx context.Context) (trial, ok bool) {
	for ctx.Err() == nil {
		b.mu.Lock()
		pause := time.Until(b.until)
		if !b.tripped || !b.trial && pause <= 0 {
			b.trial = b.tripped
			trial = b.tripped
			b.mu.Unlock()
			return trial, true
		}
		change := b.change
		if b.trial {
			pause = time.Hour // the end of the trial is a change
		}
		b.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-change:
		case <-timer.C:
		}
		timer.Stop()
	}
	return false, false
}

// succeed records that the receiver has accepted a request.
func (b *breaker) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = 0
	if b.tripped {
		b.tripped, b.trial = false, false
		b.notifyLocked()
	}
}

// fail records that a request is to be sent again after a pause. Trial is what wait returned for it.
func (b *breaker) fail(trial bool, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed++
	b.tripped = b.tripped || b.failed > b.shards
	b.trial = b.trial && !trial
	b.until = time.Now().Add(pause)
	b.notifyLocked()
}

// release records the end of a request that was cancelled, or whose answer says nothing about other requests.
func (b *breaker) release(trial bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trial = b.trial && !trial
	b.notifyLocked()
}

func (b *breaker) notifyLocked() {
	close(b.change)
	b.change = make(chan struct{})
}

func (b *breaker) setShards(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shards = n
}
