package relay

import (
	"context"
)

// divert moves samples from r to the splitter, if the splitter has their series. It waits while the splitter holds too many samples.
// Rest is nil if nothing is left of r. False: ctx has ended.
func (t *splitter) divert(ctx context.Context, r *request) (rest *request, ok bool) {
	if !t.active.Load() {
		return r, true
	}
	ts, err := r.content()
	if err != nil {
		return r, true // send it as it is: the receiver's answer shows what is wrong with it
	}
	var others []*timeSeries
	for {
		change, ok := t.tryDivert(r, ts, &others)
		if ok {
			break
		}
		t.sender.governor.noteRetry() // more shards would not help
		select {
		case <-ctx.Done():
			return nil, false
		case <-change:
		}
	}
	switch len(others) {
	case len(ts):
		return r, true
	case 0:
		return nil, true
	}
	return r.with(others, r.version), true
}

// tryDivert does the work of divert if there is room for the samples. Else it returns false, and a channel that is closed at the next
// change.
func (t *splitter) tryDivert(r *request, ts []*timeSeries, others *[]*timeSeries) (<-chan struct{}, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*others = nil
	var waiting, aside []*timeSeries
	for _, s := range ts {
		switch m := t.series[s.hash]; {
		case m == nil:
			*others = append(*others, s)
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

// keepAsideLocked adds samples to a series that is set aside. If all series set aside have too many samples together, it drops the
// oldest ones of this series.
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
