package relay

import (
	"slices"

	"promrelay/wal"
)

// positionHold stops the acknowledged position before a request as long as the splitter has samples of that request.
type positionHold struct {
	from   wal.Position
	pieces map[uint64]int // how many timeSeries are left, by seriesID
}

// release removes one piece of a series.
func (h *positionHold) release(id uint64) {
	if h.pieces[id]--; h.pieces[id] <= 0 {
		delete(h.pieces, id)
	}
}

// stopHolding records where the samples of s begin, since the position no longer waits for them.
func (m *seriesState) stopHolding(s *timeSeries) {
	for _, h := range s.holds {
		if from, ok := m.unheld[s.id]; !ok || h.from.Before(from) {
			if m.unheld == nil {
				m.unheld = map[uint64]wal.Position{}
			}
			m.unheld[s.id] = h.from
		}
	}
}

// holdLocked keeps the position before from until all of ts are released.
func (t *splitter) holdLocked(from wal.Position, ts []*timeSeries) {
	h := &positionHold{from: from, pieces: make(map[uint64]int, len(ts))}
	t.holds = append(t.holds, h)
	for _, s := range ts {
		s.id = seriesID(s.labels)
		h.pieces[s.id]++
		s.holds = append(s.holds, h)
		s.heldSamples = s.samples()
		t.heldSamples += s.heldSamples
	}
}

// releaseLocked undoes holdLocked for s.
func (t *splitter) releaseLocked(s *timeSeries) {
	for _, h := range s.holds {
		h.release(s.id)
	}
	t.heldSamples -= s.heldSamples
	s.holds, s.heldSamples = nil, 0
}

// oldest returns the position at which the acknowledged one must stop. False: there is none.
func (t *splitter) oldest() (at wal.Position, ok bool) {
	if !t.active.Load() {
		return at, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holds = slices.DeleteFunc(t.holds, func(h *positionHold) bool { return len(h.pieces) == 0 })
	for i, h := range t.holds {
		if i == 0 || h.from.Before(at) {
			at = h.from
		}
	}
	return at, len(t.holds) > 0
}

// eachHeld calls add for each series that the splitter has samples of, with the position where these begin. False: the acknowledged
// position waits for no samples.
func (t *splitter) eachHeld(add func(id uint64, from wal.Position)) (held bool) {
	if !t.active.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.holds {
		for id := range h.pieces {
			add(id, h.from)
			held = true
		}
	}
	for _, m := range t.series {
		for id, from := range m.unheld {
			add(id, from)
		}
	}
	return held
}
