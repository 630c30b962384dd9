package scrape

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemory: scrapes wait for memory that others hold, in their order, those that hold some first; and never all for each other.
func TestMemory(t *testing.T) {
	const granule = memoryGranules
	synctest.Test(t, func(t *testing.T) {
		m := &memory{limit: 10 * granule}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a, b, c, d := lease{of: m}, lease{of: m}, lease{of: m}, lease{of: m}
		need := func(l *lease, granules int64, want bool) {
			t.Helper()
			if err := l.atLeast(ctx, granules*granule); (err == nil) != want {
				t.Errorf("got %d of %d: %v", l.held/granule, granules, err)
			}
		}
		need(&a, 6, true)
		need(&a, 11, false) // more than there is
		need(&b, 3, true)
		var wg sync.WaitGroup
		wg.Go(func() { need(&a, 9, true) })
		synctest.Wait()
		wg.Go(func() { need(&c, 1, true) })
		synctest.Wait()
		if c.held != 0 {
			t.Error("a scrape that begins goes before one that others wait for")
		}
		need(&b, 8, false) // b and a would wait for each other
		b.release()
		synctest.Wait()
		if a.held != 9*granule || c.held != granule {
			t.Errorf("held are %d and %d", a.held/granule, c.held/granule)
		}
		short, cancelShort := context.WithTimeout(t.Context(), time.Second)
		defer cancelShort()
		if err := d.atLeast(short, 5*granule); err == nil {
			t.Error("got what others hold")
		}
		a.release()
		c.release()
		wg.Wait()
		if m.used != 0 || m.holders != 0 || len(m.growing)+len(m.starting) > 0 {
			t.Errorf("in use are %d, by %d", m.used, m.holders)
		}
	})
}

// TestMemoryOfGrowing: where the last scrape that did not wait ends, one that waits is refused, so that the others go on.
func TestMemoryOfGrowing(t *testing.T) {
	const granule = memoryGranules
	synctest.Test(t, func(t *testing.T) {
		m := &memory{limit: 10 * granule}
		leases := [3]lease{{of: m}, {of: m}, {of: m}}
		for i, n := range []int64{4, 4, 1} {
			if err := leases[i].atLeast(t.Context(), n*granule); err != nil {
				t.Fatal(err)
			}
		}
		failed := make(chan int, 2)
		for i := range 2 {
			go func() {
				if err := leases[i].atLeast(t.Context(), 9*granule); err != nil {
					failed <- i
					leases[i].release()
				}
			}()
			synctest.Wait()
		}
		leases[2].release()
		synctest.Wait()
		if len(failed) != 1 || <-failed != 1 || leases[0].held != 9*granule {
			t.Errorf("%d failed, the first holds %d", len(failed), leases[0].held/granule)
		}
	})
}
