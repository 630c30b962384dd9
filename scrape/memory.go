package scrape

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
)

// Scrapes together may use one part in memoryShare of the memory of the process. The rest is for
// tables, the guard, the log and destinations.
const (
	memoryShare   = 2
	defaultMemory = 1 << 30 // if the process has no limit
	minMemory     = 64 << 20
	memoryStep    = 64 << 10 // scrapes get multiples of it

	// One part in reserveShare of that is for small scrapes alone: a few large pages that arrive
	// slowly must not stop all other targets. A scrape is small up to one part in smallShare.
	reserveShare = 4
	smallShare   = 64
)

// memoryLimit returns how many bytes all scrapes may hold together, if the configuration sets no
// limit.
func memoryLimit() int64 {
	all := debug.SetMemoryLimit(-1) // reads the limit and changes nothing
	if all == math.MaxInt64 {
		return defaultMemory
	}
	return max(all/memoryShare, minMemory)
}

// memory bounds what all scrapes hold together.
type memory struct {
	limit   int64 // bytes, 0 for none
	reserve int64 // of limit, for small scrapes alone
	small   int64 // up to so many bytes, a scrape is small

	mu       sync.Mutex // guards what follows
	used     int64
	holders  int        // scrapes that hold some
	growing  []*request // of scrapes that hold some: they come first, since others wait for their end
	starting []*request // of scrapes that hold none
}

func newMemory(limit int64) *memory {
	return &memory{limit: limit, reserve: limit / reserveShare, small: limit / smallShare}
}

// room returns how many bytes may be in use after a scrape, small or not, got more.
func (m *memory) room(small bool) int64 {
	if small {
		return m.limit
	}
	return m.limit - m.reserve
}

// request is memory that a scrape waits for.
type request struct {
	bytes   int64
	small   bool
	answer  chan struct{} // closed when the scrape has it, or is refused
	refused bool          // set before answer is closed
}

// memoryError is why a scrape cannot have the memory that it needs.
type memoryError struct {
	need, limit int64
	waited      bool
}

func (e memoryError) Error() string {
	if e.waited {
		return fmt.Sprintf("scrape.memory_limit: other scrapes hold what this one needs, %d bytes; together they may hold %d", e.need, e.limit)
	}
	return fmt.Sprintf("scrape.memory_limit: this scrape needs %d bytes, all together may hold %d", e.need, e.limit)
}

// allowance is the memory that one scrape holds. One goroutine uses it.
type allowance struct {
	of   *memory
	held int64
}

// atLeast makes the allowance n bytes or more. It waits for other scrapes to end, as long as ctx
// lasts. It does not wait if all scrapes that hold memory wait for more, since none of them would
// end.
func (l *allowance) atLeast(ctx context.Context, n int64) error {
	m := l.of
	if n <= l.held || m.limit == 0 {
		return nil
	}
	room := m.room(n <= m.small)
	if n > room {
		return memoryError{need: n, limit: room}
	}
	n = min((n+memoryStep-1)/memoryStep*memoryStep, room)
	if !m.take(ctx, n-l.held, l.held > 0, n <= m.small) {
		return memoryError{n, room, true}
	}
	l.held = n
	return nil
}

// take waits for so many bytes, and reports whether it got them. Holds means that the scrape has
// some memory already. A small scrape does not wait for larger ones that came before it.
func (m *memory) take(ctx context.Context, bytes int64, holds, small bool) bool {
	m.mu.Lock()
	if m.used+bytes <= m.room(small) && (small || len(m.growing) == 0 && (holds || len(m.starting) == 0)) {
		m.giveLocked(bytes, holds)
		m.mu.Unlock()
		return true
	}
	if holds && len(m.growing)+1 >= m.holders {
		m.mu.Unlock()
		return false
	}
	w := &request{bytes: bytes, small: small, answer: make(chan struct{})}
	queue := &m.starting
	if holds {
		queue = &m.growing
	}
	*queue = append(*queue, w)
	m.mu.Unlock()
	select {
	case <-w.answer:
		return !w.refused
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(*queue, w)
	if i < 0 {
		return !w.refused // the answer came at the same moment
	}
	*queue = slices.Delete(*queue, i, i+1)
	m.nextLocked()
	return false
}

// giveLocked gives memory to a scrape.
func (m *memory) giveLocked(bytes int64, holds bool) {
	m.used += bytes
	if !holds {
		m.holders++
	}
}

// nextLocked gives free memory to those that wait, in their order.
func (m *memory) nextLocked() {
	full := false // for those that are not small
	for _, queue := range [...]*[]*request{&m.growing, &m.starting} {
		*queue = slices.DeleteFunc(*queue, func(w *request) bool {
			if full && !w.small || m.used+w.bytes > m.room(w.small) {
				full = true
				return false
			}
			m.giveLocked(w.bytes, queue == &m.growing)
			close(w.answer)
			return true
		})
	}
	if full {
		m.refuseLocked()
	}
}

// refuseLocked refuses the last scrape that began to wait for more, if all scrapes that hold memory
// wait for more.
func (m *memory) refuseLocked() {
	if n := len(m.growing); n > 0 && n >= m.holders {
		w := m.growing[n-1]
		m.growing = m.growing[:n-1]
		w.refused = true
		close(w.answer)
	}
}

// release gives back all memory.
func (l *allowance) release() {
	if l.held == 0 {
		return
	}
	m := l.of
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= l.held
	l.held = 0
	m.holders--
	m.nextLocked()
}
