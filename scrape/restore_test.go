package scrape

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/wal"
)

// What one process wrote, also in two segments and with timestamps of its own, the next one's guard knows.
func TestGuardRestoredFromTheLog(t *testing.T) {
	dir := t.TempDir()
	open := func() *wal.WAL {
		w, err := wal.Open(wal.Options{Dir: dir, MinFreeBytes: -1, SegmentBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	log, g := open(), NewGuard()
	w := writer{guard: g, log: log, metrics: newMetrics(nil, g), clock: newClock()}
	tab := newTable(g)
	add := func(name string) {
		ls := labels.FromStrings("__name__", name)
		slot, _ := g.acquire(hashLabels(ls, nil))
		tab.addRow(ls, slot, 0)
	}
	commit := func(s *record.Scrape) {
		t.Helper()
		if err := w.commit(tab, s); err != nil {
			t.Fatal(err)
		}
	}
	first := log.Segment()
	add("gone")
	add("stays")
	commit(&record.Scrape{Time: 1000, Values: []float64{1, 1}})
	only := record.Bits{0}.Grow(2)
	only.Set(1)
	for ms := int64(2000); log.Segment() == first; ms += 1000 {
		commit(&record.Scrape{Time: ms, Present: only, Values: []float64{0, 2}})
	}
	add("stamped")
	add("irregular")
	only = record.Bits{0}
	only.Set(1)
	only.Set(2)
	commit(&record.Scrape{
		Time: 1e6, Present: only, Values: []float64{0, 3, 4, 0}, Times: []int64{0, 1e6, 999_000, 0},
		Irregular: []record.Irregular{{Kind: record.Sample, Row: 3, Time: 998_000, Value: 1}, {Kind: record.Exemplar, Row: 3, Time: 2e6, Value: 1}},
	})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	log = open()
	defer log.Close()
	r, err := log.NewReader(log.Tail())
	if err != nil {
		t.Fatal(err)
	}
	next := NewGuard()
	if err := next.RestoreFrom(r); err != nil {
		t.Fatal(err)
	}
	slot, _ := next.acquire(hashLabels(labels.FromStrings("__name__", "irregular"), nil))
	for _, e := range []lastExemplar{{ms: 2e6, own: true, value: 1, labels: labels.EmptyLabels().Hash()}, {ms: 1e6, own: true, value: 7}} {
		if _, _, newer := next.newExemplar(slot, e); newer {
			t.Errorf("exemplar %+v passes again", e)
		}
	}
	if _, _, newer := next.newExemplar(slot, lastExemplar{ms: 2e6, own: true, value: 1.5}); !newer {
		t.Error("an exemplar of another bucket does not pass")
	}
	for name, want := range map[string]int64{"gone": 1000, "stays": 1e6, "stamped": 999_000, "irregular": 998_000} {
		slot, _ := next.acquire(hashLabels(labels.FromStrings("__name__", name), nil))
		if got := next.last(slot); got != want {
			t.Errorf("%s: last at %d, want %d", name, got, want)
		}
	}
}
