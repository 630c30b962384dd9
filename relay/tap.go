package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/record"
)

const (
	// maxTaps is how many taps there may be at a time.
	maxTaps = 4
	// tapRequests is how many requests wait for the reader of a tap. Requests beyond that are left out.
	tapRequests = 8
)

// ErrTooManyTaps is the error of Relay.Tap while others have all taps.
var ErrTooManyTaps = fmt.Errorf("%d taps are open already", maxTaps)

// Tap shows the samples that are sent while it is open: after external labels and write_relabel_configs, once each, when their request is
// handed to the receiver for the first time. It does not show series that are set aside, nor samples that are sent again in parts.
type Tap struct {
	of          *taps
	destination string // empty for all
	requests    chan tapped
	omitted     atomic.Uint64
}

// tapped is a request and its destination.
type tapped struct {
	destination string
	request     *request
}

// TappedSeries are the samples of one series in a request.
type TappedSeries struct {
	Destination string
	Labels      labels.Labels
	Samples     []TappedSample // in order of time
	Exemplars   []TappedExemplar
}

// TappedSample is a float, or a native histogram.
type TappedSample struct {
	Time      int64 // milliseconds since the epoch
	Value     float64
	Stale     bool   // the series has ended: a staleness marker
	Histogram string // its text; empty for a float
}

// TappedExemplar is an exemplar of a series.
type TappedExemplar struct {
	Labels labels.Labels
	Value  float64
	Time   int64 // milliseconds since the epoch
}

// taps are the taps of all destinations.
type taps struct {
	open atomic.Pointer[[]*Tap] // nil if there is none: then a request costs one load
}

// offer hands a request to the taps that want it. It does not wait.
func (t *taps) offer(destination string, r *request) {
	open := t.open.Load()
	if open == nil {
		return
	}
	for _, tap := range *open {
		if tap.destination != "" && tap.destination != destination {
			continue
		}
		select {
		case tap.requests <- tapped{destination, r}:
		default:
			tap.omitted.Add(uint64(r.all()))
		}
	}
}

// change replaces the list of taps by what edit makes of a copy, unless that returns false.
func (t *taps) change(edit func([]*Tap) ([]*Tap, bool)) bool {
	for {
		old := t.open.Load()
		var list []*Tap
		if old != nil {
			list = slices.Clone(*old)
		}
		list, ok := edit(list)
		if !ok {
			return false
		}
		next := &list
		if len(list) == 0 {
			next = nil
		}
		if t.open.CompareAndSwap(old, next) {
			return true
		}
	}
}

// Tap opens a tap of a destination, or of all destinations if that is empty. The caller closes it.
func (r *Relay) Tap(destination string) (*Tap, error) {
	var names []string
	for _, n := range r.runners() {
		names = append(names, n.current.Load().position.Label())
	}
	if destination != "" && !slices.Contains(names, destination) {
		return nil, fmt.Errorf("destination %q: %w, the destinations are %q", destination, ErrNoDestination, names)
	}
	t := &Tap{of: &r.taps, destination: destination, requests: make(chan tapped, tapRequests)}
	if !r.taps.change(func(list []*Tap) ([]*Tap, bool) { return append(list, t), len(list) < maxTaps }) {
		return nil, ErrTooManyTaps
	}
	return t, nil
}

// ErrNoDestination is the error for the name of a destination that there is not.
var ErrNoDestination = errors.New("there is no such destination")

// Close ends the tap.
func (t *Tap) Close() {
	t.of.change(func(list []*Tap) ([]*Tap, bool) {
		return slices.DeleteFunc(list, func(o *Tap) bool { return o == t }), true
	})
}

// Omitted counts the samples of requests that were left out, since the reader did not keep up. Some of them may not have matched.
func (t *Tap) Omitted() uint64 { return t.omitted.Load() }

// Next returns the series of the next request whose labels are wanted. It waits for a request, and returns nil if ctx ends.
func (t *Tap) Next(ctx context.Context, wanted func(labels.Labels) bool) ([]TappedSeries, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case q := <-t.requests:
			found, err := q.series(wanted)
			if len(found) > 0 || err != nil {
				return found, err
			}
		}
	}
}

func (q tapped) series(wanted func(labels.Labels) bool) (out []TappedSeries, err error) {
	ts, err := q.request.content()
	if err != nil {
		return nil, err
	}
	for _, s := range ts {
		ls := labels.FromStrings(s.labels...)
		if !wanted(ls) {
			continue
		}
		one := TappedSeries{Destination: q.destination, Labels: ls}
		for _, f := range s.floats {
			one.Samples = append(one.Samples, TappedSample{Time: f.time, Value: f.value, Stale: isStale(f.value)})
		}
		for _, h := range s.histograms {
			one.Samples = append(one.Samples, tappedHistogram(h))
		}
		slices.SortStableFunc(one.Samples, func(a, b TappedSample) int { return int(min(max(a.Time-b.Time, -1), 1)) })
		for _, e := range s.exemplars {
			one.Exemplars = append(one.Exemplars, TappedExemplar{Labels: labels.FromStrings(e.Labels...), Value: e.Value, Time: e.Time})
		}
		out = append(out, one)
	}
	return out, nil
}

// tappedHistogram returns a native histogram as text.
func tappedHistogram(h record.Irregular) TappedSample {
	out := TappedSample{Time: h.Time, Value: math.NaN(), Histogram: "{unreadable}"}
	var m writev2.Histogram
	if m.Unmarshal(h.Histogram) != nil {
		return out
	}
	if m.IsFloatHistogram() {
		f := m.ToFloatHistogram()
		out.Histogram, out.Stale = f.String(), isStale(f.Sum)
	} else {
		i := m.ToIntHistogram()
		out.Histogram, out.Stale = i.String(), isStale(i.Sum)
	}
	return out
}
