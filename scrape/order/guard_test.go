package order

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"promrelay/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is a guard made of a plain map: the visible behaviour of a Guard.
type model struct {
	series    map[uint64]*modelSeries // by hash
	forgotten int64
}

type modelSeries struct {
	last     int64
	refs     int
	idle     int
	exemplar *Exemplar
}

func (m *model) acquire(hash uint64) (shared bool) {
	if m.series[hash] == nil {
		m.series[hash] = &modelSeries{last: math.MinInt64}
	}
	m.series[hash].refs++
	return m.series[hash].refs > 1
}

func (m *model) forget(now time.Time) {
	limit := now.Add(-life).UnixMilli()
	maps.DeleteFunc(m.series, func(_ uint64, s *modelSeries) bool {
		if s.refs > 0 {
			s.idle = 0
			return false
		}
		if s.idle++; s.idle < int(life/ForgetEvery) || s.last >= limit {
			return false
		}
		m.forgotten = max(m.forgotten, s.last)
		return true
	})
}

func (m *model) forgetAfter(limit, floor int64) (n int) {
	for _, s := range m.series {
		if s.last > limit {
			s.last = floor
			n++
		}
		if s.exemplar != nil && s.exemplar.Time > limit {
			s.exemplar = nil
		}
	}
	return n
}

// TestAgainstMap draws operations at random, and demands that a guard does with them what a plain
// map does. Hashes are few and alike in their low bits, so that the index has long runs; series
// come in waves, so that it grows, shrinks, and gives pages back.
func TestAgainstMap(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			g, m := New(), &model{series: map[uint64]*modelSeries{}, forgotten: math.MinInt64}
			slots := map[uint64]uint32{} // of hashes that are acquired
			now := time.UnixMilli(1_700_000_000_000)
			hash := func() uint64 { return (r.Uint64N(6000)+1)<<r.IntN(3) | r.Uint64N(3)<<60 }
			var keys []uint64 // of slots, in an order that the seed decides
			held := func() (uint64, uint32, bool) {
				if len(keys) == 0 {
					return 0, 0, false
				}
				i := r.IntN(len(keys))
				keys[0], keys[i] = keys[i], keys[0]
				return keys[0], slots[keys[0]], true
			}
			for step := range 60_000 {
				growing := step/6000%2 == 0
				switch op := r.IntN(100); {
				case op < 45 && growing, op < 15:
					h := hash()
					slot, shared := g.acquire(h)
					if want := m.acquire(h); shared != want {
						t.Fatalf("step %d: shared %t, want %t", step, shared, want)
					}
					if old, ok := slots[h]; !ok {
						keys = append(keys, h)
					} else if old != slot {
						t.Fatalf("step %d: the slot of an acquired series changed from %d to %d", step, old, slot)
					}
					slots[h] = slot
				case op < 60:
					if h, slot, ok := held(); ok {
						g.Release(slot)
						if m.series[h].refs--; m.series[h].refs == 0 {
							delete(slots, h)
							keys = keys[1:]
						}
					}
				case op < 85:
					if h, slot, ok := held(); ok {
						ms := now.UnixMilli() + r.Int64N(2000) - 1000
						s := record.Scrape{Time: ms, Values: []float64{1}, Present: record.Bits{1}}
						late, _ := g.FilterLocked([]uint32{slot}, &s, false)
						if want := ms <= m.series[h].last; (late == 1) != want || s.Present.Has(0) == want {
							t.Fatalf("step %d: late %d, want %t", step, late, want)
						}
						m.series[h].last = max(m.series[h].last, ms)
					}
				case op < 95:
					if h, slot, ok := held(); ok {
						e := Exemplar{Time: now.UnixMilli() + r.Int64N(10), Own: r.IntN(2) == 0, Value: float64(r.IntN(3)), Labels: r.Uint64N(2)}
						s := m.series[h]
						want := s.exemplar == nil || s.exemplar.before(e)
						old, had, added := g.AddExemplar(slot, e)
						if added != want || had != (s.exemplar != nil) || had && old != *s.exemplar {
							t.Fatalf("step %d: exemplar %+v: added %t, want %t", step, e, added, want)
						}
						if added && r.IntN(2) == 0 {
							g.UndoExemplar(slot, e, old, had)
						} else if added {
							s.exemplar = &e
						}
					}
				case op < 96 && step%10 == 0:
					limit := now.UnixMilli() + r.Int64N(2000) - 1000
					if got, want := g.ForgetAfter(limit, limit-5), m.forgetAfter(limit, limit-5); got != want {
						t.Fatalf("step %d: %d series forgot samples, want %d", step, got, want)
					}
				case step%50 == 0:
					now = now.Add(ForgetEvery)
					g.Forget(now)
					m.forget(now)
				}
			}
			compare(t, g, m, slots)
			for h, slot := range slots { // all end
				for ; m.series[h].refs > 0; m.series[h].refs-- {
					g.Release(slot)
				}
			}
			for range 10 {
				now = now.Add(ForgetEvery)
				g.Forget(now)
				m.forget(now)
			}
			if g.Series() != 0 || len(g.exemplars) != 0 || g.Forgotten() != m.forgotten || len(g.index.table) != minIndex {
				t.Errorf("%d series, %d exemplars, an index of %d, forgotten %d, want none, and %d", g.Series(), len(g.exemplars), len(g.index.table), g.Forgotten(), m.forgotten)
			}
		})
	}
}

// compare demands that the guard knows the series of the model, and no other.
func compare(t *testing.T, g *Guard, m *model, slots map[uint64]uint32) {
	t.Helper()
	if g.Series() != len(m.series) || g.Forgotten() != m.forgotten {
		t.Errorf("%d series, forgotten up to %d; want %d, %d", g.Series(), g.Forgotten(), len(m.series), m.forgotten)
	}
	hashes := map[uint32]uint64{}
	for h, s := range m.series {
		n, _ := g.index.find(&g.slots, h)
		if n == 0 {
			t.Fatalf("a series of %d rows is not found", s.refs)
		}
		if other, twice := hashes[n]; twice {
			t.Fatalf("slot %d is of %x and %x", n, other, h)
		}
		hashes[n] = h
		if slot, ok := slots[h]; ok && slot != n {
			t.Errorf("slot %d, want %d", n, slot)
		}
		if got := g.Last(n); got != s.last || int(g.slots.at(n).refs) != s.refs {
			t.Errorf("last %d of %d rows, want %d of %d", got, g.slots.at(n).refs, s.last, s.refs)
		}
		if e, ok := g.exemplars[n]; ok != (s.exemplar != nil) || ok && e != *s.exemplar {
			t.Errorf("exemplar %+v, %t, want %+v", e, ok, s.exemplar)
		}
	}
}

// memory is what the guard holds, in bytes.
func (g *Guard) memory() (n int) {
	for i := range g.slots.pages {
		if g.slots.pages[i].Load() != nil {
			n += pageLen * 24
		}
	}
	return n + 4*(cap(g.index.table)+cap(g.free)+cap(g.holes))
}

// TestMemoryOfChurn has new series, each of which lives for a minute. They use the memory that
// Forget's comment promises, and give it back. A fifth of its 5,000 a second are tried here.
func TestMemoryOfChurn(t *testing.T) {
	const perMinute = 60 * 1000
	g := New()
	start := time.Now()
	var alive []uint32
	stays, _ := g.acquire(1)
	largest := 0
	for minute := range 30 {
		now := start.Add(time.Duration(minute) * time.Minute)
		for _, slot := range alive {
			g.Release(slot)
		}
		alive = alive[:0]
		if minute < 20 {
			for range perMinute {
				slot, shared := g.acquire(rand.Uint64())
				if shared {
					t.Fatal("a new series is another one's")
				}
				g.slots.at(slot).last.Store(now.UnixMilli())
				alive = append(alive, slot)
			}
		}
		g.slots.at(stays).last.Store(now.UnixMilli())
		g.Forget(now)
		largest = max(largest, g.memory())
	}
	if limit := perMinute*6*40 + 1<<20; largest > limit {
		t.Errorf("the guard held %d bytes, want %d at most", largest, limit)
	}
	if n := g.memory(); n > 4*pageLen*24 {
		t.Errorf("the guard holds %d bytes afterwards", n)
	}
	if again, shared := g.acquire(1); again != stays || !shared || g.Series() != 1 {
		t.Errorf("the series that stayed is not found, of %d", g.Series())
	}
	for range 5 * pageLen { // pages that were given back are used again
		slot, _ := g.acquire(rand.Uint64())
		g.slots.at(slot).last.Store(1)
	}
	if g.Series() != 5*pageLen+1 {
		t.Errorf("%d series", g.Series())
	}
}

// mapIndex is an index by Go's own map, mapGuard a guard without slots: their cost, compared with
// index and Guard, is the reason for index and Guard.
type (
	mapIndex map[uint64]uint32
	mapGuard map[uint64]int64
)

// heap returns what build allocates and keeps, in bytes.
func heap(build func() any) (bytes uint64, built any) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	built = build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return after.HeapAlloc - before.HeapAlloc, built
}

// BenchmarkIndex finds slots by hash, as a target does when its series are new to its table, and
// compares with a map.
func BenchmarkIndex(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = rand.Uint64()
		}
		g := New()
		for _, h := range hashes {
			g.acquire(h)
		}
		bytes, built := heap(func() any {
			x := newIndex()
			for i, h := range hashes {
				if x.full() {
					x.resize(&g.slots, 2*len(x.table))
				}
				_, at := x.find(&g.slots, h)
				x.add(at, uint32(i+1))
			}
			return x
		})
		x := built.(index)
		b.Run(fmt.Sprint("own/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if s, _ := x.find(&g.slots, hashes[i*7919%n]); s == 0 {
					b.Fatal("not found")
				}
			}
			b.ReportMetric(float64(bytes)/float64(n), "bytes/series")
		})
		bytes, built = heap(func() any {
			m := mapIndex{}
			for i, h := range hashes {
				m[h] = uint32(i + 1)
			}
			return m
		})
		m := built.(mapIndex)
		b.Run(fmt.Sprint("map/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if m[hashes[i*7919%n]] == 0 {
					b.Fatal("not found")
				}
			}
			b.ReportMetric(float64(bytes)/float64(n), "bytes/series")
		})
	}
}

// BenchmarkFilter filters the scrapes of targets of 1000 series each, in turn, by slots and by a
// map from hash to timestamp.
func BenchmarkFilter(b *testing.B) {
	const rows, targets = 1000, 1000
	hashes := make([]uint64, rows*targets)
	for i := range hashes {
		hashes[i] = rand.Uint64()
	}
	scrape := record.Scrape{Values: make([]float64, rows), Present: record.Bits(nil).Grow(rows)}
	all := func(s *record.Scrape) {
		for row := range rows {
			s.Present.Set(row)
		}
	}
	perSample := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/sample")
	}
	slots := make([]uint32, len(hashes))
	bytes, built := heap(func() any {
		g := New()
		for i, h := range hashes {
			slots[i], _ = g.acquire(h)
		}
		return g
	})
	g := built.(*Guard)
	b.Run("slots", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			scrape.Time++
			all(&scrape)
			at := i % targets * rows
			if late, _ := g.FilterLocked(slots[at:at+rows], &scrape, false); late > 0 {
				b.Fatal(late)
			}
		}
		perSample(b)
		b.ReportMetric(float64(bytes)/float64(len(hashes)), "bytes/series")
	})
	bytes, built = heap(func() any {
		m := mapGuard{}
		for _, h := range hashes {
			m[h] = math.MinInt64
		}
		return m
	})
	m := built.(mapGuard)
	b.Run("map", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			scrape.Time++
			all(&scrape)
			at := i % targets * rows
			for row := range scrape.Values {
				if h := hashes[at+row]; scrape.Present.Has(row) && scrape.Time > m[h] {
					m[h] = scrape.Time
				}
			}
		}
		perSample(b)
		b.ReportMetric(float64(bytes)/float64(len(hashes)), "bytes/series")
	})
}

// BenchmarkForgetAfter is what a step of the clock costs.
func BenchmarkForgetAfter(b *testing.B) {
	g := New()
	for i := range 1_000_000 {
		slot, _ := g.acquire(uint64(i+1) * 0x9e3779b97f4a7c15)
		g.slots.at(slot).last.Store(int64(i))
	}
	for b.Loop() {
		g.ForgetAfter(1<<40, math.MinInt64)
	}
}
