package scrape

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/record"
	"promrelay/scrape/order"
	"promrelay/wal"
)

// countLog counts the samples of the frames that it is given.
type countLog struct{ samples int }

func (*countLog) Segment() uint64 { return 1 }

func (l *countLog) Append(_ uint64, group ...wal.Frame) (wal.Position, error) {
	for _, f := range group {
		l.samples += int(f.Count)
	}
	return wal.Position{}, nil
}

// Two targets that give one series may read their pages at the same time: samples that are not
// newer then are dropped at the commit.
func TestCommitKeepsOrderAcrossTargets(t *testing.T) {
	log, g := &countLog{}, order.New()
	w := writer{guard: g, log: log, metrics: newMetrics(nil, g), clock: newClock()}
	ls := labels.FromStrings("__name__", "shared")
	for _, c := range []struct {
		time      int64
		irregular bool
		want      int // samples in the log
	}{{2000, false, 1}, {1000, false, 1}, {2000, false, 1}, {2000, true, 1}, {1500, true, 1}, {2001, false, 2}, {2002, true, 3}} {
		tab := newTable(g)
		slot, _ := g.Acquire(ls.Bytes(nil))
		tab.addRow(ls, slot, 0)
		s := &record.Scrape{Time: c.time, Values: []float64{1}, Present: record.Bits{1}}
		if c.irregular {
			s.Present[0] = 0
			s.Irregular = []record.Irregular{{Kind: record.Sample, Time: c.time, Value: 1}}
		}
		if err := w.commit(tab, s); err != nil {
			t.Fatal(err)
		}
		if log.samples != c.want {
			t.Errorf("after a sample of %d, irregular %t: %d samples in the log, want %d", c.time, c.irregular, log.samples, c.want)
		}
	}
}

// faultyLog refuses so many groups for another segment, and then returns err.
type faultyLog struct {
	rotate int
	err    error
	groups [][]wal.Frame
	seg    uint64
}

func (l *faultyLog) Segment() uint64 { return l.seg }

func (l *faultyLog) Append(segment uint64, group ...wal.Frame) (wal.Position, error) {
	if l.rotate > 0 {
		l.rotate--
		l.seg++
		return wal.Position{}, &wal.RotatedError{}
	}
	if l.err != nil {
		return wal.Position{}, l.err
	}
	l.groups = append(l.groups, group)
	return wal.Position{}, nil
}

// TestCommitFollowsTheSegment: each segment gets the table with its first scrape, also when it
// changes in between, and again after an error; else it gets what is new alone.
func TestCommitFollowsTheSegment(t *testing.T) {
	g, log := order.New(), &faultyLog{seg: 1}
	w := writer{guard: g, log: log, metrics: newMetrics(nil, g), clock: newClock()}
	tab := newTable(g)
	add := func(name string) {
		ls := labels.FromStrings("__name__", name)
		slot, _ := g.Acquire(ls.Bytes(nil))
		tab.addRow(ls, slot, 0)
	}
	add("a")
	ms := int64(0)
	commit := func() error {
		ms++
		s := &record.Scrape{Time: ms, Values: make([]float64, tab.rows.Len()), Present: record.Bits(nil).Grow(tab.rows.Len())}
		for row := range s.Values {
			s.Present.Set(row)
		}
		return w.commit(tab, s)
	}
	disk := errors.New("disk")
	for i, c := range []struct {
		before func()
		frames int // 0: it fails
	}{
		{func() {}, 2},                           // table and scrape
		{func() {}, 1},                           // scrape
		{func() { add("b") }, 2},                 // part and scrape
		{func() { log.rotate = 2 }, 2},           // table and scrape
		{func() {}, 1},                           // scrape
		{func() { log.err = disk }, 0},           // lost
		{func() { log.err = nil }, 2},            // table and scrape
		{func() { add("c"); log.rotate = 1 }, 2}, // table and scrape
	} {
		c.before()
		before := len(log.groups)
		err := commit()
		if c.frames == 0 {
			if !errors.Is(err, disk) || err.Error() != "append to the log: disk" {
				t.Errorf("step %d: %v", i, err)
			}
			continue
		}
		if err != nil || len(log.groups) != before+1 || len(log.groups[before]) != c.frames {
			t.Errorf("step %d: %d groups, %v, the last of %d frames, want %d", i, len(log.groups)-before, err, len(log.groups[len(log.groups)-1]), c.frames)
		}
	}
	if lost := testutil.ToFloat64(w.metrics.dropped.WithLabelValues(dropLog)); lost != 2 {
		t.Errorf("%g samples are counted as lost, want 2", lost)
	}
}

// TestErrorsOfTheLog are logged once each, as what was lost.
func TestErrorsOfTheLog(t *testing.T) {
	core, seen := observer.New(zap.DebugLevel)
	s := shared{logger: zap.New(core)}
	for _, text := range []string{"full", "full", "gone", "gone", "full"} {
		s.commitFailed(errors.New(text))
	}
	var got []string
	for _, e := range seen.All() {
		got = append(got, e.Message+": "+fmt.Sprint(e.ContextMap()["err"]))
	}
	if want := []string{"samples lost: full", "samples lost: gone", "samples lost: full"}; !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}
