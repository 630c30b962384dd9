package relay

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.uber.org/zap/zaptest"

	"promrelay/record"
	"promrelay/wal"
)

// writer appends scrapes to a log as the scrape room does.
type writer struct {
	t       testing.TB
	wal     *wal.WAL
	tables  []*record.Table
	written []uint64 // the segment in which each was written last
	now     int64
	samples int
}

func openWAL(t testing.TB, dir string) *wal.WAL {
	t.Helper()
	w, err := wal.Open(wal.Options{Dir: dir, SegmentBytes: 64 << 10, MinFreeBytes: -1, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// newWriter makes targets with some series each, with metadata.
func newWriter(t testing.TB, w *wal.WAL, targets, series int) *writer {
	wr := &writer{t: t, wal: w, now: time.Now().UnixMilli()}
	for i := range targets {
		table := record.NewTable(uint64(i + 1))
		s := table.Symbols()
		for j := range series {
			row := table.Add(labels.FromStrings("__name__", fmt.Sprintf("metric_%d_total", j%7), "n", strconv.Itoa(j), "target", strconv.Itoa(i)), 0)
			table.SetMeta(row, table.Metadata(model.MetricTypeCounter, s.Intern([]byte(fmt.Sprintf("metric_%d", j%7))), s.Intern([]byte("Help.")), s.Intern([]byte("seconds"))))
		}
		wr.tables = append(wr.tables, table)
		wr.written = append(wr.written, 0)
	}
	return wr
}

// scrape appends one scrape of each target.
func (w *writer) scrape() {
	w.t.Helper()
	w.now += 1000
	for i, table := range w.tables {
		s := &record.Scrape{Time: w.now, Values: make([]float64, table.Len())}
		for row := range s.Values {
			s.Values[row] = float64(w.now%100000) + float64(row)
		}
		w.append(i, s)
	}
}

func (w *writer) append(i int, s *record.Scrape) {
	w.t.Helper()
	for {
		seg := w.wal.Segment()
		var group []wal.Frame
		if w.written[i] != seg {
			group = append(group, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.tables[i].AppendFull(nil, s.Values, s.Present)})
		} else if w.tables[i].Dirty() {
			group = append(group, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: w.tables[i].AppendDelta(nil)})
		}
		group = append(group, wal.Frame{Type: record.FrameScrape, Count: uint32(s.Samples()), Payload: record.AppendScrape(nil, w.tables[i], s)})
		_, err := w.wal.Append(seg, group...)
		if rotated := (*wal.RotatedError)(nil); errors.As(err, &rotated) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		w.written[i] = seg
		w.samples += s.Samples()
		return
	}
}

func closeWAL(t testing.TB, w *wal.WAL) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// rich appends a scrape with everything that a record can hold.
func rich(t *testing.T, w *writer) {
	h := &histogram.Histogram{Schema: 1, Count: 3, Sum: 7, ZeroThreshold: 0.01, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1}}
	m := writev2.FromIntHistogram(0, 0, h)
	hb, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	table := w.tables[0]
	table.SetStart(1, 500)
	s := &record.Scrape{Time: 10_000, Present: record.Bits{0b1011}, Values: []float64{1, 2.5, 0, math.Inf(1)}, Times: []int64{9000, 10_000, 0, 9500}}
	s.Irregular = []record.Irregular{
		{Kind: record.Exemplar, Row: 1, Time: 9999, Value: 0.25, Labels: []string{"trace_id", "abc"}},
		{Kind: record.Histogram, Row: 2, Time: 10_000, Start: 77, Histogram: hb},
		{Kind: record.Sample, Row: 0, Time: 10_001, Value: math.Copysign(0, -1), Start: 3},
	}
	w.append(0, s)
}
