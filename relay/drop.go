package relay

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// refusalsAllowed is how often new samples of a series may be refused alone before the series is set aside.
	refusalsAllowed = 2
	// maxRefusalsKept is how many refusals of a series still count, at most, after its samples were accepted again.
	maxRefusalsKept = 3
	// refusalLife is how long refusals of a series are remembered.
	refusalLife = 2 * maxAside
	// minAside is how long a series is set aside the first time. maxAside is the longest time.
	minAside, maxAside = 2 * time.Second, 5 * time.Minute
	// maxAsideHold is how long a series may be set aside while the position waits for it.
	maxAsideHold = 10 * time.Second
	// tinyRetryTime is how long a tiny request is tried again that the receiver finds too large. Then its samples are dropped.
	tinyRetryTime = 2 * time.Minute
	// confirmTries is how often a sample that was refused alone is tried again before it is dropped: one backend of several may refuse
	// everything. With an inconsistent receiver, there are inconsistentTries.
	confirmTries, inconsistentTries = 2, 8
)

// dropConfirmed drops the suspects that are the cause of their refusal: the receiver accepts other samples, and refuses these again.
// It returns the others. Late samples are dropped without this check: the receiver has named the cause.
func (t *splitter) dropConfirmed(ctx context.Context, p *part, f *search) (open []*timeSeries) {
	bad := map[uint32]bool{} // whether a series is the cause, by its first suspect
	for _, s := range f.suspects {
		h := s.series.hash
		_, known := bad[h]
		if (!known || bad[h] && t.inconsistent()) && !s.refusal.late {
			bad[h] = t.isCause(ctx, p, s)
		}
		if bad[h] || s.refusal.late {
			t.dropSuspect(p, s.series, s.refusal, f.accepted > 0 && 4*len(f.run) <= len(p.series))
		} else {
			open = append(open, s.series)
		}
	}
	return open
}

// isCause reports whether the samples of a suspect are the cause of their refusal.
func (t *splitter) isCause(ctx context.Context, p *part, s suspect) bool {
	if !t.othersPass(ctx, s.passesBefore) || s.refusal.tiny && time.Since(p.refusedAt) < tinyRetryTime {
		return false
	}
	return t.tryAgain(ctx, s.series) == refused
}

// tryAgain sends samples several times that were refused alone. Refused: they were refused each time.
func (t *splitter) tryAgain(ctx context.Context, s *timeSeries) end {
	for n := 0; n < confirmTries || n < inconsistentTries && t.inconsistent(); n++ {
		switch t.send(ctx, []*timeSeries{s}).end {
		case settled:
			t.noteInconsistent()
			return settled
		case cancelled:
			return cancelled
		case refused:
		}
	}
	return refused
}

// othersPass reports whether the receiver has accepted a request since sender.passes was since. If it has not, othersPass sends the
// last accepted sample once more. It does no harm to send a sample that the receiver has.
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

// dropSuspect drops samples that were refused alone. If this happens to a series again, the series is set aside. A series whose
// samples come too late is set aside only if few series were refused, and for a short time: so its samples do not spoil the requests
// of other series.
func (t *splitter) dropSuspect(p *part, s *timeSeries, v decision, few bool) {
	reason := v.reason
	if v.late {
		reason = dropOutOfOrder
	}
	t.sender.log.Debug("samples dropped: refused alone", zap.Strings("series", s.labels), zap.Int64s("times", s.times()), zap.NamedError("err", v.err))
	t.sender.lose(loss{lost: s.all(), reason: reason, rule: v.rule, exemplars: len(s.exemplars) + len(s.unsentExemplars), err: v.err})
	t.mu.Lock()
	defer t.mu.Unlock()
	var k refusalCount
	if few || !v.late {
		k = t.countRefusalLocked(p, s, time.Now())
	}
	t.releaseLocked(s)
	if k.count < refusalsAllowed {
		t.removeLocked([]*timeSeries{s})
		return
	}
	delay := minAside
	if !v.late {
		delay = min(minAside<<min(k.count-refusalsAllowed, 20), maxAside)
	}
	t.showAsideLocked(s, v.err)
	t.setAsideLocked(t.series[s.hash], delay)
}

// setAsideLocked sets a series aside, with its waiting samples. The series has one piece less: that piece was dropped.
func (t *splitter) setAsideLocked(m *seriesState, delay time.Duration) {
	m.pieces--
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

// countRefusalLocked counts the refusal of new samples of a series, once for each part.
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

// uncountRefusalLocked reduces the refusals of a series by one, since its samples were accepted.
func (t *splitter) uncountRefusalLocked(s *timeSeries) {
	if k, ok := t.refusals[s.hash]; k.count > 1 {
		k.count = min(k.count-1, maxRefusalsKept)
		t.refusals[s.hash] = k
	} else if ok {
		delete(t.refusals, s.hash)
	}
}

// dropLate drops the samples of these series: the receiver says that they come too late.
func (t *splitter) dropLate(ts []*timeSeries, v decision) {
	n, exemplars := 0, 0
	for _, s := range ts {
		n, exemplars = n+s.all(), exemplars+len(s.exemplars)+len(s.unsentExemplars)
	}
	t.sender.log.Debug("samples dropped: they come too late", zap.Int("samples", n), zap.Int("series", len(ts)), zap.NamedError("err", v.err))
	t.sender.lose(loss{lost: n, reason: dropOutOfOrder, rule: v.rule, exemplars: exemplars, err: v.err})
	t.sender.breaker.succeed()
	t.sender.report.recovered()
	t.finish(ts, false)
}

// tryOnceMore handles series whose search took too long. It sends all of them, then only their newest samples, then each half of the
// series in the same way. If a single series is refused even then, it is dropped as late.
func (t *splitter) tryOnceMore(ctx context.Context, ts []*timeSeries, v decision) {
	o := t.send(ctx, ts)
	if o.end == refused && ctx.Err() == nil {
		for _, s := range ts {
			times := s.times()
			s.withhold(times[len(times)-1])
		}
		o = t.send(ctx, ts)
	}
	switch {
	case o.end == settled:
		t.finish(ts, true)
	case ctx.Err() != nil:
	case len(ts) > 1: // the other series must not be lost because of a late one
		restored(ts)
		t.tryOnceMore(ctx, ts[:len(ts)/2], v)
		t.tryOnceMore(ctx, ts[len(ts)/2:], v)
	default:
		t.dropLate(ts, v)
	}
}

// finish handles series that were accepted or dropped. Samples that wait for them are sent next. If no samples wait for a series, it
// leaves the splitter.
func (t *splitter) finish(ts []*timeSeries, accepted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late, exemplars := 0, 0
	for _, s := range ts {
		t.releaseLocked(s)
		if !accepted {
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

// removeLocked removes one piece of each of ts. If a series has no more pieces, its waiting samples are sent next.
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
