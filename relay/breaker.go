package relay

import (
	"context"
	"sync"
	"time"
)

// gate holds requests back while a destination takes none. It shuts when more requests in a row have failed than there are
// lines of them; then one request at a time tries, and the first one that is taken opens it for all. So a request that fails
// alone does not stop the others, and a receiver that comes back is not met by all of them at once.
type breaker struct {
	shards int // of requests

	mu     sync.Mutex // guards what follows
	failed int        // requests in a row
	tripped   bool
	trial bool
	until  time.Time // when the next one may try
	change chan struct{}
}

func newBreaker(lines int) *breaker { return &breaker{shards: lines, change: make(chan struct{})} }

// wait returns when a request may be sent; with try, it is the one that tries. Not ok: ctx has ended.
func (g *breaker) wait(ctx context.Context) (try, ok bool) {
	for ctx.Err() == nil {
		g.mu.Lock()
		pause := time.Until(g.until)
		if !g.tripped || !g.trial && pause <= 0 {
			g.trial = g.tripped
			try = g.tripped
			g.mu.Unlock()
			return try, true
		}
		change := g.change
		if g.trial {
			pause = time.Hour // its end is a change
		}
		g.mu.Unlock()
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

// passed opens the gate.
func (g *breaker) succeed() {
	g.mu.Lock()
	g.failed = 0
	if g.tripped {
		g.tripped, g.trial = false, false
		g.notifyLocked()
	}
	g.mu.Unlock()
}

// fail takes note that a request is to be sent again after a pause. Try is what wait has said of it.
func (g *breaker) fail(try bool, pause time.Duration) {
	g.mu.Lock()
	g.failed++
	g.tripped = g.tripped || g.failed > g.shards
	g.trial = g.trial && !try
	g.until = time.Now().Add(pause)
	g.notifyLocked()
	g.mu.Unlock()
}

// leave is for a request that was cancelled, or of which the answer says nothing about others.
func (g *breaker) release(try bool) {
	g.mu.Lock()
	g.trial = g.trial && !try
	g.notifyLocked()
	g.mu.Unlock()
}

func (g *breaker) notifyLocked() {
	close(g.change)
	g.change = make(chan struct{})
}

func (g *breaker) setShards(n int) {
	g.mu.Lock()
	g.shards = n
	g.mu.Unlock()
}
