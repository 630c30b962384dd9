package scrape

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// panicError is a panic that was caught, so that it fails only one scrape and not the relay.
type panicError struct {
	value any
	place string // the function and line that panicked
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("a defect of promrelay, please report it: panic at %s: %.200v", e.place, e.value)
}

// caught calls f, and returns its panic as a *panicError. It cannot catch faults that end any Go
// process: a stack overflow, lack of memory, concurrent writes of a map.
func caught(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, place: panicPlace(), stack: debug.Stack()}
		}
	}()
	return f()
}

// panicPlace returns the function and line that panicked. It is called by a deferred function.
func panicPlace() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for panicked := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// repeatPanic is how long, after a logged panic, further panics at the same place are counted but
// not logged.
const repeatPanic = 10 * time.Minute

// panics counts and logs panics: the first one at a place with its stack, later ones at intervals.
type panics struct {
	metrics *metrics
	logger  *zap.Logger

	mu     sync.Mutex
	places map[string]*loggedPanic // by place
}

type loggedPanic struct {
	last  time.Time
	since int // panics that were not logged
}

// report counts the panic, and logs it with what it happened to.
func (p *panics) report(e *panicError, what zap.Field) {
	p.metrics.panics.Inc()
	p.mu.Lock()
	t := p.places[e.place]
	first := t == nil
	if first {
		t = &loggedPanic{}
		if p.places == nil {
			p.places = map[string]*loggedPanic{}
		}
		p.places[e.place] = t
	}
	if now := time.Now(); first || now.Sub(t.last) >= repeatPanic {
		fields := []zap.Field{what, zap.String("panic", fmt.Sprintf("%.1000v", e.value)), zap.String("place", e.place), zap.Int("unlogged", t.since)}
		if first {
			fields = append(fields, zap.ByteString("stack", e.stack))
		}
		t.last, t.since = now, 0
		p.mu.Unlock()
		p.logger.Error("a scrape panicked", fields...)
		return
	}
	t.since++
	p.mu.Unlock()
}
