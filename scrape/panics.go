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

// panicError is a panic that was caught, so that it costs one scrape and not the relay.
type panicError struct {
	value any
	place string // the function and line that panicked
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("a defect of promrelay, please report it: panic at %s: %.200v", e.place, e.value)
}

// caught calls f, and returns its panic as a *panicError. It cannot catch what Go holds for the end of the process: a stack
// that is too large, memory that is used up, a map that is written twice at a time.
func caught(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, place: panicPlace(), stack: debug.Stack()}
		}
	}()
	return f()
}

// panicPlace names the line that panicked. Its caller was deferred.
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
			return "a place that is not known"
		}
	}
}

// repeatPanic is how long a panic at one place is only counted after it was logged.
const repeatPanic = 10 * time.Minute

// panics tells of panics: the first one of a place with its stack, later ones now and then.
type panics struct {
	metrics *metrics
	logger  *zap.Logger

	mu   sync.Mutex
	told map[string]*toldPanic // by place; there are as many as lines of code that panic
}

type toldPanic struct {
	last  time.Time
	since int // panics that were not logged
}

// tell counts the panic, and logs it with what it happened to.
func (p *panics) report(e *panicError, what zap.Field) {
	p.metrics.panics.Inc()
	p.mu.Lock()
	t := p.told[e.place]
	first := t == nil
	if first {
		t = &toldPanic{}
		if p.told == nil {
			p.told = map[string]*toldPanic{}
		}
		p.told[e.place] = t
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
