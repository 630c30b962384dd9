package relay

import (
	"sync"
	"time"
)

// heartbeat is the last time that a destination advanced.
type heartbeat struct {
	mu sync.Mutex
	at time.Time
}

// now records that the destination advances.
func (h *heartbeat) now() { h.until(0) }

// until records that the destination advances, and that it may then wait on purpose for a duration.
func (h *heartbeat) until(wait time.Duration) {
	at := time.Now().Add(wait)
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.After(h.at) {
		h.at = at
	}
}

func (h *heartbeat) last() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// Turned returns, by name, the last time that each destination advanced: it read the log, sent a request or decided to wait. A time in
// the future means that the destination waits on purpose until then. The time is zero before Run.
func (r *Relay) Turned() map[string]time.Time {
	out := map[string]time.Time{}
	for _, n := range r.runners() {
		d := n.current.Load()
		out[d.position.Label()] = d.sender.heartbeat.last()
	}
	return out
}
