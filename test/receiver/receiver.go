package receiver

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Receiver is a receiver of remote write.
type Receiver struct {
	mu       sync.Mutex // guards what follows, and the state of the profile's parts
	profile  Profile
	changed  chan struct{} // closed by Set
	series   map[string]*seriesRecord
	known    int   // series of which something is stored
	head     int64 // the newest sample of all
	requests []*Exchange
	refused  map[Reason]int
	metadata map[string]string
	problems []string
	parallel []string
	names    names // has a mutex of its own
}

// New returns a receiver that stores nothing yet.
func New(p Profile) *Receiver {
	return &Receiver{
		profile: p, changed: make(chan struct{}), series: map[string]*seriesRecord{}, refused: map[Reason]int{}, metadata: map[string]string{},
		names: names{known: map[string]Series{}},
	}
}

// Set changes what the receiver does from now on. A request that is in the pause Slow meets the new profile. An answer that waits for
// its latency is sent as it is. A request that hangs loses its connection.
func (r *Receiver) Set(p Profile) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.profile = p
	close(r.changed)
	r.changed = make(chan struct{})
}

// Profile returns what the receiver does now.
func (r *Receiver) Profile() Profile {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.profile
}

// exchange is one request from its first to its last byte. It returns nil if the sender has gone.
func (r *Receiver) exchange(req *http.Request) *Answer {
	ctx := req.Context()
	r.mu.Lock()
	q := newRequest(req, len(r.requests), &r.names)
	x := &Exchange{
		Number: q.Number, At: q.At, URL: req.URL.String(), Version: q.Version, Bytes: q.Bytes, Attempt: q.Attempt,
		Authorized: req.Header.Get("Authorization") != "",
	}
	r.requests = append(r.requests, x)
	a := ask(r.profile.Wire, q)
	slow := r.profile.Slow
	var changed <-chan struct{} = r.changed
	r.mu.Unlock()
	if a == nil {
		body, err := read(req)
		if err != nil {
			return r.finish(x, q, nil)
		}
		r.arrive(q, x, body)
		if !wait(ctx, slow, nil) {
			return r.finish(x, q, nil)
		}
		a, changed = r.answer(q, x)
	}
	hangs := a.Wait < 0
	if !wait(ctx, a.Wait, changed) {
		return r.finish(x, q, nil)
	}
	if hangs {
		a.Fate = Lost
	}
	return r.finish(x, q, a)
}

func read(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	return io.ReadAll(req.Body)
}

// answer decides about a request that was read, and what becomes of the answer.
func (r *Receiver) answer(q *Request, x *Exchange) (*Answer, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.decideLocked(q, x)
	for _, after := range r.profile.After {
		after.Do(q, a)
	}
	return a, r.changed
}

// arrive decodes the request and records what it holds.
func (r *Receiver) arrive(q *Request, x *Exchange, body []byte) {
	var c checks
	c.headers(q)
	if q.Method == http.MethodPost {
		q.decode(body, &c)
		c.request(q)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x.Sent, x.Metadata, x.Series, x.Bytes, x.Decoded = q.Sent, q.Metadata, len(q.Series), q.Bytes, q.Decoded
	for _, text := range c.found {
		note(&r.problems, q.Number, text)
	}
	r.sendLocked(q)
}

// finish records how an exchange ended.
func (r *Receiver) finish(x *Exchange, q *Request, a *Answer) *Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	x.Done = time.Now()
	x.Lost = a == nil || a.Fate != Arrives
	r.landLocked(q, !x.Lost)
	if x.Lost {
		return a
	}
	x.Status, x.Text = a.Status, a.Text
	return a
}

// wait pauses, and returns false if the sender hung up. A negative pause lasts until something changes.
func wait(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	switch {
	case d == 0:
		return ctx.Err() == nil
	case d < 0:
		select {
		case <-changed:
			return true
		case <-ctx.Done():
			return false
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask returns the answer of the first gate that gives one.
func ask(gates []Gate, q *Request) *Answer {
	for _, g := range gates {
		if a := g.Ask(q); a != nil {
			a.gate = g.Name
			return a
		}
	}
	return nil
}
