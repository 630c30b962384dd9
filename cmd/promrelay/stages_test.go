package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// recorder notes what parts do, in order.
type recorder struct {
	mu  sync.Mutex
	did []string
}

func (r *recorder) add(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, what)
}

func (r *recorder) part(name string) *part {
	return &part{name: name, deadline: time.Second, run: func(ctx context.Context) error {
		<-ctx.Done()
		r.add(name + " ends")
		return nil
	}}
}

// TestPartsStopInOrder: the reverse of that in which they started; one that hangs is left after its deadline.
func TestPartsStopInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		second := r.part("second")
		second.last = func() error {
			r.add("second drains")
			return errors.New("not all of it")
		}
		stuck := make(chan struct{})
		third := &part{name: "third", deadline: time.Minute, run: func(context.Context) error {
			<-stuck
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		start := time.Now()
		g := newGroup(zap.NewNop())
		for _, p := range []*part{r.part("fourth"), third, second, r.part("first")} {
			g.start(p)
		}
		if err := g.wait(ctx); err != nil {
			t.Error(err)
		}
		g.stop()
		g.stop() // which has nothing left to do
		if want := []string{"first ends", "second drains", "second ends", "fourth ends"}; !slices.Equal(r.did, want) {
			t.Errorf("got %v, want %v", r.did, want)
		}
		if took := time.Since(start); took != time.Hour+time.Minute {
			t.Errorf("stopped after %s, want an hour and the minute of the part that is stuck", took)
		}
		close(stuck)
	})
}

// TestPartThatFailsStopsAll, and its error is that of the relay.
func TestPartThatFailsStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		bad := errors.New("disk is gone")
		failing := &part{name: "wal", deadline: time.Second, run: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Minute):
				return bad
			}
		}}
		g := newGroup(zap.NewNop())
		g.start(failing)
		g.start(r.part("scrape"))
		if err := g.wait(t.Context()); !errors.Is(err, bad) || err.Error() != "wal has ended: disk is gone" {
			t.Errorf("got %v", err)
		}
		g.stop()
		if want := []string{"scrape ends"}; !slices.Equal(r.did, want) {
			t.Errorf("got %v, want %v", r.did, want)
		}
	})
}
