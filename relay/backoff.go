package relay

import (
	"context"
	"math/rand/v2"
	"time"
)

// tryUntilDone calls try until it is done. Between the calls it sleeps for the pause that try returns. Attempt is the number of
// earlier calls. False: ctx has ended in a pause.
func tryUntilDone(ctx context.Context, try func(ctx context.Context, attempt int) (pause time.Duration, done bool)) bool {
	for attempt := 0; ; attempt++ {
		pause, done := try(ctx, attempt)
		if done {
			return true
		}
		if !sleep(ctx, pause) {
			return false
		}
	}
}

// sleep returns after a pause. False: ctx has ended before.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// backoff is the pause before a retry. It doubles each time. A random part makes it differ from relay to relay.
type backoff struct {
	min, max time.Duration
	next     time.Duration
}

// pause returns how long to wait now. After is the pause that the destination asked for; the random part only adds to it.
func (b *backoff) pause(after time.Duration) time.Duration {
	if b.next = 2 * b.next; b.next == 0 {
		b.next = b.min
	}
	b.next = min(b.next, b.max)
	if after > b.next {
		return after + rand.N(after/10+1)
	}
	return b.next + rand.N(b.next/5+1)
}
