package pipeline

import (
	"math"
	"slices"
	"testing"

	"promrelay/test/process"
	fake "promrelay/test/receiver"
)

// receiver is a receiver of remote write that ends with the test.
type receiver struct{ *fake.Server }

// newReceiver starts a receiver that takes everything.
func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := newDeadReceiver(t)
	r.up(t)
	return r
}

// newDeadReceiver returns a receiver that refuses connections.
func newDeadReceiver(t *testing.T) *receiver {
	t.Helper()
	address, err := process.FreeAddress("127.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{fake.NewServer(address, fake.Plain())}
	t.Cleanup(r.Down)
	return r
}

// up makes the receiver listen, at the same address each time.
func (r *receiver) up(t *testing.T) {
	t.Helper()
	if err := r.Up(); err != nil {
		t.Fatal(err)
	}
}

// does changes what the receiver does from now on.
func (r *receiver) does(parts ...fake.Part) { r.Set(fake.Plain().With(parts...)) }

// totals counts what is stored. Repeated are samples that were taken a second time, late those that were stored after a newer one of
// their series.
func (r *receiver) totals() (series, samples, repeated, late int) {
	for _, x := range r.Requests() {
		repeated += x.Repeated.Samples()
	}
	for _, s := range r.Select() {
		series++
		samples += len(s.Samples)
		newest := int64(math.MinInt64)
		for _, one := range s.Samples {
			if one.Time < newest {
				late++
			}
			newest = max(newest, one.Time)
		}
	}
	return series, samples + repeated, repeated, late
}

// sound fails the test if a request was not as it should be, or a series' samples were not in order or came twice.
func (r *receiver) sound(t *testing.T) {
	t.Helper()
	if _, _, repeated, late := r.totals(); repeated+late > 0 {
		t.Errorf("%d samples came twice, %d out of order", repeated, late)
	}
	r.wellFormed(t)
}

// wellFormed fails the test if a request was not as it should be.
func (r *receiver) wellFormed(t *testing.T) {
	t.Helper()
	for _, p := range r.Problems() {
		t.Error(p)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// of returns what is stored of the series that bear some labels, by name. Samples are in the order of their times.
func (r *receiver) of(labels map[string]string) expectation {
	var match []string
	for name, value := range labels {
		match = append(match, name, value)
	}
	out := expectation{}
	for _, s := range r.Select(match...) {
		slices.SortStableFunc(s.Samples, byTime)
		out[s.Name] = s.Samples
	}
	return out
}

// pages returns the numbers of the pages that came from targets with some labels, in the order in which they came.
func (r *receiver) pages(match ...string) []int {
	var out []int
	for _, s := range r.Select(append(match, "__name__", pageSeries)...) {
		for _, one := range s.Samples {
			if !one.Stale() {
				out = append(out, int(one.Value))
			}
		}
	}
	return out
}
