package relay

import (
	"sync"
	"time"
)

const (
	// allOrNothingLife is how long it is believed that the receiver stores nothing of a request that it refuses.
	allOrNothingLife = 10 * time.Minute
	// inconsistentLife is how long it is believed that the receiver refuses what it accepts at another time.
	inconsistentLife = 10 * time.Minute
	// tooOldLife is how long it is believed that samples of an age are refused.
	tooOldLife = 10 * time.Minute
	// maxLateSpent is how much time of all workers late single samples may cost. Beyond it they are dropped without a full search.
	// One second of the cost is forgotten every lateDecay seconds.
	maxLateSpent, lateDecay = 20 * time.Second, 6
	// maxLatency is how much of an answer's time counts for that. During the rest of a longer time the receiver was unreachable.
	maxLatency = 500 * time.Millisecond
)

// beliefs are what the splitter has found out about the receiver. They are forgotten after a while, since receivers change. A
// goroutine may lock mu while it holds the lock of the splitter.
type beliefs struct {
	mu                sync.Mutex    // guards what follows
	allOrNothingUntil time.Time     // until then: it stores nothing of a request that it refuses
	inconsistentUntil time.Time     // until then: it refuses what it accepts at another time
	tooOldUntil       time.Time     // until then: it refuses samples of tooOldAge or more
	tooOldAge         time.Duration // of samples
	lateSpent         time.Duration // cost of late single samples, as of lateSpentAt
	lateSpentAt       time.Time
}

// allOrNothing reports whether the receiver stores nothing of a request that it refuses.
func (b *beliefs) allOrNothing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.allOrNothingUntil)
}

func (b *beliefs) noteAllOrNothing() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allOrNothingUntil = time.Now().Add(allOrNothingLife)
}

// inconsistent reports whether the receiver refuses what it accepts at another time.
func (b *beliefs) inconsistent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.inconsistentUntil)
}

func (b *beliefs) noteInconsistent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inconsistentUntil = time.Now().Add(inconsistentLife)
}

// tooOld reports whether the receiver gives the age of these samples as the reason, and has refused younger ones for their age before.
func (b *beliefs) tooOld(ts []*timeSeries, v decision, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return v.tooOld && now.Before(b.tooOldUntil) && now.Sub(time.UnixMilli(newest(ts))) >= b.tooOldAge
}

// noteTooOld records that the receiver refuses all of these samples for their age.
func (b *beliefs) noteTooOld(ts []*timeSeries, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tooOldAge, b.tooOldUntil = now.Sub(time.UnixMilli(newest(ts))), now.Add(tooOldLife)
}

// manyLate reports whether late single samples have cost so much time that they are now dropped without a full search.
func (b *beliefs) manyLate(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lateSpent-now.Sub(b.lateSpentAt)/lateDecay > maxLateSpent
}

// noteLateTime counts the time that a late single sample has cost.
func (b *beliefs) noteLateTime(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.lateSpent = max(0, b.lateSpent-now.Sub(b.lateSpentAt)/lateDecay) + min(took, maxLatency)
	b.lateSpentAt = now
}

// newest returns the newest timestamp of some series, in milliseconds since the epoch.
func newest(ts []*timeSeries) int64 {
	at := int64(minTime)
	for _, s := range ts {
		for _, ms := range s.times() {
			at = max(at, ms)
		}
	}
	return at
}
