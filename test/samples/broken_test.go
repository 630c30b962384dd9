package samples

import (
	"context"
	"math"
	"reflect"

	"github.com/prometheus/prometheus/model/value"
	promscrape "github.com/prometheus/prometheus/scrape"
)

// held is the series of one target that are to get a staleness marker when they end. The relay and Prometheus differ when a scrape fails
// in the middle of a page, as docs/fidelity.md says. Prometheus gives no marker then to series that stood before that place; if the next
// page lacks them, it gives one, even if they never had a sample. The relay gives a marker at once to every series that was alive, and
// none to a series that never had a sample.
type held struct {
	alive map[*recorded]bool // held by Prometheus after the last scrape, which did not fail
	doubt map[*recorded]bool // on the last page, which failed
	next  map[*recorded]bool // on the page at hand, which failed; nil if it did not
}

// heldBy returns the held of the target that the appender of ctx is for.
func (r *recorder) heldBy(ctx context.Context) (h *held, cache promscrape.MetricMetadataStore) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cache, ok := promscrape.MetricMetadataStoreFromContext(ctx)
	if !ok {
		return &held{}, nil
	}
	if r.held == nil {
		r.held = map[promscrape.MetricMetadataStore]*held{}
	}
	if h = r.held[cache]; h == nil {
		h = &held{}
		r.held[cache] = h
	}
	return h, cache
}

// note records a sample of a page or of a report. It tells whether the sample is a marker that the relay does not write.
func (a *recorderAppender) note(s *recorded, t int64, v float64, histogram, report bool) (drop bool) {
	switch {
	case report: // the series goes on, whatever the page gave
		a.marked[s] = true
	case value.IsStaleNaN(v) && !histogram:
		a.marked[s] = true
		if drop = a.held.doubt[s] && !s.report; drop {
			a.r.seen.add("marker of a series that a failed page had")
		}
		return drop
	default:
		a.given[s] = true
	}
	return false
}

// broken is called when the page at hand failed in its middle.
func (a *recorderAppender) broken() {
	a.held.next = map[*recorded]bool{}
	for s := range a.given {
		a.held.next[s] = true
	}
}

// settle is called with the commit of a scrape, or of the markers at the end of a loop, and adds the markers that Prometheus leaves out.
func (a *recorderAppender) settle() {
	h := a.held
	if h.next != nil {
		for s := range h.alive {
			if !a.marked[s] && a.time > s.last {
				a.r.seen.add("marker that Prometheus leaves out")
				a.mark(s)
			}
		}
	}
	h.alive = map[*recorded]bool{}
	if h.next == nil && a.cache != nil { // a stamp may be that of the scrape: only the cache tells which lines bear one
		for _, ref := range reflect.ValueOf(a.cache).Elem().FieldByName("seriesPrev").MapKeys() {
			h.alive[a.r.refs[ref.Uint()-1]] = true
		}
	}
	h.doubt, h.next = h.next, nil
}

func (a *recorderAppender) mark(s *recorded) {
	out := sample{ms: a.time, value: floatText(math.Float64frombits(value.StaleNaN)), known: s.known}
	if a.r.exact {
		out.known = map[string]bool{s.said: true, "": s.fresh}
	}
	s.last = a.time
	a.r.out.samples[s.name] = append(a.r.out.samples[s.name], out)
}
