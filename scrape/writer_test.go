package scrape

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

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

// Two targets that give one series may read their pages at the same time: what is not newer then is
// dropped when it is committed.
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
