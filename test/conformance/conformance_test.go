package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// number reads a number from an environment variable.
func number(t testing.TB, name string, def int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// each calls a function with the numbers from 0 to n, several at once.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 6 * runtime.GOMAXPROCS(0) { // most of the time the relay waits for more events
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// compare asks both sides about a case and returns their differences, and the relay's result.
func compare(o *oracle, c *testCase) ([]string, *result, error) {
	a, err := o.askByRoles(c)
	if err != nil {
		return nil, nil, err
	}
	b, err := relayed(c)
	if err != nil {
		return nil, nil, err
	}
	return differences(a, b), b, nil
}

// random is a run over random cases.
type random struct {
	*testing.T
	oracle *oracle
	mu     sync.Mutex // guards what follows
	fields coverage
	traps  map[string]int // in how many cases a trap was met
	count  map[string]int
	shrunk int // how many differences were
}

// TestRandom compares random cases: CASES of them, from SEED on. Without CASES it is left out.
func TestRandom(t *testing.T) {
	n := number(t, "CASES", 0)
	if n == 0 {
		t.Skip("CASES is not given; make conformance gives it")
	}
	r := &random{T: t, oracle: newOracle(t), fields: coverage{map[string]int{}, map[string]int{}}, traps: map[string]int{}, count: map[string]int{}}
	first := number(t, "SEED", 0)
	each(n, func(i int) { r.one(uint64(first + i)) })
	dead := r.fields.dead()
	for more := 1; more <= 80 && len(dead) > 0 && n >= len(allFields); more++ { // some need luck
		var seeds []uint64
		for i, f := range allFields {
			for _, d := range dead {
				if d == f {
					seeds = append(seeds, uint64((first+n+more*1000)/len(allFields)*len(allFields)+len(allFields)*more+i))
				}
			}
		}
		each(len(seeds), func(i int) { r.one(seeds[i]) })
		dead = r.fields.dead()
	}
	for more := 0; more < 10 && len(r.traps) < len(traps) && n >= len(allFields); more++ {
		each(200, func(i int) { r.one(uint64(first + n + 200_000 + 200*more + i)) })
	}
	t.Logf("%v\ntraps: %v", r.count, r.traps)
	for name := range traps {
		if r.traps[name] == 0 && n >= len(allFields) {
			t.Errorf("no case has met the trap %s", name)
		}
	}
	if path := os.Getenv("COVERAGE"); path != "" {
		if err := os.WriteFile(path, []byte(r.fields.report()), 0o600); err != nil {
			t.Error(err)
		}
	}
	if n >= len(allFields) && len(dead) > 0 {
		t.Errorf("%d fields have changed nothing:\n%s", len(dead), strings.Join(dead, "\n"))
	}
}

// one compares the case of a seed, and checks whether the field that it must have changes anything.
func (r *random) one(seed uint64) {
	g := newGen(seed)
	c := g.testCase()
	diff, result, err := compare(r.oracle, c)
	if err != nil {
		r.Errorf("seed %d: %v", seed, err)
		return
	}
	edited, there := c.without(g.must)
	changed := false
	if there {
		other, err := relayed(edited)
		if err != nil {
			r.Errorf("seed %d without %s: %v", seed, g.must, err)
			return
		}
		changed = !reflect.DeepEqual(result, other)
	}
	var dependent []string
	rejected := result.rejected()
	if len(rejected) > 0 && seed%4 == 0 {
		if dependent, err = alone(c, result, rejected[0]); err != nil {
			r.Errorf("seed %d without %s: %v", seed, rejected[0], err)
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(dependent) > 0 {
		r.Errorf("seed %d: %s, which is rejected, changes others: without it (\"oracle\") and with it (\"relay\")\n%s", seed, rejected[0], strings.Join(dependent, "\n"))
	}
	if there {
		r.fields.tried[g.must]++
	}
	if changed {
		r.fields.changed[g.must]++
	}
	r.tally(result)
	for name, met := range traps {
		if met(c, result) {
			r.traps[name]++
		}
	}
	if len(diff) > 0 {
		r.differs(seed, c, diff)
	}
}

// rejected returns the names of rejected monitors.
func (r *result) rejected() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Monitors)) {
		if r.Monitors[name] != "" {
			out = append(out, name)
		}
	}
	return out
}

// alone lists what changes for the others when a rejected monitor is left out: nothing should.
func alone(c *testCase, all *result, rejected string) ([]string, error) {
	less := c.clone()
	less.Objects = slices.DeleteFunc(less.Objects, func(o object) bool { return o.name() == rejected })
	without, err := relayed(less)
	if err != nil {
		return nil, err
	}
	without.Monitors[rejected] = all.Monitors[rejected]
	return differences(without, all), nil
}

// shrinkAtMost is how many differences are shrunk unless SHRINK is set; more would tell nothing new.
const shrinkAtMost = 10

// differs reports a difference, and writes a small case of it to the directory KEEP. UPDATE=1 then adds the oracle's result.
func (r *random) differs(seed uint64, c *testCase, diff []string) {
	r.count["different"]++
	r.Errorf("seed %d: %s", seed, strings.Join(diff, "\n"))
	if r.shrunk++; r.shrunk > number(r.T, "SHRINK", shrinkAtMost) {
		return
	}
	first, _, _ := strings.Cut(diff[0], "\n")
	c = shrink(c, func(c *testCase) bool {
		diff, _, err := compare(r.oracle, c)
		return err == nil && len(diff) > 0 && strings.HasPrefix(diff[0], first) // the same difference
	})
	r.Logf("seed %d, shrunk:\n%s", seed, c.yaml())
	if dir := os.Getenv("KEEP"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed-%d.yaml", seed)), c.yaml(), 0o644); err != nil { //nolint:gosec // part of the repository
			r.Error(err)
		}
	}
}

func (r *random) tally(result *result) {
	r.count["cases"]++
	if result.Error != "" {
		r.count["settings refused"]++
	}
	for _, reason := range result.Monitors {
		if reason == "" {
			r.count["accepted"]++
		} else {
			r.count["rejected"]++
		}
	}
	for _, j := range result.Jobs {
		r.count["jobs"]++
		r.count["targets"] += len(j.Targets)
		if len(j.Targets) > 0 {
			r.count["jobs with targets"]++
		}
	}
}

// TestSeed shows a random case: SEED=7 go test -run TestSeed -v.
func TestSeed(t *testing.T) {
	if os.Getenv("SEED") == "" || os.Getenv("CASES") != "" {
		t.Skip("SEED is not given")
	}
	c := newGen(uint64(number(t, "SEED", 0))).testCase()
	t.Logf("%s", c.yaml())
	diff, _, err := compare(newOracle(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(diff) > 0 {
		t.Error(strings.Join(diff, "\n"))
	}
}
