package order

import (
	"cmp"
)

// Exemplar is the part of a series' newest exemplar that the guard keeps.
type Exemplar struct {
	Time   int64 // milliseconds since the epoch: its own, else that of the scrape
	Own    bool  // it has a timestamp
	Value  float64
	Labels uint64 // hash
}

// before reports whether old comes before e. The order is by timestamp, then by value, then by
// labels. So each exemplar of a native histogram passes once, though every page repeats it
// (validateExemplar of tsdb's exemplar storage).
func (old Exemplar) before(e Exemplar) bool {
	if e.Value == old.Value && e.Labels == old.Labels && !e.Own && !old.Own {
		return false
	}
	return cmp.Or(cmp.Compare(old.Time, e.Time), cmp.Compare(old.Value, e.Value), cmp.Compare(old.Labels, e.Labels)) < 0
}
