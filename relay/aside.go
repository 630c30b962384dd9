package relay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// maxShownAside bounds of how many series that are set aside the labels and the refusal are kept for the status.
const maxShownAside = 50

// AsideSeries is a series that is set aside, since the receiver refuses its samples.
type AsideSeries struct {
	Labels  labels.Labels
	Error   string    // the receiver's last words about it
	Since   time.Time // when it was set aside
	RetryAt time.Time // when it is tried again
}

// showAsideLocked keeps what the status shows of a series that is set aside, if there is room.
func (t *splitter) showAsideLocked(s *timeSeries, refusal error) {
	now := time.Now()
	if len(t.asideShown) >= maxShownAside {
		maps.DeleteFunc(t.asideShown, func(hash uint32, _ AsideSeries) bool { return !t.isAsideLocked(hash) })
	}
	old, ok := t.asideShown[s.hash]
	if !ok && len(t.asideShown) >= maxShownAside {
		return
	}
	one := AsideSeries{Labels: labels.FromStrings(s.labels...), Error: refusal.Error(), Since: now}
	if ok && t.isAsideLocked(s.hash) {
		one.Since = old.Since
	}
	t.asideShown[s.hash] = one
}

func (t *splitter) isAsideLocked(hash uint32) bool {
	m := t.series[hash]
	return m != nil && m.aside
}

// asideSeries returns how many series are set aside, and some of them, the longest ones first.
func (t *splitter) asideSeries() (n int, some []AsideSeries) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for hash, m := range t.series {
		if !m.aside {
			continue
		}
		n++
		if one, ok := t.asideShown[hash]; ok {
			one.RetryAt = m.retryAt
			some = append(some, one)
		}
	}
	slices.SortFunc(some, func(a, b AsideSeries) int {
		return cmp.Or(a.Since.Compare(b.Since), labels.Compare(a.Labels, b.Labels))
	})
	return n, some
}
