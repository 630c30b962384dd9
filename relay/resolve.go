package relay

import (
	"context"
	"time"
)

// work sends a part, and what it does not get rid of again, until ctx ends.
func (t *triage) work(ctx context.Context, p *part) {
	if p.refusal == nil {
		p.passes = t.sender.passes.Load()
		v := t.send(ctx, p.series)
		if v == nil {
			t.done(p.series, true)
			return
		}
		p.refusal = v
		if !v.late && len(p.series) > 1 && t.apart(p) {
			return
		}
	}
	open := p.series
	switch {
	case ctx.Err() != nil:
		t.leaveOff(p, open)
		return
	case p.rounds%3 == 2: // whether anything passes is asked with one request
	default:
		if open = t.resolve(ctx, p); len(open) == 0 {
			return
		}
	}
	t.postpone(ctx, p, open)
}

// apart makes parts of the series of a part that were refused before, and one of the others. False: there are none.
func (t *triage) apart(p *part) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.suspectsFirstLocked(p.series)
	if len(rest) == len(p.series) {
		return false
	}
	t.partsLocked(rest, nil)
	t.changedLocked()
	return true
}

// leaveOff is for the end of ctx: samples of a series that is set aside, for which the position does not wait, are lost with it.
func (t *triage) leaveOff(p *part, open []*timeSeries) {
	if !p.aside {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range open {
		if len(s.tickets) == 0 {
			t.sender.metrics.dropped.WithLabelValues(dropAside).Add(float64(s.all()))
		}
	}
}

// postpone tries series again after a pause, with what has come meanwhile: nothing passes, so the cause is not in the data.
func (t *triage) postpone(ctx context.Context, p *part, open []*timeSeries) {
	pause := p.pause.pause(0)
	t.sender.trouble(*p.refusal, pause)
	t.sender.gate.fail(false, pause)
	if !sleep(ctx, pause) {
		t.leaveOff(p, open)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.aside {
		t.backAsideLocked(open)
		return
	}
	all := open
	for _, s := range open {
		m := t.members[s.hash]
		all = append(all, m.waiting...)
		m.waiting = nil
	}
	t.pushLocked(merge(all), p)
}

// backAsideLocked keeps series aside of which nothing was learnt.
func (t *triage) backAsideLocked(ts []*timeSeries) {
	for _, s := range ts {
		m := t.members[s.hash]
		m.pieces, m.until = 0, time.Now().Add(asideFirst)
		later := m.waiting
		m.waiting = nil
		n, _ := count(later)
		t.aside -= n
		for _, w := range append([]*timeSeries{s}, later...) {
			t.keepAsideLocked(m, w)
		}
	}
	t.changedLocked()
}

// send delivers series in one request. It returns nil when that is settled, else why it was refused, or anything when ctx has ended.
func (t *triage) send(ctx context.Context, ts []*timeSeries) *decision {
	if t.budget.Wait(ctx) != nil {
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
