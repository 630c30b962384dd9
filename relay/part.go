package relay

import (
	"context"
	"time"
)

// work sends a part, and what it does not get rid of again, until ctx ends.
func (t *splitter) work(ctx context.Context, p *part) {
	if p.refusal == nil {
		p.passesBefore = t.sender.passes.Load()
		v := t.send(ctx, p.series)
		if v == nil {
			t.finish(p.series, true)
			return
		}
		p.refusal = v
		if !v.late && len(p.series) > 1 && t.splitOffRefused(p) {
			return
		}
	}
	open := p.series
	switch {
	case ctx.Err() != nil:
		t.countUnsent(p, open)
		return
	case p.rounds%3 == 2: // whether anything passes is asked with one request
	default:
		if open = t.resolve(ctx, p); len(open) == 0 {
			return
		}
	}
	t.retryLater(ctx, p, open)
}

// apart makes parts of the series of a part that were refused before, and one of the others. False: there are none.
func (t *splitter) splitOffRefused(p *part) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.separateRefusedLocked(p.series)
	if len(rest) == len(p.series) {
		return false
	}
	t.addPartsLocked(rest, nil)
	t.notifyLocked()
	return true
}

// leaveOff is for the end of ctx: samples of a series that is set aside, for which the position does not wait, are lost with it.
func (t *splitter) countUnsent(p *part, open []*timeSeries) {
	if !p.aside {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range open {
		if len(s.holds) == 0 {
			t.sender.metrics.dropped.WithLabelValues(dropAside).Add(float64(s.all()))
		}
	}
}

// postpone tries series again after a pause, with what has come meanwhile: nothing passes, so the cause is not in the data.
func (t *splitter) retryLater(ctx context.Context, p *part, open []*timeSeries) {
	pause := p.pause.pause(0)
	t.sender.trouble(*p.refusal, pause)
	t.sender.breaker.fail(false, pause)
	if !sleep(ctx, pause) {
		t.countUnsent(p, open)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.aside {
		t.keepAllAsideLocked(open)
		return
	}
	all := open
	for _, s := range open {
		m := t.series[s.hash]
		all = append(all, m.waiting...)
		m.waiting = nil
	}
	t.requeueLocked(merge(all), p)
}

// backAsideLocked keeps series aside of which nothing was learnt.
func (t *splitter) keepAllAsideLocked(ts []*timeSeries) {
	for _, s := range ts {
		m := t.series[s.hash]
		m.pieces, m.retryAt = 0, time.Now().Add(minAside)
		later := m.waiting
		m.waiting = nil
		n, _ := count(later)
		t.asideSamples -= n
		for _, w := range append([]*timeSeries{s}, later...) {
			t.keepAsideLocked(m, w)
		}
	}
	t.notifyLocked()
}

// send delivers series in one request. It returns nil when that is settled, else why it was refused, or anything when ctx has ended.
func (t *splitter) send(ctx context.Context, ts []*timeSeries) *decision {
	if t.limiter.Wait(ctx) != nil {
		return &decision{}
	}
	version, _ := t.sender.dialect.inForce()
	r := encode(ts, version)
	o := t.sender.deliver(ctx, r)
	switch o.end {
	case settled:
		return nil
	case refused:
		if o.request.oldest > r.oldest { // what became too old meanwhile is accounted for
			for _, s := range ts {
				young := s.between(o.request.oldest, maxTime)
				if young.samples() == 0 { // the last one stays, to be counted once more
					continue
				}
				s.floats, s.histograms = young.floats, young.histograms
			}
		}
		return &o.decision
	}
	return &decision{}
}
