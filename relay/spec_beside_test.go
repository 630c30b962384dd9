package relay

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"promrelay/record"
)

// More of the deliberate deviations: a try must not cost other samples.

// TestDeviation_OutageIsNoRefusal: a receiver that understands only 2.0 is unreachable, gets 1.0 meanwhile, and recovers.
func TestDeviation_OutageIsNoRefusal(t *testing.T) {
	for _, code := range []int{400, 404, 415, 503} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			away := 12
			x := newWire(t)
			x.answer = func(n int, p *posted, _ http.ResponseWriter) int {
				switch {
				case p.version == 1:
					return code
				case n < away:
					return http.StatusServiceUnavailable
				}
				return 0
			}
			w := openSpec(t)
			r := start(t, w, Settings{Destinations: destinations(t, x.URL, ""), Relay: whole(nil)})
			wr := newWriter(t, w, 2, 20)
			for range 5 {
				wr.scrape()
			}
			r.drain(t)
			x.once(t, wr.samples)
		})
	}
}

// TestDeviation_ExemplarsAreLeftOut: samples that are refused for their exemplars go without them.
func TestDeviation_ExemplarsAreLeftOut(t *testing.T) {
	x := newWire(t)
	x.answer = func(_ int, p *posted, _ http.ResponseWriter) int {
		for _, s := range p.series {
			if len(s.exemplars) > 0 {
				return http.StatusBadRequest
			}
		}
		return 0
	}
	w := openSpec(t)
	r := start(t, w, Settings{Destinations: destinations(t, x.URL, by1+"send_exemplars: true\n"), Relay: whole(nil)})
	wr := newWriter(t, w, 1, 10)
	for i := range 3 {
		wr.now += 1000
		s := &record.Scrape{Time: wr.now, Values: make([]float64, 10)}
		if i > 0 {
			for row := range s.Values {
				s.Irregular = append(s.Irregular, record.Irregular{Kind: record.Exemplar, Row: uint32(row), Time: wr.now - 1, Value: 1, Labels: []string{"trace_id", fmt.Sprint(i, row)}})
			}
		}
		wr.append(0, s)
		wait(t, "the scrape to be settled", func() bool { return r.Statuses()[0].Behind == 0 })
	}
	x.once(t, wr.samples)
}

// TestDeviation_MetadataIsNotKept: by 1.0 it has requests of its own, which never hold up samples.
func TestDeviation_MetadataIsNotKept(t *testing.T) {
	for _, code := range []int{500, 404, 400, 413} {
		x := newWire(t)
		var refused atomic.Int32
		x.answer = func(_ int, p *posted, _ http.ResponseWriter) int {
			if p.count() > 0 {
				return 0
			}
			refused.Add(1)
			return code
		}
		w := openSpec(t)
		r := start(t, w, Settings{Destinations: destinations(t, x.URL, by1+"metadata_config: {send_interval: 10ms}\n"), Relay: whole(nil)},
			func(r *Relay) { r.pace.metadata = 0 })
		wr := newWriter(t, w, 1, 20)
		wr.scrape()
		wait(t, "metadata to be refused", func() bool { wr.scrape(); return refused.Load() > 0 })
		for range 3 {
			wr.scrape()
		}
		wait(t, fmt.Sprintf("samples beside metadata that gets %d", code), func() bool { return len(x.stored()) == wr.samples })
		r.stop()
	}
}
