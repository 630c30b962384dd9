package relay

import (
	"context"
)

// divert takes the samples of members out of r. It waits while too many are held. A nil request has nothing left; false: ctx
// has ended.
func (t *splitter) divert(ctx context.Context, r *request) (*request, bool) {
	if !t.active.Load() {
		return r, true
	}
	ts, err := r.content()
	if err != nil {
		return r, true // which is not of ours, then
	}
	var rest []*timeSeries
	for {
		change, ok := t.tryDivert(r, ts, &rest)
		if ok {
			break
		}
		t.sender.governor.noteRetry() // or there would be more shards
		select {
		case <-ctx.Done():
			return nil, false
		case <-change:
		}
	}
	switch len(rest) {
	case len(ts):
		return r, true
	case 0:
		return nil, true
	}
	return r.with(rest, r.version), true
}

// tryDivert is divert where there is room for the samples; else the channel is closed when there may be.
func (t *splitter) tryDivert(r *request, ts []*timeSeries, rest *[]*timeSeries) (<-chan struct{}, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*rest = nil
	var waiting, aside []*timeSeries
	for _, s := range ts {
		switch m := t.series[s.hash]; {
		case m == nil:
			*rest = append(*rest, s)
		case m.aside:
			aside = append(aside, s)
		default:
			waiting = append(waiting, s)
		}
	}
	if n, _ := count(waiting); t.heldSamples > 0 && n > 0 && t.heldSamples+n > heldRequests*t.sender.cfg.QueueConfig.MaxSamplesPerSend {
		return t.change, false
	}
	if len(waiting) > 0 {
		t.holdLocked(r.from, waiting)
	}
	for _, s := range waiting {
		m := t.series[s.hash]
		m.waiting = append(m.waiting, s)
	}
	for _, s := range aside {
		t.holdLocked(r.from, []*timeSeries{s})
		t.keepAsideLocked(t.series[s.hash], s)
	}
	if len(aside) > 0 {
		t.notifyLocked()
	}
	return nil, true
}

// keepAsideLocked keeps samples of a series that is set aside, and for them drops its oldest ones where there are too many in all.
func (t *splitter) keepAsideLocked(m *seriesState, s *timeSeries) {
	t.heldSamples -= s.heldSamples
	s.heldSamples = 0
	if !m.holdsPosition {
		m.stopHolding(s)
		t.releaseLocked(s)
	}
	m.waiting = append(m.waiting, s)
	t.asideSamples += s.samples()
	for t.asideSamples > maxAsideSamples && len(m.waiting) > 0 {
		oldest := m.waiting[0]
		m.waiting = m.waiting[1:]
		t.releaseLocked(oldest)
		t.asideSamples -= oldest.samples()
		t.sender.metrics.dropped.WithLabelValues(dropAside).Add(float64(oldest.samples()))
	}
}
