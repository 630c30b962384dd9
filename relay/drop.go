package relay

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// asideFirst is how long a series is set aside the first time, asideMost the longest.
	minAside, maxAside = 2 * time.Second, 5 * time.Minute
	// asideHolds is how long a series may be set aside with the position waiting for it.
	maxAsideHold = 10 * time.Second
	// strikesAllowed is how often new samples of a series may be refused before it is set aside.
	refusalsAllowed = 2
	// strikesForgiven is how many are left at the most when its samples are taken again.
	maxRefusalsKept = 3
	// strikeLife is after how long refusals of a series are forgotten.
	refusalLife = 2 * maxAside
	// tinyHold is how long a tiny request that is found too large is tried again before that is believed.
	tinyRetryTime = 2 * time.Minute
	// confirmations is how often a suspect is sent again before it is convicted: one backend of several may refuse everything.
	// A receiver that was seen to take what it had refused is asked more often for a while, and what it takes is sent to it again as often.
	confirmTries, inconsistentTries = 2, 8
	// fickleLife is how long a receiver is fickle after that.
	inconsistentLife = 10 * time.Minute
)

// suspect is a sample that was refused alone.
type suspect struct {
	series  *timeSeries
	refusal decision
	passesBefore  uint64 // how many requests of the destination had passed then
}

// judge convicts suspects, and returns those of which it cannot be said that the cause is in them: nothing passes, or they do after all.
func (t *splitter) dropConfirmed(ctx context.Context, p *part, f *search) (open []*timeSeries) {
	tried := map[uint32]bool{} // what became of the first suspect of a series: whether it is bad
	for _, s := range f.suspects {
		h := s.series.hash
		_, ok := tried[h]
		if (!ok || tried[h] && t.inconsistent()) && !s.refusal.late {
			bad := t.othersPass(ctx, s.passesBefore) && !(s.refusal.tiny && time.Since(p.refusedAt) < tinyRetryTime) && t.refusedAgain(ctx, s.series)
			tried[h] = bad && ctx.Err() == nil
		}
		if tried[h] || s.refusal.late {
			t.dropSample(p, s.series, s.refusal, f.accepted > 0 && 4*len(f.run) <= len(p.series))
		} else {
			open = append(open, s.series)
		}
	}
	return open
}

// confirm sends a suspect again, and tells whether it is refused each time. What is taken is sent once more, with what else there is of
// the series.
func (t *splitter) refusedAgain(ctx context.Context, s *timeSeries) bool {
	for n := 0; n < confirmTries || n < inconsistentTries && t.inconsistent(); n++ {
		if t.send(ctx, []*timeSeries{s}) == nil {
			t.noteInconsistent()
			return false
		}
	}
	return ctx.Err() == nil
}

// fickle tells whether the receiver took something lately that it had refused.
func (t *splitter) inconsistent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.inconsistentUntil)
}

func (t *splitter) noteInconsistent() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inconsistentUntil = time.Now().Add(inconsistentLife)
}

// othersPass tells whether the receiver has taken something since so many requests had passed. If there was nothing that it could
// take, what it took last is sent to it once more: a sample that it has does no harm.
func (t *splitter) othersPass(ctx context.Context, since uint64) bool {
	if t.sender.passes.Load() > since {
		return true
	}
	if t.sender.lastPassed.Load() == nil || t.limiter.Wait(ctx) != nil {
		return false
	}
	last := t.sender.lastPassed.Load()
	ts, err := last.content()
	if err != nil {
		return false
	}
	times := ts[0].times()
	newest := ts[0].between(times[len(times)-1], maxTime)
	newest.exemplars = nil
	if _, v := t.sender.exchange(ctx, last.with([]*timeSeries{newest}, last.version), sent{}, ""); v.action == settle && v.lost == 0 {
		t.sender.passes.Add(1)
		return true
	}
	return false
}

// convict drops what was refused alone while others pass. A series of which that happens again is set aside. Where its samples come too
// late it is not bad: it is only sent apart, so that it does not spoil the requests of others; that is so where it was alone in that.
func (t *splitter) dropSample(p *part, s *timeSeries, v decision, alone bool) {
	reason := v.reason
	if v.late {
		reason = dropOutOfOrder
	}
	t.sender.log.Debug("samples dropped: refused alone", zap.Strings("series", s.labels), zap.Int64s("times", s.times()), zap.NamedError("err", v.err))
	t.sender.lose(decision{lost: s.all(), reason: reason, rule: v.rule, exemplars: len(s.exemplars) + len(s.unsentExemplars), err: v.err})
	t.mu.Lock()
	defer t.mu.Unlock()
	var k refusalCount
	if alone || !v.late {
		k = t.countRefusalLocked(p, s, time.Now())
	}
	m := t.series[s.hash]
	t.releaseLocked(s)
	if k.count < refusalsAllowed {
		t.removeLocked([]*timeSeries{s})
		return
	}
	m.pieces--
	delay := minAside
	if !v.late {
		delay = min(minAside<<min(k.count-refusalsAllowed, 20), maxAside)
	}
	m.retryAt, m.holdsPosition = time.Now().Add(delay), delay <= maxAsideHold
	waiting := m.waiting
	m.waiting = nil
	if m.aside {
		n, _ := count(waiting)
		t.asideSamples -= n
	}
	m.aside = true
	for _, w := range waiting {
		t.keepAsideLocked(m, w)
	}
	t.notifyLocked()
}

// strikeLocked counts the refusal of new samples of a series, once for each part.
func (t *splitter) countRefusalLocked(p *part, s *timeSeries, now time.Time) refusalCount {
	k := t.refusals[s.hash]
	if now.Sub(k.at) > refusalLife {
		k = refusalCount{newest: minTime}
	}
	if times := s.times(); len(times) > 0 && times[len(times)-1] > k.newest {
		if k.part != p {
			k.count++
		}
		k.newest, k.at, k.part = times[len(times)-1], now, p
	}
	t.refusals[s.hash] = k
	return k
}

// giveUp ends series of which the receiver says that their samples come too late.
func (t *splitter) dropLate(ts []*timeSeries, v decision) {
	n, exemplars := 0, 0
	for _, s := range ts {
		n, exemplars = n+s.all(), exemplars+len(s.exemplars)+len(s.unsentExemplars)
	}
	t.sender.log.Debug("samples dropped: they come too late", zap.Int("samples", n), zap.Int("series", len(ts)), zap.NamedError("err", v.err))
	t.sender.lose(decision{lost: n, reason: dropOutOfOrder, rule: v.rule, exemplars: exemplars, err: v.err})
	t.sender.breaker.succeed()
	t.sender.report.recover()
	t.finish(ts, false)
}

// lastTry sends series that it took too long to look into, then their newest samples alone, then each half of them, and gives up single
// series that are refused even so.
func (t *splitter) tryOnceMore(ctx context.Context, ts []*timeSeries, v decision) {
	got := t.send(ctx, ts)
	if got != nil && ctx.Err() == nil {
		for _, s := range ts {
			times := s.times()
			s.withhold(times[len(times)-1])
		}
		got = t.send(ctx, ts)
	}
	switch {
	case got == nil:
		t.finish(ts, true)
	case ctx.Err() == nil && len(ts) > 1: // one that is late is not to cost the others
		for _, s := range ts {
			s.restore()
		}
		t.tryOnceMore(ctx, ts[:len(ts)/2], v)
		t.tryOnceMore(ctx, ts[len(ts)/2:], v)
	case ctx.Err() == nil:
		t.dropLate(ts, v)
	}
}

// done ends the business with series: what waited for them is sent, and those for which nothing waits are members no more.
func (t *splitter) finish(ts []*timeSeries, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late, exemplars := 0, 0
	for _, s := range ts {
		t.releaseLocked(s)
		if !taken {
			continue
		}
		t.uncountRefusalLocked(s)
		exemplars += len(s.unsentExemplars)
		if s.older != nil {
			late += s.older.samples()
		}
	}
	t.sender.metrics.dropped.WithLabelValues(dropOutOfOrder).Add(float64(late))
	t.sender.metrics.droppedExemplars.WithLabelValues(dropRefused).Add(float64(exemplars))
	t.removeLocked(ts)
}

// forgiveLocked takes one strike back.
func (t *splitter) uncountRefusalLocked(s *timeSeries) {
	if k, ok := t.refusals[s.hash]; k.count > 1 {
		k.count = min(k.count-1, maxRefusalsKept)
		t.refusals[s.hash] = k
	} else if ok {
		delete(t.refusals, s.hash)
	}
}

func (t *splitter) removeLocked(ts []*timeSeries) {
	var next []*timeSeries
	for _, s := range ts {
		m := t.series[s.hash]
		if m.pieces--; m.pieces > 0 {
			continue
		}
		if m.aside {
			if t.refusals[s.hash].count >= refusalsAllowed {
				m.retryAt = time.Now().Add(minAside)
				if len(m.waiting) == 0 {
					m.unheld = nil
				}
				continue
			}
			n, _ := count(m.waiting)
			t.asideSamples -= n
			m.aside = false
		}
		if len(m.waiting) == 0 {
			delete(t.series, s.hash)
			continue
		}
		next = append(next, m.waiting...)
		m.waiting = nil
	}
	t.requeueLocked(merge(next), nil)
}
