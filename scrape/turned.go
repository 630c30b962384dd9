package scrape

import (
	"sync/atomic"
	"time"
)

// progress records when the pool last did something. A probe reads it, so it waits for no lock.
type progress struct {
	made     time.Time
	ticked   atomic.Int64 // when Run last went round its loop, in nanoseconds since made; 0 for never
	scraped  atomic.Int64 // when a scrape last ended or a loop began
	shortest atomic.Int64 // interval of all targets, in nanoseconds; 0 if there are none
}

func (p *progress) tick()   { p.ticked.Store(int64(time.Since(p.made))) }
func (p *progress) scrape() { p.scraped.Store(int64(time.Since(p.made))) }

// turned returns the earlier of the two times, after adding two of the shortest intervals to that
// of the scrape.
func (p *progress) turned() time.Time {
	ticked := p.ticked.Load()
	if ticked == 0 {
		return time.Time{}
	}
	if shortest := p.shortest.Load(); shortest > 0 {
		ticked = min(ticked, p.scraped.Load()+2*shortest)
	}
	return p.made.Add(time.Duration(ticked))
}

// shorter returns the shorter of two intervals; 0 stands for none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Turned returns when the pool last advanced as a whole: its own loop turned and, if there are
// targets, some scrape ended. It is zero before Run.
func (p *Pool) Turned() time.Time { return p.progress.turned() }
