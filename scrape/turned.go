package scrape

import (
	"sync/atomic"
	"time"
)

// progress is the time at which the pool last did something.
type progress struct {
	made    time.Time
	ticked  atomic.Int64 // when Run turned, in nanoseconds since made; 0 for never
	scraped atomic.Int64 // when a scrape ended or a loop began
}

func (p *progress) tick()   { p.ticked.Store(int64(time.Since(p.made))) }
func (p *progress) scrape() { p.scraped.Store(int64(time.Since(p.made))) }

// turned returns the earlier of the two times, after adding two of the shortest intervals to that
// of the scrape. Shortest is 0 if there are no targets.
func (p *progress) turned(shortest time.Duration) time.Time {
	ticked := p.ticked.Load()
	if ticked == 0 {
		return time.Time{}
	}
	if shortest > 0 {
		ticked = min(ticked, p.scraped.Load()+int64(2*shortest))
	}
	return p.made.Add(time.Duration(ticked))
}

// Turned returns when the pool last advanced as a whole: its own loop turned and, if there are
// targets, some scrape ended. It is zero before Run.
func (p *Pool) Turned() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	shortest := time.Duration(0)
	for _, j := range p.jobs {
		for _, l := range j.loops {
			if every := l.interval(); shortest == 0 || every < shortest {
				shortest = every
			}
		}
	}
	return p.progress.turned(shortest)
}

func (l *loop) interval() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.target.Interval
}
