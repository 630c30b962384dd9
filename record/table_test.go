package record

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
)

// TestLookup finds symbols and adds none.
func TestLookup(t *testing.T) {
	var s Symbols
	if _, ok := s.Lookup([]byte("a")); ok {
		t.Error("found in an empty list")
	}
	for i := range 100 {
		s.Intern(fmt.Append(nil, i))
	}
	for i := range 100 {
		if ref, ok := s.Lookup(fmt.Append(nil, i)); !ok || string(s.Bytes(ref)) != fmt.Sprint(i) {
			t.Errorf("%d is symbol %d, %t", i, ref, ok)
		}
	}
	if _, ok := s.Lookup([]byte("100")); ok || s.Len() != 101 {
		t.Errorf("found what was not added, or added it: %d symbols", s.Len())
	}
	if ref, ok := s.Lookup(nil); !ok || ref != 0 {
		t.Errorf("the empty string is symbol %d, %t", ref, ok)
	}
}

// TestTableOfOneRow asks an unwritten table for all that it knows.
func TestTableOfOneRow(t *testing.T) {
	w := NewTable(9)
	if w.ID() != 9 || w.Len() != 0 || w.Dirty() || w.Generation() != 1 {
		t.Errorf("an empty table: %s with %d rows, dirty %t", w, w.Len(), w.Dirty())
	}
	empty := w.Size()
	row := w.Add(labels.FromStrings("__name__", "up", "job", "node"), 1)
	if !w.Dirty() || w.Shapes() != 1 || len(w.Shape(0)) != 2 || w.Size() <= empty {
		t.Errorf("dirty %t, %d shapes, %d bytes after %d", w.Dirty(), w.Shapes(), w.Size(), empty)
	}
	for i, want := range []string{"__name__", "job"} {
		if got := string(w.Symbols().Bytes(w.Shape(0)[i])); got != want {
			t.Errorf("label %d is called %s, want %s", i, got, want)
		}
	}
	help := w.Symbols().Intern([]byte("Is it up?"))
	n := w.Metadata("of another release", 0, help, 0)
	if again := w.Metadata(model.MetricTypeUnknown, 0, help, 0); n == 0 || again != n {
		t.Errorf("a type that has no number is entry %d, and unknown is %d", n, again)
	}
	w.SetMeta(row, n)
	if typ, family, h, unit := w.Entry(w.Meta(row)); typ != model.MetricTypeUnknown || family != 0 || h != help || unit != 0 {
		t.Errorf("entry is %s %d %d %d", typ, family, h, unit)
	}
}

// TestDirty: new rows and changes of older rows give AppendDelta something to write. Setting the same value again does not.
func TestDirty(t *testing.T) {
	w := goldenTable()
	w.AppendFull(nil, nil, nil)
	for _, c := range []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing", func() {}, false},
		{"the same metadata", func() { w.SetMeta(1, w.Meta(1)) }, false},
		{"the same start timestamp", func() { w.SetStart(2, 1000) }, false},
		{"other metadata", func() { w.SetMeta(1, 0) }, true},
		{"another start timestamp", func() { w.SetStart(2, 0) }, true},
		{"a row", func() { w.Add(labels.FromStrings("a", "b"), 0) }, true},
	} {
		if c.do(); w.Dirty() != c.want {
			t.Errorf("%s: dirty %t", c.name, w.Dirty())
		}
		w.AppendDelta(nil)
	}
}

// TestBaseValues: base values are those of the scrape that follows the table, except for rows that it lacks and for staleness markers.
// If the table was written before, new base values make another generation of it.
func TestBaseValues(t *testing.T) {
	w := goldenTable()
	stale := math.Float64frombits(value.StaleNaN)
	w.AppendFull(nil, []float64{5, 6, stale}, Bits{0b101})
	if w.Generation() != 1 || w.base[0] != 5 || w.base[1] != 12.5 || w.base[2] != 13 {
		t.Errorf("generation %d, base values %v", w.Generation(), w.base)
	}
	w.AppendFull(nil, nil, nil)
	if w.Generation() != 1 {
		t.Error("another generation of a table that is written as it was")
	}
	w.AppendFull(nil, []float64{7, 8, 9}, nil)
	if w.Generation() != 2 || w.base[2] != 9 {
		t.Errorf("generation %d, base values %v", w.Generation(), w.base)
	}
}

// TestRebuildKeepsSymbols of others, such as those of a family without rows, under new numbers.
func TestRebuildKeepsSymbols(t *testing.T) {
	w := goldenTable()
	other := w.Symbols().Intern([]byte("of another family"))
	none := uint32(0)
	out := w.Rebuild(func(row uint32) bool { return row == 2 }, &other, &none)
	if got := string(out.Symbols().Bytes(other)); got != "of another family" || none != 0 {
		t.Errorf("symbol is %q, none is %d", got, none)
	}
	if d := cmp.Diff(rows(w)[2:], rows(out)); d != "" {
		t.Errorf("rows (-before +after):\n%s", d)
	}
	if _, ok := out.Symbols().Lookup([]byte("up")); ok || out.Generation() != w.Generation()+1 {
		t.Error("what only the other rows had is still there, or the generation is the same")
	}
	if n := entry(out, model.MetricTypeCounter, "Time."); n != out.Meta(0) {
		t.Errorf("the metadata that is there is entry %d, and another one the second time: %d", out.Meta(0), n)
	}
}

// TestCursorReset walks over one table after another with the same cursor.
func TestCursorReset(t *testing.T) {
	w := goldenTable()
	other := NewTable(4)
	other.Add(labels.FromStrings("a", "b"), 0)
	c := w.Cursor()
	var b labels.ScratchBuilder
	for range 2 {
		var got []string
		for _, table := range []*Table{w, other} {
			for c.Reset(table); c.Next(); {
				got = append(got, c.Labels(&b).String())
			}
		}
		want := []string{`{__name__="up", job="node"}`, `{__name__="cpu_seconds_total", cpu="0", job="node"}`, `{__name__="cpu_seconds_total", cpu="1", job="node"}`, `{a="b"}`}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("rows (-want +got):\n%s", d)
		}
	}
}

// TestManyLabels has rows of more labels than fit into one byte of a mask. Some labels are the same as in the row before.
func TestManyLabels(t *testing.T) {
	w := NewTable(1)
	var want []string
	for row := range 20 {
		b := labels.NewScratchBuilder(70)
		for i := range 70 {
			v := "same"
			if i%20 == row {
				v = fmt.Sprint("row ", row)
			}
			b.Add(fmt.Sprintf("label_%02d", i), v)
		}
		ls := b.Labels()
		w.Add(ls, 0)
		want = append(want, ls.String()+" start 0 base 0")
	}
	if w.Shapes() != 1 {
		t.Errorf("%d shapes", w.Shapes())
	}
	var reader Tables
	for name, table := range map[string]*Table{"written": w, "read": must[*Table](t)(reader.Apply(w.AppendFull(nil, nil, nil)))} {
		if d := cmp.Diff(want, rows(table)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
