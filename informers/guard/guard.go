// Package guard calls code that may panic: other people's code, and our code that works on other people's input.
//
// Promises: a panic ends only the call; it is counted, and logged with its stack the first time. Not promised: anything about
// goroutines that the called code starts itself. A panic there ends the process; in Go nobody else can recover from it.
package guard

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"promrelay/targets"
)

// Part is what a panic costs.
type Part string

// The parts of discovery.
const (
	Handler   Part = "handler"   // one object is not noticed
	Monitor   Part = "monitor"   // one monitor is rejected
	Group     Part = "group"     // the targets of one object stay as they are
	Discovery Part = "discovery" // one discoverer finds nothing for a minute
	Batch     Part = "batch"     // a batch of changes is a minute late
	Events    Part = "events"    // the users of a monitor do not hear what is new
)

// Parts are all of them, the values of the metric's label.
var Parts = []Part{Handler, Monitor, Group, Discovery, Batch, Events}

// maxLogged is how many different panics are logged: their text may hold a number that is new each time.
const maxLogged = 100

// Guard catches panics. A nil Guard catches them too, but neither counts nor logs them.
type Guard struct {
	log    *zap.Logger
	total  *prometheus.CounterVec
	redact func(string) string // of what is logged and returned; nil for none
	logged *logged
}

// logged knows which panics are in the log. Guards with different redactions share it.
type logged struct {
	mu   sync.Mutex
	keys map[string]bool // guarded by mu
}

// New returns a Guard that counts panics in total, which has the label part.
func New(log *zap.Logger, total *prometheus.CounterVec) *Guard {
	return &Guard{log: log, total: total, logged: &logged{keys: map[string]bool{}}}
}

// Redacting returns a Guard that passes the text of a panic through redact before anybody sees it.
func (g *Guard) Redacting(redact func(string) string) *Guard {
	if g == nil {
		return &Guard{redact: redact}
	}
	return &Guard{log: g.log, total: g.total, redact: redact, logged: g.logged}
}

// Call calls f. It returns nil, or a *targets.PanicError if f panicked. Subject is the object that f works on.
func (g *Guard) Call(part Part, subject string, f func()) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if g != nil && g.redact != nil {
			value = g.redact(fmt.Sprint(value))
		}
		p := &targets.PanicError{Value: value, Stack: debug.Stack()}
		g.Report(part, subject, p)
		err = p
	}()
	f()
	return nil
}

// Report counts a panic that was caught elsewhere, and logs it if it is the first of its kind.
func (g *Guard) Report(part Part, subject string, p *targets.PanicError) {
	if g == nil || g.total == nil {
		return
	}
	g.total.WithLabelValues(string(part)).Inc()
	if g.logged.add(fmt.Sprint(part, " ", subject, " ", p.Value)) {
		g.log.Error("a panic in discovery was caught", zap.String("part", string(part)), zap.String("subject", subject),
			zap.String("panic", fmt.Sprint(p.Value)), zap.ByteString("stack", p.Stack))
	}
}

// add reports whether a panic is to be logged: it is new, and there were not too many.
func (l *logged) add(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys[key] || len(l.keys) >= maxLogged {
		return false
	}
	l.keys[key] = true
	return true
}
