package samples

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"

	fake "promrelay/test/receiver"
)

// incarnation is the header that tells one relay from the one before.
const incarnation = "X-Test-Incarnation"

// receiver takes remote write 2.0, for one sequence after the other.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	now     *fake.Receiver // of this sequence
	repeats bool           // samples may come twice
}

func newReceiver() *receiver {
	r := &receiver{now: fake.New(fake.Plain())}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		now := r.now
		r.mu.Unlock()
		now.ServeHTTP(w, req)
	}))
	return r
}

// expect begins a sequence, in which samples may come twice or not, and takes nothing more from relays before the given one.
func (r *receiver) expect(relay int, repeats bool) {
	late := fake.Gate{Name: "a relay that was stopped", Ask: func(q *fake.Request) *fake.Answer {
		if n, err := strconv.Atoi(q.Header.Get(incarnation)); err != nil || n < relay {
			return &fake.Answer{Status: http.StatusGone}
		}
		return nil
	}}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.repeats = fake.New(fake.Plain().With(fake.OnWire(late))), repeats
}

// repeated counts what came twice since expect.
func (r *receiver) repeated() (n int) {
	for _, x := range r.now.Requests() {
		n += x.Repeated.Samples() + x.Repeated[fake.Exemplar]
	}
	return n
}

// result is what arrived since expect, and what was wrong.
func (r *receiver) result() (got, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := newGot()
	for name, samples := range r.now.Stored() {
		for _, s := range samples {
			one := sample{ms: s.Time, start: s.Start, value: s.Histogram, meta: s.Metadata}
			if one.value == "" {
				one.value = floatText(s.Value)
			}
			out.samples[name] = append(out.samples[name], one)
		}
	}
	for name, exemplars := range r.now.Exemplars() {
		out.exemplars[name] = exemplars
	}
	var err error
	for _, p := range r.now.Problems() {
		err = errors.Join(err, errors.New(p))
	}
	for _, x := range r.now.Requests() {
		if x.Gate == "" && (x.Version != 2 || x.Refused > 0) {
			err = errors.Join(err, fmt.Errorf("request %d: remote write %d.0, %d refused", x.Number, x.Version, x.Refused))
		}
	}
	if n := r.repeated(); n > 0 && !r.repeats {
		err = errors.Join(err, fmt.Errorf("%d samples came twice", n))
	}
	return out, err
}
