package relay

import (
	"context"
	"time"
)

func (t *splitter) newPart(ts []*timeSeries, v *decision) *part {
	return &part{series: ts, refusedAt: time.Now(), refusal: v, passesBefore: t.sender.passes.Load(), pause: t.sender.newBackoff()}
}

// next returns the next part to send, nil when ctx has ended. Extra workers get parts only while many samples come too late.
func (t *splitter) next(ctx context.Context, extra bool) *part {
	for ctx.Err() == nil {
		p, wait, change := t.tryNext(extra)
		if p != nil {
			return p
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-change:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// tryNext returns the next part to send. If there is none, there may be one after wait or a change.
func (t *splitter) tryNext(extra bool) (p *part, wait time.Duration, change <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); !extra || t.manyLate(now) {
		p, wait = t.nextLocked(now)
		return p, wait, t.change
	}
	return nil, time.Hour, t.change
}

// nextLocked returns the oldest part, else a series set aside that is due. If there is neither, the next one is due after wait.
func (t *splitter) nextLocked(now time.Time) (p *part, wait time.Duration) {
	if len(t.parts) > 0 {
		p, t.parts = t.parts[0], t.parts[1:]
		return p, 0
	}
	wait = time.Hour
	for _, m := range t.series {
		if !m.aside || m.pieces > 0 || len(m.waiting) == 0 {
			continue
		}
		if d := m.retryAt.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		p = t.newPart(merge(m.waiting), nil)
		p.aside, m.pieces = true, len(p.series)
		n, _ := count(p.series)
		t.asideSamples -= n
		m.waiting = nil
		return p, 0
	}
	return nil, wait
}

// requeueLocked makes parts from ts. No other part may have samples of these series. After is the earlier part of ts if the receiver
// refused everything of it; else nil.
func (t *splitter) requeueLocked(ts []*timeSeries, after *part) {
	for _, s := range ts {
		t.series[s.hash].pieces = 0
	}
	for _, s := range ts {
		t.series[s.hash].pieces++
	}
	t.addPartsLocked(ts, after)
	t.notifyLocked()
}

// addPartsLocked makes parts from ts, each at most as large as a request may be. After is the same as in requeueLocked.
func (t *splitter) addPartsLocked(ts []*timeSeries, after *part) {
	limit := t.sender.size.samples()
	if after == nil {
		ts = t.fillLastPartLocked(ts, limit)
	}
	for len(ts) > 0 {
		n, samples := 0, 0
		for n < len(ts) && (n == 0 || samples+ts[n].samples() <= limit) {
			samples += ts[n].samples()
			n++
		}
		p := t.newPart(ts[:n:n], nil)
		if after != nil {
			p.pause, p.rounds, p.refusedAt = after.pause, after.rounds+1, after.refusedAt
		}
		t.parts = append(t.parts, p)
		ts = ts[n:]
	}
}

// fillLastPartLocked adds series to the last part if that was not sent yet and has room. It returns the other series. Without this,
// series that were once sent one by one would be sent one by one for ever.
func (t *splitter) fillLastPartLocked(ts []*timeSeries, limit int) []*timeSeries {
	if len(t.parts) == 0 {
		return ts
	}
	p := t.parts[len(t.parts)-1]
	if p.refusal != nil || p.rounds > 0 || p.aside || p.alone {
		return ts
	}
	samples, _ := count(p.series)
	for len(ts) > 0 && samples+ts[0].samples() <= limit {
		samples += ts[0].samples()
		p.series, ts = append(p.series, ts[0]), ts[1:]
	}
	return ts
}

// separateRefusedLocked makes a separate part for each series that was refused before. It returns the others: the receiver may accept
// them together.
func (t *splitter) separateRefusedLocked(ts []*timeSeries) (rest []*timeSeries) {
	for _, s := range ts {
		if t.refusals[s.hash].count == 0 {
			rest = append(rest, s)
		} else {
			p := t.newPart([]*timeSeries{s}, nil)
			p.alone = true
			t.parts = append(t.parts, p)
		}
	}
	return rest
}
