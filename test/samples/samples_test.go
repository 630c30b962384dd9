package samples

import (
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
	if closeAtEnd != nil {
		_ = closeAtEnd.close()
	}
}

// perDelivery is how many sequences go through one delivery.
const perDelivery = 100

// compare plays the sequence to both, and returns the differences.
func compare(t *testing.T, f *delivery, s sequence, seen *features, restarts int) string {
	t.Helper()
	var want got
	var good []bool
	synctest.Test(t, func(t *testing.T) { want, good = runPrometheus(t, s.steps, seen) })
	have := runRelay(t, f, s.steps, restarts)
	if len(want.samples) == 0 {
		t.Fatal("the sequence leads to no samples at all")
	}
	if !parseST(s.steps) && hasProtobuf(s.steps) { // else there are none on either side
		for _, samples := range have.samples {
			for i := range samples {
				samples[i].start = 0
			}
		}
	}
	seen.pages(s, good)
	seen.come(want)
	if restarts > 0 {
		seen.add("relay restarts")
	}
	if f.recv.repeated() > 0 {
		seen.add("delivered twice")
	}
	return diff(want, have)
}

// TestScrapeMatchesPrometheus runs random sequences both ways: what comes out must be the same.
func TestScrapeMatchesPrometheus(t *testing.T) {
	n, first := uint64(5000), environment("SEED", 0)
	if testing.Short() {
		n = 300
	}
	n = environment("SEQUENCES", n)
	var c coverage
	failed := 0
	for seed := first; seed < first+n; {
		f, err := newDelivery(rand.New(rand.NewPCG(seed, 2)))
		if err != nil {
			t.Fatal(err)
		}
		for range perDelivery {
			if seed == first+n || failed >= 3 {
				break
			}
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				failed++
				seen := newFeatures()
				s := newSequence(seed, seen)
				restarts := int(seed % 2 * (seed / 2 % 3))
				if d := compare(t, f, s, seen, restarts); d != "" {
					t.Fatalf("- is Prometheus, + is promrelay\n%s\n%s", d, show(s.steps))
				}
				c.add(seen)
				failed--
			})
			seed++
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if failed >= 3 {
			t.Fatal("three sequences differ: stop")
		}
	}
	c.check(t)
}

// TestRelayAlone is for the race detector: Prometheus's Manager has a data race of its own when it reloads.
func TestRelayAlone(t *testing.T) {
	f, err := newDelivery(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(40)
	if testing.Short() {
		n = 10
	}
	for seed := range n {
		out := runRelay(t, f, newSequence(seed, newFeatures()).steps, int(seed%3))
		if len(out.samples) == 0 {
			t.Errorf("sequence %d led to no samples", seed)
		}
		for name, samples := range out.samples {
			for i := range samples[1:] {
				if samples[i].ms >= samples[i+1].ms {
					t.Errorf("sequence %d: %s out of order: %v, %v", seed, name, samples[i], samples[i+1])
				}
			}
		}
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
}
