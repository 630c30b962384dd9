package relay

import (
	"sync"
	"time"
)

const (
	// minSamples is how many samples a request may have in any case.
	minSamples = 50
	// shrinkAfter is how many requests in a row must be too large before all become smaller. A single one may have one large sample.
	shrinkAfter = 2
	// growAfter is how long the receiver must accept requests before they become larger again.
	growAfter = 2 * time.Second
)

// requestSize is how many samples a request may have. It shrinks while the receiver finds requests too large, and grows back.
type requestSize struct {
	max int // by the configuration

	mu      sync.Mutex // guards what follows
	current int
	refused int       // requests of this size in a row that were too large
	changed time.Time // when current was
}

func newRequestSize(limit int) *requestSize { return &requestSize{max: limit, current: limit} }

// samples returns how many samples a request may have.
func (s *requestSize) samples() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// tooLarge records that the receiver found a request of n samples too large. It returns the size, and whether that has changed.
func (s *requestSize) tooLarge(n int, now time.Time) (size int, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if 2*n < s.current { // an old or a small request says nothing about this size
		return s.current, false
	}
	if s.refused++; s.refused < shrinkAfter || s.current <= minSamples {
		return s.current, false
	}
	s.current, s.refused, s.changed = max(s.current/2, min(minSamples, s.max)), 0, now
	return s.current, true
}

// accepted records that the receiver accepted a request of n samples.
func (s *requestSize) accepted(n int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if 2*n >= s.current {
		s.refused = 0
	}
	if s.current < s.max && 2*n >= s.current && now.Sub(s.changed) >= growAfter {
		s.current, s.changed = min(2*s.current, s.max), now
	}
}
