package relay

import (
	"context"
	"time"
)

// work sends a part. It splits the part if the receiver refuses it. Series that it cannot decide about are tried again later.
func (t *splitter) work(ctx context.Context, p *part) {
	if p.refusal == nil {
		p.passesBefore = t.sender.passes.Load()
		switch o := t.send(ctx, p.series); o.end {
		case settled:
			t.finish(p.series, true)
			return
		case cancelled:
			t.leave(p, p.series)
			return
		case refused:
			p.refusal = &o.decision
			if !p.refusal.late && len(p.series) > 1 && t.splitOffRefused(p) {
				return
			}
		}
	}
	if ctx.Err() != nil {
		t.leave(p, p.series)
		return
	}
	open := p.series
	if p.rounds%3 != 2 { // every third time, a single request shows whether the receiver accepts something again
		open = t.resolve(ctx, p)
	}
	if len(open) > 0 {
		t.retryLater(ctx, p, open)
	}
}

// send delivers series in one request.
func (t *splitter) send(ctx context.Context, ts []*timeSeries) outcome {
	if t.limiter.Wait(ctx) != nil {
		return outcome{end: cancelled}
	}
	version, _ := t.sender.dialect.inForce()
	r := encode(ts, version)
	o := t.sender.deliver(ctx, r)
	if o.end == refused && o.request.oldest > r.oldest { // some samples became too old meanwhile, and are already counted
		for _, s := range ts {
			young := s.between(o.request.oldest, maxTime)
			if young.samples() == 0 { // a series always keeps samples, so the last ones are counted again
				continue
			}
			s.floats, s.histograms = young.floats, young.histograms
		}
	}
	return o
}

// splitOffRefused divides a part: each series that was refused before becomes a part, and the others together become one. False: no
// series was refused before.
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

// leave handles the undelivered series of a part after ctx has ended.
func (t *splitter) leave(p *part, open []*timeSeries) {
	if !p.aside {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countUnsent(open)
}

// retryLater tries series again after a pause, together with newer samples. The receiver refuses everything, so the cause is not in
// the data.
func (t *splitter) retryLater(ctx context.Context, p *part, open []*timeSeries) {
	pause := p.pause.pause(0)
	t.sender.trouble(*p.refusal, pause)
	t.sender.breaker.fail(false, pause)
	if !sleep(ctx, pause) {
		t.leave(p, open)
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

// keepAllAsideLocked keeps series set aside if nothing was found out about them.
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
