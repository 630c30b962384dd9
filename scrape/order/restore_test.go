package order

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/wal"
)

// written is a log in memory.
type written struct {
	entries []wal.Entry
	fail    error // after them
}

func (w *written) TryNext() (wal.Entry, bool, error) {
	if len(w.entries) == 0 {
		return wal.Entry{}, false, w.fail
	}
	e := w.entries[0]
	w.entries = w.entries[1:]
	return e, true, nil
}

// add adds a frame to the log.
func (w *written) add(typ byte, payload []byte) {
	w.entries = append(w.entries, wal.Entry{Type: typ, Payload: payload})
}

// scrape adds all of t and a scrape of it.
func (w *written) scrape(t *record.Table, s record.Scrape) {
	for len(s.Values) < t.Len() {
		s.Values = append(s.Values, 0)
	}
	s.Present = s.Present.Grow(t.Len())
	w.add(record.FrameTable, t.AppendFull(nil, s.Values, s.Present))
	w.add(record.FrameScrape, record.AppendScrape(nil, t, &s))
}

func series(name string) labels.Labels { return labels.FromStrings("__name__", name) }

// lastOf returns the guard's timestamp of a series.
func lastOf(g *Guard, name string) int64 {
	slot, _ := g.Acquire(series(name).Bytes(nil))
	defer g.Release(slot)
	return g.Last(slot)
}

func TestRestore(t *testing.T) {
	now := time.Now().UnixMilli()
	ahead := now + MaxAhead.Milliseconds() + time.Minute.Milliseconds()
	tab := record.NewTable(1)
	for _, name := range []string{"gone", "stays", "stamped", "irregular", "ahead"} {
		tab.Add(series(name), 0)
	}
	log := &written{}
	log.scrape(tab, record.Scrape{Time: 1000, Present: record.Bits{0b00011}})
	log.add(record.FrameScrape, []byte("damaged"))
	log.add(record.FrameTable, []byte("damaged"))
	log.add(99, []byte("of a kind that is not known"))
	log.scrape(tab, record.Scrape{
		Time: 5000, Present: record.Bits{0b00110}, Times: []int64{0, 5000, 4000, 0, 0},
		Irregular: []record.Irregular{
			{Kind: record.Sample, Row: 3, Time: 3000, Value: 1},
			{Kind: record.Exemplar, Row: 3, Time: 6000, Value: 1, Labels: []string{"trace", "a"}},
			{Kind: record.Exemplar, Row: 3, Time: 2000, Value: 1},
			{Kind: record.Exemplar, Row: 2, Time: ahead, Value: 1},
		},
	})
	log.scrape(tab, record.Scrape{Time: ahead, Present: record.Bits{0b10010}})
	// Another segment: the same table, with its rows renumbered.
	again := record.NewTable(1)
	again.Add(series("stays"), 0)
	n := len(log.entries)
	log.scrape(again, record.Scrape{Time: 7000, Present: record.Bits{0b1}})
	log.entries[n].NewSegment = true

	g := New()
	if err := g.RestoreFrom(log); err != nil {
		t.Fatal(err)
	}
	if r := g.Restored(); r.Newest != 7000 || r.Ahead != 1 {
		t.Errorf("restored %+v", r)
	}
	for name, want := range map[string]int64{"gone": 1000, "stays": 7000, "stamped": 4000, "irregular": 3000, "ahead": math.MinInt64} {
		if got := lastOf(g, name); got != want {
			t.Errorf("%s: last at %d, want %d", name, got, want)
		}
	}
	slot, _ := g.Acquire(series("irregular").Bytes(nil))
	e := Exemplar{Time: 6000, Own: true, Value: 1, Labels: labels.FromStrings("trace", "a").Hash()}
	if _, _, added := g.AddExemplar(slot, e); added {
		t.Error("an exemplar of the log passes again")
	}
	if e.Value = 1.5; !second(g, slot, e) {
		t.Error("an exemplar of another bucket does not pass")
	}
	slot, _ = g.Acquire(series("stamped").Bytes(nil))
	if !second(g, slot, Exemplar{Time: 1}) {
		t.Error("an exemplar from far ahead was restored")
	}
}

func second(g *Guard, slot uint32, e Exemplar) bool {
	_, _, added := g.AddExemplar(slot, e)
	return added
}

func TestRestoreFromBrokenLog(t *testing.T) {
	disk := errors.New("the disk is gone")
	if err := New().RestoreFrom(&written{fail: disk}); !errors.Is(err, disk) || !strings.HasPrefix(err.Error(), "read the log: ") {
		t.Errorf("got %v", err)
	}
}

func TestExemplarOrder(t *testing.T) {
	for name, c := range map[string]struct {
		old, e Exemplar
		want   bool
	}{
		"newer":                        {Exemplar{Time: 1, Own: true}, Exemplar{Time: 2, Own: true}, true},
		"older":                        {Exemplar{Time: 2, Own: true}, Exemplar{Time: 1, Own: true}, false},
		"same":                         {Exemplar{Time: 1, Own: true}, Exemplar{Time: 1, Own: true}, false},
		"same time, larger value":      {Exemplar{Time: 1, Own: true}, Exemplar{Time: 1, Own: true, Value: 1}, true},
		"same time, other labels":      {Exemplar{Time: 1, Labels: 1}, Exemplar{Time: 1, Labels: 2}, true},
		"repeated without a timestamp": {Exemplar{Time: 1, Value: 3}, Exemplar{Time: 2, Value: 3}, false},
		"repeated, now with one":       {Exemplar{Time: 1, Value: 3}, Exemplar{Time: 2, Value: 3, Own: true}, true},
	} {
		if got := c.old.before(c.e); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestForgetExemplars(t *testing.T) {
	g := New()
	a, _ := g.acquire(1)
	b, _ := g.acquire(2)
	g.AddExemplar(a, Exemplar{Time: 10})
	g.AddExemplar(b, Exemplar{Time: 10})
	g.Lock()
	g.ForgetExemplarsLocked([]uint32{a}, 9)
	g.ForgetExemplarsLocked([]uint32{b}, 10)
	g.Unlock()
	if !second(g, a, Exemplar{Time: 5}) || second(g, b, Exemplar{Time: 5}) {
		t.Error("the wrong exemplar was forgotten")
	}
}

// TestFilter has the cases of a clock that is behind apart, and of rows with more than one sample.
func TestFilter(t *testing.T) {
	g := New()
	var slots []uint32
	for h := range uint64(3) {
		slot, _ := g.acquire(h + 1)
		slots = append(slots, slot)
	}
	s := record.Scrape{Time: 10, Values: make([]float64, 3), Present: record.Bits{0b111}, Times: []int64{10, 20, 10}}
	s.Irregular = []record.Irregular{{Kind: record.Histogram, Row: 2, Time: 10}, {Kind: record.Sample, Row: 2, Time: 11}, {Kind: record.Exemplar, Row: 2, Time: 1}}
	if late, behind := g.FilterLocked(slots, &s, false); late != 1 || behind != 0 || len(s.Irregular) != 2 {
		t.Errorf("late %d, behind %d, irregular %+v", late, behind, s.Irregular)
	}
	s = record.Scrape{Time: 9, Values: make([]float64, 3), Present: record.Bits{0b111}, Times: []int64{9, 20, 12}}
	if late, behind := g.FilterLocked(slots, &s, true); late != 1 || behind != 1 || s.Present[0] != 0b100 {
		t.Errorf("late %d, behind %d, present %b", late, behind, s.Present[0])
	}
	for i, want := range []int64{10, 20, 12} {
		if got := g.Last(slots[i]); got != want {
			t.Errorf("row %d: last %d, want %d", i, got, want)
		}
	}
}
