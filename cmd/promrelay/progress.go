package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	progressAfter = 500 * time.Millisecond // work that takes less shows nothing
	progressEvery = 100 * time.Millisecond
)

// progress shows on a terminal how far a work has come, in one line that changes. In a pipe or a file it shows nothing.
type progress struct {
	out  io.Writer // nil: no terminal
	what string    // that is counted, in singular
	now  func() time.Time

	mu    sync.Mutex // guards what follows
	start time.Time
	last  time.Time // zero before anything is shown
}

// newProgress returns a progress for a work that begins now.
func newProgress(out *os.File, what string) *progress {
	p := &progress{what: what, now: time.Now, start: time.Now()}
	if term.IsTerminal(int(out.Fd())) {
		p.out = out
	}
	return p
}

// at shows that so much of the work is done.
func (p *progress) at(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.out == nil || total == 0 || now.Sub(p.start) < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	fmt.Fprintf(p.out, "\r%d of %d %ss, %d%%\x1b[K", done, total, p.what, 100*done/total)
}

// end removes the line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
