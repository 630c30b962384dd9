package relay

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// through counts the requests that a breaker lets pass. Each one waits in a goroutine.
type through struct {
	*breaker
	ctx context.Context
	n   atomic.Int32
}

func (g *through) come(requests int) {
	for range requests {
		go func() {
			if _, ok := g.wait(g.ctx); ok {
				g.n.Add(1)
			}
		}()
	}
}

// passed demands how many have passed by now.
func (g *through) want(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	if got := int(g.n.Load()); got != n {
		t.Fatalf("%d requests have passed, want %d", got, n)
	}
}

func TestBreaker(t *testing.T) {
	tests := map[string]func(*testing.T, *through){
		"closed": func(t *testing.T, g *through) {
			g.come(5)
			g.want(t, 5)
		},
		"a few failures do not trip it": func(t *testing.T, g *through) {
			for range g.shards {
				g.fail(false, time.Hour)
			}
			g.come(5)
			g.want(t, 5)
		},
		"a success between them counts anew": func(t *testing.T, g *through) {
			for range 10 {
				g.fail(false, time.Hour)
				g.succeed()
			}
			g.come(1)
			g.want(t, 1)
		},
		"one trial at a time": func(t *testing.T, g *through) {
			g.tripFor(time.Minute)
			g.come(5)
			time.Sleep(time.Minute - 1)
			g.want(t, 0)
			time.Sleep(time.Nanosecond)
			g.want(t, 1)
			time.Sleep(time.Hour)
			g.want(t, 1)
			g.release(false) // one that was under way says nothing of the try
			time.Sleep(time.Hour)
			g.want(t, 1)
			g.fail(true, time.Minute)
			time.Sleep(time.Minute - 1)
			g.want(t, 1)
			time.Sleep(time.Nanosecond)
			g.want(t, 2)
		},
		"the first that is accepted closes the circuit for all": func(t *testing.T, g *through) {
			g.tripFor(time.Minute)
			g.come(5)
			time.Sleep(time.Minute)
			g.want(t, 1)
			g.succeed()
			g.want(t, 5)
			g.come(3)
			g.want(t, 8)
		},
		"one that was under way closes the circuit before the pause is over": func(t *testing.T, g *through) {
			g.tripFor(time.Hour)
			g.come(5)
			g.want(t, 0)
			g.succeed()
			g.want(t, 5)
		},
		"then it takes as many failures to trip again": func(t *testing.T, g *through) {
			g.tripFor(time.Minute)
			g.succeed()
			g.fail(false, time.Hour)
			g.come(2)
			g.want(t, 2)
		},
		"after a trial that is cancelled, there is another one": func(t *testing.T, g *through) {
			g.tripFor(time.Minute)
			g.come(3)
			time.Sleep(time.Minute)
			g.want(t, 1)
			g.release(true)
			g.want(t, 2)
			g.release(true)
			g.want(t, 3)
		},
		"more shards bear more failures": func(t *testing.T, g *through) {
			g.setShards(5)
			for range 5 {
				g.fail(false, time.Hour)
			}
			g.come(1)
			g.want(t, 1)
			g.fail(false, time.Hour)
			g.come(1)
			g.want(t, 1)
		},
		"a later failure counts the pause anew": func(t *testing.T, g *through) {
			g.tripFor(time.Minute)
			g.come(1)
			time.Sleep(30 * time.Second)
			g.fail(false, time.Minute) // of one that was under way
			time.Sleep(time.Minute - 1)
			g.want(t, 0)
			time.Sleep(time.Nanosecond)
			g.want(t, 1)
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				f(t, &through{breaker: newBreaker(2), ctx: ctx})
				cancel()
				synctest.Wait() // nobody stays
			})
		})
	}
}

// tripFor lets so many requests fail that the breaker trips, with a pause.
func (b *breaker) tripFor(pause time.Duration) {
	for range b.shards + 1 {
		b.fail(false, pause)
	}
}

func TestBreakerCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newBreaker(0)
		g.fail(false, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, ok := g.wait(ctx); ok || time.Since(start) != time.Second {
			t.Errorf("it waited %s", time.Since(start))
		}
		if _, ok := newBreaker(3).wait(ctx); ok {
			t.Error("a request that is cancelled passes")
		}
	})
}
