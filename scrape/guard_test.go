package scrape

import (
	"math/rand/v2"
	"testing"
	"time"
)

// guardBytes is what the guard holds.
func guardBytes(g *Guard) (n int) {
	for i := range g.pages {
		if g.pages[i].Load() != nil {
			n += guardPageLen * 24
		}
	}
	return n + 4*(cap(g.index)+cap(g.free)+cap(g.holes))
}

// TestGuardOfChurn: new series, each of which lives for a minute, take what forget says, and give it back: 58 MB for 5,000 a second, a
// fifth of which are tried here.
func TestGuardOfChurn(t *testing.T) {
	const perMinute = 60 * 1000
	g := NewGuard()
	start := time.Now()
	calls := int32(seriesLife / forgetEvery)
	var alive []uint32
	stays, _ := g.acquire(1)
	most := 0
	for minute := range 30 {
		now := start.Add(time.Duration(minute) * time.Minute)
		for _, slot := range alive {
			g.release(slot)
		}
		alive = alive[:0]
		if minute < 20 {
			for range perMinute {
				slot, shared := g.acquire(rand.Uint64())
				if shared {
					t.Fatal("a new series is another one's")
				}
				g.slot(slot).last.Store(now.UnixMilli())
				alive = append(alive, slot)
			}
		}
		g.slot(stays).last.Store(now.UnixMilli())
		g.forget(now.Add(-seriesLife), calls)
		most = max(most, guardBytes(g))
	}
	if limit := perMinute*6*40 + 1<<20; most > limit {
		t.Errorf("the guard held %d bytes, want %d at the most", most, limit)
	}
	t.Logf("at the most %.1f MB", float64(most)/(1<<20))
	if n := guardBytes(g); n > 4*guardPageLen*24 {
		t.Errorf("the guard holds %d bytes afterwards", n)
	}
	if again, shared := g.acquire(1); again != stays || !shared || g.Series() != 1 {
		t.Errorf("the series that stayed is not found, of %d", g.Series())
	}
	for range 5 * guardPageLen { // pages that were given back are used again
		slot, _ := g.acquire(rand.Uint64())
		g.slot(slot).last.Store(1)
	}
	if g.Series() != 5*guardPageLen+1 {
		t.Errorf("%d series", g.Series())
	}
}
