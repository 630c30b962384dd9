package record

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// TestLostPart loses an appended part: what the reader knows still comes through, the rest is counted, and a repeated table
// brings it back.
func TestLostPart(t *testing.T) {
	w := NewTable(1)
	for i := range 3 {
		w.SetStart(w.Add(labels.FromStrings("__name__", "m", "i", fmt.Sprint(i)), 0), 5)
	}
	var reader Tables
	before := must[*Table](t)(reader.Apply(w.AppendFull(nil, nil, nil)))
	w.Add(labels.FromStrings("__name__", "m", "i", "3"), 0)
	w.SetMeta(3, entry(w, model.MetricTypeCounter, "lost"))
	w.AppendDelta(nil) // lost
	for row, ls := range []labels.Labels{
		labels.FromStrings("__name__", "m", "i", "4"),             // nothing of it was in the lost part
		labels.FromStrings("__name__", "m", "i", "3", "j", "4"),   // a value was
		labels.FromStrings("__name__", "m", "i", "2", "j", "4"),   // like the row before, but without that
		labels.FromStrings("__name__", "m", "k", "2", "j", "new"), // another shape
	} {
		w.Add(ls, float64(row))
		w.SetMeta(uint32(4+row), w.Meta(3))
	}
	table := must[*Table](t)(reader.Apply(w.AppendDelta(nil)))
	if table.Meta(4) != 0 {
		t.Error("a row has metadata that was lost")
	}
	s := &Scrape{
		Time: 1, Values: []float64{10, 11, 12, 13, 14, 15, 16, 17},
		Irregular: []Irregular{{Kind: Sample, Row: 3, Time: 2}, {Kind: Sample, Row: 4, Time: 2}, {Kind: Exemplar, Row: 3, Time: 2}},
	}
	var got Scrape
	read := func(missing int, want ...string) {
		t.Helper()
		table, n, err := reader.Scrape(AppendScrape(nil, w, s), &got)
		if err != nil || n != missing || got.Samples()+n != s.Samples() {
			t.Errorf("%d missing, %d read: %v; %v", n, got.Samples(), got.Values, err)
		}
		var have []string
		var b labels.ScratchBuilder
		c := table.Cursor()
		for row := 0; c.Next(); row++ {
			if row < len(got.Values) && got.Present.Has(row) {
				have = append(have, fmt.Sprint(c.Labels(&b), got.Values[row]))
			}
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("(-want +read):\n%s", d)
		}
	}
	known := []string{`{__name__="m", i="0"} 10`, `{__name__="m", i="1"} 11`, `{__name__="m", i="2"} 12`}
	later := []string{`{__name__="m", i="4"} 14`, `{__name__="m", i="2", j="4"} 16`, `{__name__="m", j="new", k="2"} 17`}
	read(3, slices.Concat(known, later)...)
	if reader.Get(1).Start(0) != 0 {
		t.Error("a start timestamp that may be out of date was given")
	}
	if reader.Get(1).Generation() == before.Generation() {
		t.Error("rows are lost, and the generation does not tell")
	}

	// The scrape says nothing that the repeated table does not.
	record := AppendScrape(nil, w, s)
	must[*Table](t)(reader.Apply(w.AppendRepeat(nil)))
	if d := cmp.Diff(record, AppendScrape(nil, w, s)); d != "" {
		t.Error(d)
	}
	read(0, slices.Concat(known, []string{`{__name__="m", i="3"} 13`, later[0], `{__name__="m", i="3", j="4"} 15`, later[1], later[2]})...)
	if reader.Get(1).Generation() != before.Generation() {
		t.Error("all rows are known, and the generation does not tell")
	}
	if reader.Get(1).Start(0) != 5 {
		t.Error("the start timestamp is lost for good")
	}
	if d := cmp.Diff(rows(w), rows(reader.Get(1))); d != "" {
		t.Error(d)
	}
	must[*Table](t)(reader.Apply(w.AppendRepeat(nil)))
	w.Add(labels.FromStrings("__name__", "m", "i", "9"), 0)
	s.Values = append(s.Values, 18)
	must[*Table](t)(reader.Apply(w.AppendDelta(nil)))
	if _, missing, err := reader.Scrape(AppendScrape(nil, w, s), &got); err != nil || missing != 0 {
		t.Errorf("a part after the repeated table: %d missing, %v", missing, err)
	}

	w = w.Rebuild(func(uint32) bool { return true })
	if _, _, err := reader.Scrape(AppendScrape(nil, w, s), &got); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("a scrape of a generation that was never read: %v", err)
	}
	must[*Table](t)(reader.Apply(w.AppendFull(nil, nil, nil)))
	if _, missing, err := reader.Scrape(AppendScrape(nil, w, s), &got); err != nil || missing != 0 || got.Samples() != 11 {
		t.Errorf("after the table came whole: %d missing, %d read, %v", missing, got.Samples(), err)
	}
}

// The base values of a table are renewed in one segment, for example after a failed append. If that record is lost, the table is not
// read with the old base values.
func TestRenewedBaseIsAnotherGeneration(t *testing.T) {
	w := NewTable(1)
	w.Add(labels.FromStrings("__name__", "m"), 0)
	var reader Tables
	must[*Table](t)(reader.Apply(w.AppendFull(nil, []float64{5}, nil)))
	w.AppendFull(nil, []float64{7}, nil) // lost
	var got Scrape
	if _, _, err := reader.Scrape(AppendScrape(nil, w, &Scrape{Values: []float64{7}}), &got); !errors.Is(err, ErrUnknownTable) {
		t.Errorf("read as %v, %v", got.Values, err)
	}
}

// TestRandomLoss loses table records at random. The tables grow, change metadata and are repeated. Every sample is either read
// correctly or counted as lost.
func TestRandomLoss(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := NewTable(7)
		var reader Tables
		apply := func(b []byte) {
			if r.IntN(3) > 0 {
				if _, err := reader.Apply(b); err != nil && !errors.Is(err, ErrUnknownTable) {
					t.Fatal(err)
				}
			}
		}
		for step := range 20 {
			for range r.IntN(10) {
				w.Add(randomLabels(r), randomValue(r))
			}
			if w.Len() == 0 {
				continue
			}
			for range r.IntN(5) {
				w.SetMeta(uint32(r.IntN(w.Len())), entry(w, types[r.IntN(len(types))], fmt.Sprint("help ", r.IntN(50))))
			}
			s := randomScrape(r, w.Len())
			if step == 0 {
				must[*Table](t)(reader.Apply(w.AppendFull(nil, s.Values, s.Present)))
			}
			if w.Dirty() {
				apply(w.AppendDelta(nil))
			}
			whole := r.IntN(5) == 0
			if whole {
				must[*Table](t)(reader.Apply(w.AppendRepeat(nil)))
			}
			var got Scrape
			read, missing, err := reader.Scrape(AppendScrape(nil, w, s), &got)
			if err != nil {
				if step == 0 || whole {
					t.Fatalf("seed %d step %d: %v", seed, step, err)
				}
				continue // rows came first in a part that was lost
			}
			if missing != s.Samples()-got.Samples() || whole && missing > 0 {
				t.Fatalf("seed %d step %d: %d of %d samples are read, %d said to be missing", seed, step, got.Samples(), s.Samples(), missing)
			}
			var b labels.ScratchBuilder
			want, have := w.Cursor(), read.Cursor()
			for row := 0; have.Next() && want.Next(); row++ {
				if read.gaps.lost(row) {
					if got.Present.Has(row) {
						t.Fatalf("seed %d step %d: row %d is lost, and read", seed, step, row)
					}
					continue
				}
				if w, r := want.Labels(&b), have.Labels(&b); !labels.Equal(w, r) {
					t.Fatalf("seed %d step %d: row %d is %v, read as %v", seed, step, row, w, r)
				}
				if w, r := s.Values[row], got.Values[row]; got.Present.Has(row) && math.Float64bits(w) != math.Float64bits(r) {
					t.Fatalf("seed %d step %d: row %d is worth %v, read as %v", seed, step, row, w, r)
				}
				if m := read.Meta(uint32(row)); m != 0 && read.gaps.metas.has(m-1) {
					t.Fatalf("seed %d step %d: row %d has lost metadata", seed, step, row)
				}
			}
		}
	}
}
