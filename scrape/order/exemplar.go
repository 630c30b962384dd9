package order

import "cmp"

// Exemplar is what the guard keeps of the newest exemplar of a series.
type Exemplar struct {
	Time   int64 // milliseconds since the epoch: its own, else that of the scrape
	Own    bool  // it bears a timestamp
	Value  float64
	Labels uint64 // hash
}

// before tells whether e comes after old: by its timestamp, among equal ones by value, then by
// labels. So each exemplar of a native histogram passes once, though every page repeats it
// (validateExemplar of tsdb's exemplar storage).
func (old Exemplar) before(e Exemplar) bool {
	if e.Value == old.Value && e.Labels == old.Labels && !e.Own && !old.Own {
		return false
	}
	return cmp.Or(cmp.Compare(old.Time, e.Time), cmp.Compare(old.Value, e.Value), cmp.Compare(old.Labels, e.Labels)) < 0
}

// AddExemplar makes e the newest exemplar of a series, unless it is not newer. Old is the one
// before it, if there was one.
func (g *Guard) AddExemplar(slot uint32, e Exemplar) (old Exemplar, had, added bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, had = g.exemplars[slot]; had && !old.before(e) {
		return old, had, false
	}
	g.exemplars[slot] = e
	return old, had, true
}

// UndoExemplar undoes an AddExemplar of e that returned old and had, unless another exemplar
// followed e.
func (g *Guard) UndoExemplar(slot uint32, e, old Exemplar, had bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch now, ok := g.exemplars[slot]; {
	case !ok || now != e:
	case had:
		g.exemplars[slot] = old
	default:
		delete(g.exemplars, slot)
	}
}

// ForgetExemplarsLocked forgets the exemplars of some series that are newer than limit,
// milliseconds since the epoch.
func (g *Guard) ForgetExemplarsLocked(slots []uint32, limit int64) {
	for _, n := range slots {
		if e, ok := g.exemplars[n]; ok && e.Time > limit {
			delete(g.exemplars, n)
		}
	}
}
