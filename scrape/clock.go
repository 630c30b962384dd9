package scrape

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"promrelay/scrape/order"
)

// stepTolerance is how far the wall clock may move against the monotonic one, from one reading to
// the next, before the clock is treated as set. Time daemons adjust it by less all the time.
const stepTolerance = time.Second

// clock is the wall clock, which gives the samples their time, compared with the monotonic clock,
// which nobody can set. The cases:
//
//	it moves by less than stepTolerance  plans move with it, and nothing is logged
//	it goes ahead                        plans move with it. It may be right, so its samples are written
//	it goes back by up to MaxAhead       samples that are not newer than the written ones are dropped until it has caught up
//	it goes back by more                 the written ones are a mistake: the guard forgets them, and scraping goes on at once
type clock struct {
	read    func() (wall time.Time, mono time.Duration) // both of one instant; wall has no monotonic reading
	stepped func(step)                                  // called by now when the clock was set; may be nil

	mu     sync.Mutex // guards what follows
	wall   time.Time  // the last reading
	mono   time.Duration
	newest time.Time // the latest reading that is no mistake
	before time.Time // the latest reading before the clock went ahead, zero if it has gone back since, or never went

	behind atomic.Int64 // milliseconds since the epoch: up to here, samples of the present may have been written already
}

// step is how the clock was set.
type step struct {
	from, to time.Time // what it would show without the step, and what it shows
	mistaken time.Time // after a step back by more than order.MaxAhead: everything later is a mistake; else zero
	floor    time.Time // nothing later than this is right; zero if that is not known
}

func newClock() *clock {
	start := time.Now()
	c := &clock{read: func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(start)
	}}
	c.start()
	return c
}

func (c *clock) start() {
	c.wall, c.mono = c.read()
	c.newest = c.wall
	c.behind.Store(math.MinInt64)
}

// now returns the wall clock and its distance from the monotonic one, which changes when the clock
// is set. It calls stepped when it was.
func (c *clock) now() (wall time.Time, distance time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono := c.read()
	if c.moved(wall, mono).Abs() > stepTolerance {
		wall, mono = c.read() // the process may have been stopped between the two readings
	}
	by := c.moved(wall, mono)
	s := step{from: wall.Add(-by), to: wall}
	switch {
	case by > stepTolerance && c.before.IsZero():
		c.before = c.newest
	case by < -stepTolerance:
		if limit := wall.Add(order.MaxAhead); c.newest.After(limit) {
			s.mistaken = limit
			if !c.before.After(limit) {
				s.floor = c.before
			}
			c.newest = s.floor
			c.behind.Store(math.MinInt64)
		}
		c.before = time.Time{}
	}
	if c.newest.After(wall) {
		c.behind.Store(c.newest.UnixMilli())
	} else {
		c.newest = wall
	}
	c.wall, c.mono = wall, mono
	if by.Abs() > stepTolerance && c.stepped != nil {
		c.stepped(s)
	}
	return wall, time.Duration(wall.UnixNano()) - mono
}

// moved returns how far the wall clock was set since the last reading.
func (c *clock) moved(wall time.Time, mono time.Duration) time.Duration {
	return wall.Sub(c.wall) - (mono - c.mono)
}

// restored notes that the log holds samples up to ms.
func (c *clock) restored(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := time.UnixMilli(ms); t.After(c.newest) {
		c.newest = t
		c.behind.Store(ms)
	}
}

// isBehind reports whether the clock once showed ms or later.
func (c *clock) isBehind(ms int64) bool { return ms <= c.behind.Load() }

// limit returns the latest timestamp that a sample may bear now, in milliseconds since the epoch.
func (c *clock) limit() int64 {
	wall, _ := c.read()
	return wall.Add(order.MaxAhead).UnixMilli()
}
