package order

import (
	"slices"
	"time"
)

const (
	// life is how long the guard remembers a series that no target feeds any more: as long as a
	// query finds it without a staleness marker. A target that moves to another job, or stops and
	// starts, still finds its series' timestamps.
	life = 5 * time.Minute
	// ForgetEvery is how often Forget is to be called.
	ForgetEvery = time.Minute
)

// Forget removes the series that no row has fed for five minutes and whose last sample is older
// than that. The age of the sample alone says little, because a page may have any timestamp. So the
// memory for series that are gone depends on how many go in six minutes: at 24 bytes each and 5 to
// 11 of the index, 5,000 a second are 1.8 million, and 70 MB.
func (g *Guard) Forget(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := now.Add(-life).UnixMilli()
	var unused []bool // by page
	for page := range (g.next + pageLen - 1) / pageLen {
		used := g.forgetIn(page, limit)
		unused = append(unused, !used && page > 0 && g.slots.pages[page].Load() != nil && (page+1)*pageLen <= g.next)
	}
	g.giveBack(unused)
	g.index.shrink(&g.slots)
}

// forgetIn does so for one page, and reports whether any of its slots is in use after that.
func (g *Guard) forgetIn(page uint32, limit int64) (used bool) {
	slots := g.slots.pages[page].Load()
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
		if s.idle++; s.idle < int32(life/ForgetEvery) || s.last.Load() >= limit {
			used = true
			continue
		}
		g.forgotten.Store(max(g.forgotten.Load(), s.last.Load()))
		g.remove(page*pageLen + uint32(i))
	}
	return used
}

// remove makes a slot free for another series.
func (g *Guard) remove(n uint32) {
	g.index.remove(&g.slots, n)
	s := g.slots.at(n)
	s.hash, s.idle = 0, 0
	g.free = append(g.free, n)
	delete(g.exemplars, n)
}

// giveBack gives back the memory of pages without a series.
func (g *Guard) giveBack(unused []bool) {
	if !slices.Contains(unused, true) {
		return
	}
	g.free = slices.DeleteFunc(g.free, func(n uint32) bool { return unused[n/pageLen] })
	g.free = slices.Clip(append([]uint32(nil), g.free...))
	for page, is := range unused {
		if is {
			g.slots.pages[page].Store(nil)
			g.holes = append(g.holes, uint32(page))
		}
	}
}

// Forgotten returns the newest timestamp of all series that were forgotten, MinInt64 if none was.
func (g *Guard) Forgotten() int64 { return g.forgotten.Load() }

// ForgetAfter forgets the samples and exemplars that are newer than limit, as if the newest of
// their series had been at floor. It returns how many series had such samples. Both are in
// milliseconds since the epoch.
func (g *Guard) ForgetAfter(limit, floor int64) (series int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for page := range (g.next + pageLen - 1) / pageLen {
		slots := g.slots.pages[page].Load()
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
		if e.Time > limit {
			delete(g.exemplars, n)
		}
	}
	return series
}
