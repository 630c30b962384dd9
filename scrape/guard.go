package scrape

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// seed is of this process only; no hash made with it reaches a disk.
var seed = maphash.MakeSeed()

// Guard knows the last timestamp of every series, whichever targets give it, so that a sample that
// is not newer is dropped before the WAL (tsdb/agent does the same). It is one for the process.
//
// A series has a slot: slots are numbered, in pages that never move, so that reading a timestamp
// needs no lock and rows of one target lie side by side. Slots are found by a hash of the labels;
// with a seed that nobody knows, two series of the same 64-bit hash are not met with.
type Guard struct {
	// mu is held while samples are checked and appended to the log, so that what is newer here is later there.
	mu    sync.Mutex
	pages [1 << 14]atomic.Pointer[guardPage]
	next  uint32   // the lowest slot never used; slot 0 stays unused
	free  []uint32 // slots to use again
	holes []uint32 // pages below next that were given back
	index []uint32 // slots by hash: open addressing, a power of two long, 0 is free
	count int      // slots in index

	exemplars map[uint32]lastExemplar // by slot

	forgotten atomic.Int64 // the newest timestamp of the series that were forgotten, milliseconds since the epoch
	restored  restored
}

// restored is what the guard learnt from the log.
type restored struct {
	newest int64 // time of the latest scrape, milliseconds since the epoch
	ahead  int   // scrapes whose time is a mistake: too far ahead of the clock
}

const guardPageLen = 1 << 13

type guardPage [guardPageLen]guardSlot

type guardSlot struct {
	hash uint64
	last atomic.Int64 // milliseconds since the epoch
	refs int32        // rows of tables that feed the series; guarded by mu
	idle int32        // how many times in turn forget found none; guarded by mu
}

// NewGuard returns a guard that knows no series.
func NewGuard() *Guard {
	g := &Guard{next: 1, index: make([]uint32, leastIndex), exemplars: map[uint32]lastExemplar{}}
	g.forgotten.Store(math.MinInt64)
	return g
}

func hashLabels(ls labels.Labels, buf []byte) uint64 { return maphash.Bytes(seed, ls.Bytes(buf[:0])) }

func (g *Guard) slot(n uint32) *guardSlot { return &g.pages[n/guardPageLen].Load()[n%guardPageLen] }

// acquire returns the slot of the series with this hash of its labels, and whether another row feeds it.
// The slot stays the series' until it is released as often as it was acquired, and some time longer.
func (g *Guard) acquire(hash uint64) (slot uint32, shared bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.find(hash)
	s := g.slot(n)
	s.refs++
	return n, s.refs > 1
}

func (g *Guard) release(slot uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slot(slot).refs--
}

// find returns the slot with the hash, a new one if need be.
func (g *Guard) find(hash uint64) uint32 {
	mask := uint64(len(g.index) - 1)
	i := hash & mask
	for ; g.index[i] != 0; i = (i + 1) & mask {
		if g.slot(g.index[i]).hash == hash {
			return g.index[i]
		}
	}
	if 4*g.count >= 3*len(g.index) {
		g.resize(2 * len(g.index))
		return g.find(hash)
	}
	n := g.unused()
	s := g.slot(n)
	s.hash = hash
	s.last.Store(math.MinInt64)
	g.index[i] = n
	g.count++
	return n
}

// unused returns a slot that no series has.
func (g *Guard) unused() uint32 {
	if k := len(g.holes); k > 0 && len(g.free) == 0 {
		hole := g.holes[k-1]
		g.holes = g.holes[:k-1]
		g.pages[hole].Store(new(guardPage))
		for n := (hole + 1) * guardPageLen; n > hole*guardPageLen; n-- {
			g.free = append(g.free, n-1)
		}
	}
	if k := len(g.free); k > 0 {
		n := g.free[k-1]
		g.free = g.free[:k-1]
		return n
	}
	n := g.next
	if g.pages[n/guardPageLen].Load() == nil {
		g.pages[n/guardPageLen].Store(new(guardPage))
	}
	g.next++
	return n
}

// leastIndex is how long the index is at the least.
const leastIndex = 1024

// resize makes the index so long.
func (g *Guard) resize(size int) {
	old := g.index
	g.index = make([]uint32, size)
	mask := uint64(len(g.index) - 1)
	for _, n := range old {
		if n == 0 {
			continue
		}
		i := g.slot(n).hash & mask
		for g.index[i] != 0 {
			i = (i + 1) & mask
		}
		g.index[i] = n
	}
}

// last returns the timestamp of the series' newest sample, MinInt64 if it has none.
func (g *Guard) last(slot uint32) int64 { return g.slot(slot).last.Load() }

// restore tells of the newest sample and exemplar of a series that are in the log already, from before this process. A time
// of MinInt64 means that there is none.
func (g *Guard) restore(ls labels.Labels, ms int64, e lastExemplar) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.find(hashLabels(ls, nil))
	if s := g.slot(n); s.last.Load() < ms {
		s.last.Store(ms)
	}
	if old, ok := g.exemplars[n]; e.ms != math.MinInt64 && (!ok || old.before(e)) {
		g.exemplars[n] = e
	}
}

// forget drops the series that no row fed in so many calls of it, and whose last sample is older than before. Until then a
// target that moves to another job, or stops and starts, still finds its series' timestamps. The age of the sample alone says
// little: a page may bear any timestamp. So what is kept of series that are gone is bounded by how many go in seriesLife and
// a minute, at 24 bytes each and 5 to 11 of the index; 5,000 a second are 1.8 million, and 70 MB.
func (g *Guard) forget(before time.Time, calls int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := before.UnixMilli()
	var unused []bool // by page
	for page := range (g.next + guardPageLen - 1) / guardPageLen {
		used := g.forgetIn(page, limit, calls)
		unused = append(unused, !used && page > 0 && g.pages[page].Load() != nil && (page+1)*guardPageLen <= g.next)
	}
	g.giveBack(unused)
}

// forgetIn does so for one page, and tells whether any of its slots is in use after that.
func (g *Guard) forgetIn(page uint32, limit int64, calls int32) (used bool) {
	slots := g.pages[page].Load()
	if slots == nil {
		return false
	}
	for i := range slots {
		s := &slots[i]
		if s.refs > 0 || s.hash == 0 {
			s.idle = 0
			used = used || s.refs > 0
			continue
		}
		if s.idle++; s.idle < calls || s.last.Load() >= limit {
			used = true
			continue
		}
		g.forgotten.Store(max(g.forgotten.Load(), s.last.Load()))
		g.remove(page*guardPageLen + uint32(i))
	}
	return used
}

// giveBack gives back the memory of pages without a series, and that of an index that is much too long.
func (g *Guard) giveBack(unused []bool) {
	if slices.Contains(unused, true) {
		g.free = slices.DeleteFunc(g.free, func(n uint32) bool { return unused[n/guardPageLen] })
		g.free = slices.Clip(append([]uint32(nil), g.free...))
		for page, is := range unused {
			if is {
				g.pages[page].Store(nil)
				g.holes = append(g.holes, uint32(page))
			}
		}
	}
	size := len(g.index)
	for size > leastIndex && 8*g.count < size {
		size /= 2
	}
	if size < len(g.index) {
		g.resize(size)
	}
}

// remove takes slot n out of the index, and closes the gap that it leaves.
func (g *Guard) remove(n uint32) {
	mask := uint64(len(g.index) - 1)
	i := g.slot(n).hash & mask
	for g.index[i] != n {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; g.index[j] != 0; j = (j + 1) & mask {
		if home := g.slot(g.index[j]).hash & mask; (j-home)&mask >= (j-i)&mask {
			g.index[i] = g.index[j]
			i = j
		}
	}
	g.index[i] = 0
	g.count--
	g.slot(n).hash, g.slot(n).idle = 0, 0
	g.free = append(g.free, n)
	delete(g.exemplars, n)
}

// forgetAhead makes the guard forget the samples and exemplars that are newer than limit, as if their series' newest
// had been at floor, and returns how many series had one. Both are milliseconds since the epoch.
func (g *Guard) forgetAhead(limit, floor int64) (series int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for page := range (g.next + guardPageLen - 1) / guardPageLen {
		slots := g.pages[page].Load()
		if slots == nil {
			continue
		}
		for i := range slots {
			if s := &slots[i]; s.last.Load() > limit {
				s.last.Store(floor)
				series++
			}
		}
	}
	for n, e := range g.exemplars {
		if e.ms > limit {
			delete(g.exemplars, n)
		}
	}
	return series
}

// forgetExemplarsLocked makes the guard forget the exemplars of some series that are newer than limit.
func (g *Guard) forgetExemplarsLocked(slots []uint32, limit int64) {
	for _, n := range slots {
		if e, ok := g.exemplars[n]; ok && e.ms > limit {
			delete(g.exemplars, n)
		}
	}
}

// lastExemplar is what the guard knows of the newest exemplar of a series.
type lastExemplar struct {
	ms     int64 // milliseconds since the epoch: its own, else the scrape's
	own    bool
	value  float64
	labels uint64 // hash
}

// before tells whether e comes after the newest exemplar old: by its timestamp, among equal ones by value, then labels. So
// the exemplars of a native histogram pass once, though the page repeats them (validateExemplar of tsdb's exemplar storage).
func (old lastExemplar) before(e lastExemplar) bool {
	if e.value == old.value && e.labels == old.labels && !e.own && !old.own {
		return false
	}
	return cmp.Or(cmp.Compare(old.ms, e.ms), cmp.Compare(old.value, e.value), cmp.Compare(old.labels, e.labels)) < 0
}

// newExemplar tells whether an exemplar is newer than those that the series had. It then is the newest. Old is the one that was, if
// there was one.
func (g *Guard) newExemplar(slot uint32, e lastExemplar) (old lastExemplar, had, newer bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, had = g.exemplars[slot]; had && !old.before(e) {
		return old, had, false
	}
	g.exemplars[slot] = e
	return old, had, true
}

// takeBack makes old, if there was one, the newest exemplar of a series again, unless another one followed e.
func (g *Guard) takeBack(slot uint32, e, old lastExemplar, had bool) {
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

// Series returns how many series the guard knows.
func (g *Guard) Series() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}
