// Package order keeps the samples of each series in order of time, whichever targets give them and
// across restarts.
//
// A Guard knows the timestamp of the newest sample, and the newest exemplar, of every series of the
// process. A sample that is not newer is dropped before it reaches the log, as tsdb/agent does. The
// guard of a new process learns from the log what the one before it wrote.
package order

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"promrelay/record"
)

// MaxAhead is how far ahead of the clock the timestamp of a sample may be.
const MaxAhead = 10 * time.Minute

// seed differs with each process. No hash made with it is written to disk.
var seed = maphash.MakeSeed()

// Guard knows the newest timestamp of every series. There is one for the process.
//
// A series is known by a slot. Slots are numbered and lie in pages that never move, so that a
// timestamp is read without a lock, and the series of one target lie side by side. A slot is found
// by the hash of the series' labels. The seed of the hash is secret, so nobody can make two series
// collide; that two of a million do by chance has a probability of 1 in 10^7.
type Guard struct {
	mu    sync.Mutex // see Lock; guards all but the timestamps, which are atomic
	slots slots
	next  uint32   // the lowest slot that was never used; slot 0 stays unused
	free  []uint32 // slots to use again
	holes []uint32 // pages below next whose memory was given back
	index index

	exemplars map[uint32]Exemplar // the newest one by slot

	forgotten atomic.Int64 // the newest timestamp of all series that were forgotten, milliseconds since the epoch
	restored  Restored
}

// Restored is the result of RestoreFrom.
type Restored struct {
	Newest int64 // time of the latest scrape, milliseconds since the epoch, 0 for none
	Ahead  int   // scrapes that were skipped because they were too far ahead of the clock
}

// New returns a guard that knows no series.
func New() *Guard {
	g := &Guard{next: 1, index: newIndex(), exemplars: map[uint32]Exemplar{}}
	g.forgotten.Store(math.MinInt64)
	return g
}

// Lock holds the guard while samples are filtered and appended to the log, so that the log has them
// in the order in which they were filtered.
func (g *Guard) Lock() { g.mu.Lock() }

// Unlock ends what Lock began.
func (g *Guard) Unlock() { g.mu.Unlock() }

// Acquire returns the slot of the series with these labels, in the encoding of labels.Labels.Bytes,
// and whether another row feeds it. The series keeps the slot until it is released as often as it
// was acquired, and some time longer.
func (g *Guard) Acquire(series []byte) (slot uint32, shared bool) {
	return g.acquire(maphash.Bytes(seed, series))
}

func (g *Guard) acquire(hash uint64) (slot uint32, shared bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.findOrAdd(hash)
	s := g.slots.at(n)
	s.refs++
	return n, s.refs > 1
}

// Release is called once for each Acquire, when the row that fed the series is gone.
func (g *Guard) Release(slot uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots.at(slot).refs--
}

// findOrAdd returns the slot of the hash. A hash that is not known gets a new one.
func (g *Guard) findOrAdd(hash uint64) uint32 {
	n, at := g.index.find(&g.slots, hash)
	if n != 0 {
		return n
	}
	if g.index.full() {
		g.index.resize(&g.slots, 2*len(g.index.table))
		_, at = g.index.find(&g.slots, hash)
	}
	n = g.unused()
	s := g.slots.at(n)
	s.hash = hash
	s.last.Store(math.MinInt64)
	g.index.add(at, n)
	return n
}

// unused returns a slot that no series has.
func (g *Guard) unused() uint32 {
	if k := len(g.holes); k > 0 && len(g.free) == 0 {
		hole := g.holes[k-1]
		g.holes = g.holes[:k-1]
		g.slots.pages[hole].Store(new(page))
		for n := (hole + 1) * pageLen; n > hole*pageLen; n-- {
			g.free = append(g.free, n-1)
		}
	}
	if k := len(g.free); k > 0 {
		n := g.free[k-1]
		g.free = g.free[:k-1]
		return n
	}
	n := g.next
	if g.slots.pages[n/pageLen].Load() == nil {
		g.slots.pages[n/pageLen].Store(new(page))
	}
	g.next++
	return n
}

// Last returns the timestamp of the series' newest sample, MinInt64 if there is none. It takes no
// lock.
func (g *Guard) Last(slot uint32) int64 { return g.slots.at(slot).last.Load() }

// FilterLocked drops the samples of s that are not newer than the last one of their series, and
// notes the timestamps of the others. Slots are those of the rows of s. It returns how many samples
// it dropped: behind counts those that have the time of the scrape while the clock is behind, late
// counts the others.
func (g *Guard) FilterLocked(slots []uint32, s *record.Scrape, clockBehind bool) (late, behind int) {
	drop := func(ms int64) {
		if clockBehind && ms == s.Time {
			behind++
		} else {
			late++
		}
	}
	for row := range s.Values {
		if !s.Present.Has(row) {
			continue
		}
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		if last := &g.slots.at(slots[row]).last; ms > last.Load() {
			last.Store(ms)
		} else {
			s.Present.Clear(row)
			drop(ms)
		}
	}
	kept := s.Irregular[:0]
	for _, e := range s.Irregular {
		if e.Kind != record.Exemplar {
			last := &g.slots.at(slots[e.Row]).last
			if e.Time <= last.Load() {
				drop(e.Time)
				continue
			}
			last.Store(e.Time)
		}
		kept = append(kept, e)
	}
	s.Irregular = kept
	return late, behind
}

// AddExemplar makes e the newest exemplar of a series, if it is newer. Old is the one before it, if
// there was one.
func (g *Guard) AddExemplar(slot uint32, e Exemplar) (old Exemplar, had, added bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, had = g.exemplars[slot]; had && !old.before(e) {
		return old, had, false
	}
	g.exemplars[slot] = e
	return old, had, true
}

// UndoExemplar undoes an AddExemplar of e that returned old and had, unless another exemplar
// followed e.
func (g *Guard) UndoExemplar(slot uint32, e, old Exemplar, had bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch now, ok := g.exemplars[slot]; {
	case !ok || now != e:
	case had:
		g.exemplars[slot] = old
	default:
		delete(g.exemplars, slot)
	}
}

// ForgetExemplarsLocked forgets the exemplars of some series that are newer than limit,
// milliseconds since the epoch.
func (g *Guard) ForgetExemplarsLocked(slots []uint32, limit int64) {
	for _, n := range slots {
		if e, ok := g.exemplars[n]; ok && e.Time > limit {
			delete(g.exemplars, n)
		}
	}
}

// Restored returns what RestoreFrom found.
func (g *Guard) Restored() Restored { return g.restored }

// Series returns how many series the guard knows.
func (g *Guard) Series() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.index.count
}
