package informers

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"promrelay/targets"
)

// Parts of discovery that a panic costs alone. What Prometheus's discoverers and client-go do in goroutines of their own cannot be caught.
const (
	partHandler   = "handler"   // of an informer: one object is not heard of
	partMonitor   = "monitor"   // one is rejected
	partGroup     = "group"     // the targets of one object stay as they are
	partDiscovery = "discovery" // one mechanism of one job finds nothing for a while
	partBatch     = "batch"     // some changes are told with the next ones
)

var panicParts = []string{partHandler, partMonitor, partGroup, partDiscovery, partBatch}

// panics counts panics that were caught, and knows which were told. A nil one does neither.
type panics struct {
	log   *zap.Logger
	total *prometheus.CounterVec

	mu   sync.Mutex
	told map[string]bool
}

// mostPanics is how many different panics are told: one may bear a number that is new each time.
const mostPanics = 100

func newPanics(log *zap.Logger, m *metrics) *panics {
	return &panics{log: log, total: m.panics, told: map[string]bool{}}
}

// first counts a panic, and tells whether it is to be logged.
func (p *panics) first(part, of, value string) bool {
	if p == nil {
		return false
	}
	p.total.WithLabelValues(part).Inc()
	key := part + " " + of + " " + value
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told[key] || len(p.told) >= mostPanics {
		return false
	}
	p.told[key] = true
	return true
}

// caught is to be called with what recover returned, in a deferred function. It tells whether there was a panic.
func (p *panics) caught(value any, part, of string) bool {
	if value == nil {
		return false
	}
	text := fmt.Sprint(value)
	if p.first(part, of, text) {
		p.log.Error("a panic in discovery was caught, and costs its part alone", zap.String("part", part), zap.String("of", of),
			zap.String("panic", text), zap.ByteString("stack", debug.Stack()))
	}
	return true
}

// try does something, and tells whether it did so without a panic.
func (p *panics) try(part, of string, f func()) (ok bool) {
	defer func() { ok = !p.caught(recover(), part, of) }()
	f()
	return true
}

// compileAlone is compile, of which a panic rejects one monitor.
func (d *Discovery) compileAlone(owner targets.Owner) (needy []*targets.Job) {
	var value any
	ok := func() (ok bool) {
		defer func() {
			value = recover()
			ok = !d.panics.caught(value, partMonitor, owner.String())
		}()
		needy = d.compile(owner)
		return true
	}()
	if ok {
		return needy
	}
	d.panics.try(partMonitor, owner.String(), func() {
		next := &monitorState{state: Rejected, reason: fmt.Sprintf("panic: %v", value)}
		if old := d.monitors[owner]; old != nil {
			next.refs, next.told = old.refs, old.told
		}
		d.monitors[owner] = next
		d.replace(owner, nil)
	})
	return nil
}
