package relay

import (
	"sync"
	"time"
)

const (
	// leastSend is how many samples a request may always have.
	minSamples = 50
	// shrinkAfter is how many requests in a row must be too large before all become smaller: one alone may hold one large sample.
	shrinkAfter = 2
	// growAfter is how long requests must be taken before they become larger again.
	growAfter = 2 * time.Second
)

// size is how many samples a request may have. It shrinks while the receiver finds requests too large, and grows back.
type requestSize struct {
	max int // by the configuration

	mu      sync.Mutex // guards what follows
	current     int
	refused int       // requests of this size in a row that were too large
	changed time.Time // when now was
}

func newRequestSize(most int) *requestSize { return &requestSize{max: most, current: most} }

// samples returns how many samples a request may have.
func (s *requestSize) samples() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// tooLarge takes note that a request of n samples was. It returns the new size, 0 where it stays.
func (s *requestSize) tooLarge(n int, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if 2*n < s.current { // an old or a small one says nothing of this size
		return 0
	}
	if s.refused++; s.refused < shrinkAfter || s.current <= minSamples {
		return 0
	}
	s.current, s.refused, s.changed = max(s.current/2, min(minSamples, s.max)), 0, now
	return s.current
}

// taken takes note that a request of n samples was.
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
