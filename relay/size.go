package relay

import (
	"sync"
	"time"
)

const (
	// leastSend is how many samples a request may always have.
	leastSend = 50
	// shrinkAfter is how many requests in a row must be too large before all become smaller: one alone may hold one large sample.
	shrinkAfter = 2
	// growAfter is how long requests must be taken before they become larger again.
	growAfter = 2 * time.Second
)

// size is how many samples a request may have. It shrinks while the receiver finds requests too large, and grows back.
type size struct {
	most int // by the configuration

	mu      sync.Mutex // guards what follows
	now     int
	refused int       // requests of this size in a row that were too large
	changed time.Time // when now was
}

func newSize(most int) *size { return &size{most: most, now: most} }

// samples returns how many samples a request may have.
func (s *size) samples() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// tooLarge takes note that a request of n samples was. It returns the new size, 0 where it stays.
func (s *size) tooLarge(n int, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if 2*n < s.now { // an old or a small one says nothing of this size
		return 0
	}
	if s.refused++; s.refused < shrinkAfter || s.now <= leastSend {
		return 0
	}
	s.now, s.refused, s.changed = max(s.now/2, min(leastSend, s.most)), 0, now
	return s.now
}

// taken takes note that a request of n samples was.
func (s *size) taken(n int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if 2*n >= s.now {
		s.refused = 0
	}
	if s.now < s.most && 2*n >= s.now && now.Sub(s.changed) >= growAfter {
		s.now, s.changed = min(2*s.now, s.most), now
	}
}
