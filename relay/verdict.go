package relay

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// asideFirst is how long a series is set aside the first time, asideMost the longest.
	asideFirst, asideMost = 2 * time.Second, 5 * time.Minute
	// asideHolds is how long a series may be set aside with the position waiting for it.
	asideHolds = 10 * time.Second
	// strikesAllowed is how often new samples of a series may be refused before it is set aside.
	strikesAllowed = 2
	// strikesForgiven is how many are left at the most when its samples are taken again.
	strikesForgiven = 3
	// strikeLife is after how long refusals of a series are forgotten.
	strikeLife = 2 * asideMost
	// tinyHold is how long a tiny request that is found too large is tried again before that is believed.
	tinyHold = 2 * time.Minute
	// confirmations is how often a suspect is sent again before it is convicted: one backend of several may refuse everything.
	// A receiver that was seen to take what it had refused is asked more often for a while, and what it takes is sent to it again as often.
	confirmations, fickleConfirmations = 2, 8
	// fickleLife is how long a receiver is fickle after that.
	fickleLife = 10 * time.Minute
)

// suspect is a sample that was refused alone.
type suspect struct {
	series  *timeSeries
	refusal decision
	passes  uint64 // how many requests of the destination had passed then
}

// judge convicts suspects, and returns those of which it cannot be said that the cause is in them: nothing passes, or they do after all.
func (t *triage) judge(ctx context.Context, p *part, f *search) (open []*timeSeries) {
	tried := map[uint32]bool{} // what became of the first suspect of a series: whether it is bad
	for _, s := range f.suspects {
		h := s.series.hash
		_, ok := tried[h]
		if (!ok || tried[h] && t.fickle()) && !s.refusal.late {
			bad := t.othersPass(ctx, s.passes) && !(s.refusal.tiny && time.Since(p.since) < tinyHold) && t.confirm(ctx, s.series)
			tried[h] = bad && ctx.Err() == nil
		}
		if tried[h] || s.refusal.late {
			t.convict(p, s.series, s.refusal, f.taken > 0 && 4*len(f.run) <= len(p.series))
		} else {
			open = append(open, s.series)
		}
	}
	return open
}

// confirm sends a suspect again, and tells whether it is refused each time. What is taken is sent once more, with what else there is of
// the series.
func (t *triage) confirm(ctx context.Context, s *timeSeries) bool {
	for n := 0; n < confirmations || n < fickleConfirmations && t.fickle(); n++ {
		if t.send(ctx, []*timeSeries{s}) == nil {
			t.learnFickle()
			return false
		}
	}
	return ctx.Err() == nil
}

// fickle tells whether the receiver took something lately that it had refused.
func (t *triage) fickle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.fickleUntil)
}

func (t *triage) learnFickle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fickleUntil = time.Now().Add(fickleLife)
}

// othersPass tells whether the receiver has taken something since so many requests had passed. If there was nothing that it could
// take, what it took last is sent to it once more: a sample that it has does no harm.
func (t *triage) othersPass(ctx context.Context, since uint64) bool {
	if t.sender.passes.Load() > since {
		return true
	}
	if t.sender.lastPassed.Load() == nil || t.budget.Wait(ctx) != nil {
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
func (t *triage) convict(p *part, s *timeSeries, v decision, alone bool) {
	reason := v.reason
	if v.late {
		reason = dropOutOfOrder
	}
	t.sender.log.Debug("samples dropped: refused alone", zap.Strings("series", s.labels), zap.Int64s("times", s.times()), zap.NamedError("err", v.err))
	t.sender.lose(decision{lost: s.all(), reason: reason, rule: v.rule, exemplars: len(s.exemplars) + len(s.spare), err: v.err})
	t.mu.Lock()
	defer t.mu.Unlock()
	var k strike
	if alone || !v.late {
		k = t.strikeLocked(p, s, time.Now())
	}
	m := t.members[s.hash]
	t.releaseLocked(s)
	if k.count < strikesAllowed {
		t.leaveLocked([]*timeSeries{s})
		return
	}
	m.pieces--
	delay := asideFirst
	if !v.late {
		delay = min(asideFirst<<min(k.count-strikesAllowed, 20), asideMost)
	}
	m.until, m.holds = time.Now().Add(delay), delay <= asideHolds
	waiting := m.waiting
	m.waiting = nil
	if m.aside {
		n, _ := count(waiting)
		t.aside -= n
	}
	m.aside = true
	for _, w := range waiting {
		t.keepAsideLocked(m, w)
	}
	t.changedLocked()
}

// strikeLocked counts the refusal of new samples of a series, once for each part.
func (t *triage) strikeLocked(p *part, s *timeSeries, now time.Time) strike {
	k := t.strikes[s.hash]
	if now.Sub(k.at) > strikeLife {
		k = strike{newest: minTime}
	}
	if times := s.times(); len(times) > 0 && times[len(times)-1] > k.newest {
		if k.by != p {
			k.count++
		}
		k.newest, k.at, k.by = times[len(times)-1], now, p
	}
	t.strikes[s.hash] = k
	return k
}

// giveUp ends series of which the receiver says that their samples come too late.
func (t *triage) giveUp(ts []*timeSeries, v decision) {
	n, exemplars := 0, 0
	for _, s := range ts {
		n, exemplars = n+s.all(), exemplars+len(s.exemplars)+len(s.spare)
	}
	t.sender.log.Debug("samples dropped: they come too late", zap.Int("samples", n), zap.Int("series", len(ts)), zap.NamedError("err", v.err))
	t.sender.lose(decision{lost: n, reason: dropOutOfOrder, rule: v.rule, exemplars: exemplars, err: v.err})
	t.sender.gate.passed()
	t.sender.tell.well()
	t.done(ts, false)
}

// lastTry sends series that it took too long to look into, then their newest samples alone, then each half of them, and gives up single
// series that are refused even so.
func (t *triage) lastTry(ctx context.Context, ts []*timeSeries, v decision) {
	got := t.send(ctx, ts)
	if got != nil && ctx.Err() == nil {
		for _, s := range ts {
			times := s.times()
			s.setApart(times[len(times)-1])
		}
		got = t.send(ctx, ts)
	}
	switch {
	case got == nil:
		t.done(ts, true)
	case ctx.Err() == nil && len(ts) > 1: // one that is late is not to cost the others
		for _, s := range ts {
			s.join()
		}
		t.lastTry(ctx, ts[:len(ts)/2], v)
		t.lastTry(ctx, ts[len(ts)/2:], v)
	case ctx.Err() == nil:
		t.giveUp(ts, v)
	}
}

// done ends the business with series: what waited for them is sent, and those for which nothing waits are members no more.
func (t *triage) done(ts []*timeSeries, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late, exemplars := 0, 0
	for _, s := range ts {
		t.releaseLocked(s)
		if !taken {
			continue
		}
		t.forgiveLocked(s)
		exemplars += len(s.spare)
		if s.older != nil {
			late += s.older.samples()
		}
	}
	t.sender.metrics.dropped.WithLabelValues(dropOutOfOrder).Add(float64(late))
	t.sender.metrics.droppedExemplars.WithLabelValues(dropRefused).Add(float64(exemplars))
	t.leaveLocked(ts)
}

// forgiveLocked takes one strike back.
func (t *triage) forgiveLocked(s *timeSeries) {
	if k, ok := t.strikes[s.hash]; k.count > 1 {
		k.count = min(k.count-1, strikesForgiven)
		t.strikes[s.hash] = k
	} else if ok {
		delete(t.strikes, s.hash)
	}
}

func (t *triage) leaveLocked(ts []*timeSeries) {
	var next []*timeSeries
	for _, s := range ts {
		m := t.members[s.hash]
		if m.pieces--; m.pieces > 0 {
			continue
		}
		if m.aside {
			if t.strikes[s.hash].count >= strikesAllowed {
				m.until = time.Now().Add(asideFirst)
				if len(m.waiting) == 0 {
					m.loose = nil
				}
				continue
			}
			n, _ := count(m.waiting)
			t.aside -= n
			m.aside = false
		}
		if len(m.waiting) == 0 {
			delete(t.members, s.hash)
			continue
		}
		next = append(next, m.waiting...)
		m.waiting = nil
	}
	t.pushLocked(merge(next), nil)
}
