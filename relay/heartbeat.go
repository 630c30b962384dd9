package relay

import (
	"sync"
	"time"
)

// heartbeat is when a destination advanced last.
type heartbeat struct {
	mu sync.Mutex
	at time.Time
}

// now notes that the destination advances.
func (h *heartbeat) now() { h.until(0) }

// until notes that the destination advances, and may then wait on purpose for so long.
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

// Turned returns when each destination advanced last, by name: it read the log, sent a request or decided to wait. A time may lie ahead:
// until then the destination waits on purpose. It is zero before Run.
func (r *Relay) Turned() map[string]time.Time {
	out := map[string]time.Time{}
	for _, n := range r.runners() {
		d := n.current.Load()
		out[d.position.Label()] = d.sender.heartbeat.last()
	}
	return out
}
