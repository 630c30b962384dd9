package relay

import (
	"context"
	"sync"
	"time"
)

// gate holds requests back while a destination takes none. It shuts when more requests in a row have failed than there are
// lines of them; then one request at a time tries, and the first one that is taken opens it for all. So a request that fails
// alone does not stop the others, and a receiver that comes back is not met by all of them at once.
type gate struct {
	lines int // of requests

	mu     sync.Mutex // guards what follows
	failed int        // requests in a row
	shut   bool
	trying bool
	until  time.Time // when the next one may try
	change chan struct{}
}

func newGate(lines int) *gate { return &gate{lines: lines, change: make(chan struct{})} }

// wait returns when a request may be sent; with try, it is the one that tries. Not ok: ctx has ended.
func (g *gate) wait(ctx context.Context) (try, ok bool) {
	for ctx.Err() == nil {
		g.mu.Lock()
		pause := time.Until(g.until)
		if !g.shut || !g.trying && pause <= 0 {
			g.trying = g.shut
			try = g.shut
			g.mu.Unlock()
			return try, true
		}
		change := g.change
		if g.trying {
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
func (g *gate) passed() {
	g.mu.Lock()
	g.failed = 0
	if g.shut {
		g.shut, g.trying = false, false
		g.changedLocked()
	}
	g.mu.Unlock()
}

// fail takes note that a request is to be sent again after a pause. Try is what wait has said of it.
func (g *gate) fail(try bool, pause time.Duration) {
	g.mu.Lock()
	g.failed++
	g.shut = g.shut || g.failed > g.lines
	g.trying = g.trying && !try
	g.until = time.Now().Add(pause)
	g.changedLocked()
	g.mu.Unlock()
}

// leave is for a request that was cancelled, or of which the answer says nothing about others.
func (g *gate) leave(try bool) {
	g.mu.Lock()
	g.trying = g.trying && !try
	g.changedLocked()
	g.mu.Unlock()
}

func (g *gate) changedLocked() {
	close(g.change)
	g.change = make(chan struct{})
}

func (g *gate) setLines(n int) {
	g.mu.Lock()
	g.lines = n
	g.mu.Unlock()
}
