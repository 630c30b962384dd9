package scrape

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"promrelay/scrape/order"
)

// stepTolerance is how far the wall clock may move against the monotonic one, from one look to the next, without being told
// of: time daemons set it by less all the time.
const stepTolerance = time.Second

// clock is the wall clock, which samples bear, watched beside the monotonic one, which nobody can set. What can come of it:
//
//	moves by less than stepTolerance  plans move with it, and nothing is told
//	goes ahead                        plans move with it. That it is wrong cannot be known, so its samples are written
//	goes back by up to order.MaxAhead       samples that are not newer than what was written are dropped until it is as late again
//	goes back by more                 what was written is taken for a mistake: the guard forgets it, scraping goes on at once
type clock struct {
	read    func() (wall time.Time, mono time.Duration) // both of one instant; the wall clock without a monotonic reading
	stepped func(step)                                  // called by now; may be nil

	mu     sync.Mutex // guards what follows
	wall   time.Time  // when it was looked at last
	mono   time.Duration
	newest time.Time // the latest reading; what is taken for a mistake left out
	before time.Time // the latest reading before the clock went ahead, zero if it did not since it went back

	behind atomic.Int64 // milliseconds since the epoch: up to here samples may have been written already though they are new
}

// step is what a clock that was set did.
type step struct {
	from, to time.Time // what it would show now, and shows
	mistaken time.Time // going back by more than order.MaxAhead: what is later than this is a mistake; else zero
	floor    time.Time // nothing that was no mistake is later; zero if that is not known
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

// now returns the wall clock and its distance from the monotonic one, which changes when the clock is set, and does what
// is to be done when it was.
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

// moved returns how far the wall clock was set since it was looked at last.
func (c *clock) moved(wall time.Time, mono time.Duration) time.Duration {
	return wall.Sub(c.wall) - (mono - c.mono)
}

// restored tells the clock that the log holds samples up to ms.
func (c *clock) restored(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := time.UnixMilli(ms); t.After(c.newest) {
		c.newest = t
		c.behind.Store(ms)
	}
}

// isBehind tells whether the clock was later before than ms.
func (c *clock) isBehind(ms int64) bool { return ms <= c.behind.Load() }

// limit is the latest timestamp that anything may bear now, in milliseconds since the epoch.
func (c *clock) limit() int64 {
	wall, _ := c.read()
	return wall.Add(order.MaxAhead).UnixMilli()
}
