package record

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSymbols(t *testing.T) {
	var s Symbols
	for round := range 2 {
		for i := range 1000 {
			v := fmt.Sprintf("symbol-%d", i)
			ref := s.Intern([]byte(v))
			if ref != uint32(i+1) || string(s.Bytes(ref)) != v {
				t.Fatalf("round %d: %q is symbol %d, %q", round, v, ref, s.Bytes(ref))
			}
		}
	}
	if s.Intern(nil) != 0 || s.Bytes(0) != nil || s.Len() != 1001 {
		t.Errorf("the empty string is symbol %d of %d", s.Intern(nil), s.Len())
	}
}

// rows reads a table back as text, a line a row.
func rows(t *Table) []string {
	var out []string
	b := labels.NewScratchBuilder(8)
	c := t.Cursor()
	for row := uint32(0); c.Next(); row++ {
		line := c.Labels(&b).String()
		if m := t.Meta(row); m != 0 {
			typ, family, help, unit := t.Entry(m)
			s := t.Symbols()
			line += fmt.Sprintf(" %s %s %q %s", typ, s.Bytes(family), s.Bytes(help), s.Bytes(unit))
		}
		out = append(out, line+fmt.Sprintf(" start %d base %x", t.Start(row), math.Float64bits(t.base[row])))
	}
	return out
}

func entry(t *Table, typ model.MetricType, help string) uint32 {
	s := t.Symbols()
	return t.Metadata(typ, s.Intern([]byte("cpu_seconds_total")), s.Intern([]byte(help)), s.Intern([]byte("seconds")))
}

func randomLabels(r *rand.Rand) labels.Labels {
	b := labels.NewScratchBuilder(8)
	b.Add("__name__", fmt.Sprintf("metric_%d", r.IntN(20)))
	for i := range r.IntN(12) {
		b.Add(fmt.Sprintf("label_%02d", i+r.IntN(2)*20), fmt.Sprint(r.IntN(30)))
	}
	b.Sort()
	return b.Labels()
}

func randomValue(r *rand.Rand) float64 {
	special := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.5, math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Float64frombits(value.NormalNaN), math.Float64frombits(value.StaleNaN), math.Float64frombits(0x7ff0000000000001),
		1 << 53, 1<<53 - 1, -(1 << 53), 1<<53 + 2, math.MaxInt64, math.MinInt64, 1e300,
	}
	switch r.IntN(5) {
	case 0:
		return special[r.IntN(len(special))]
	case 1:
		return r.NormFloat64()
	case 2:
		return math.Float64frombits(r.Uint64())
	default:
		return float64(r.IntN(1 << 20))
	}
}

// randomScrape sets a random part of n rows.
func randomScrape(r *rand.Rand, n int) *Scrape {
	s := &Scrape{Time: 1_700_000_000_000 + r.Int64N(1e9), Present: Bits(nil).Grow(n), Values: make([]float64, n)}
	if r.IntN(2) == 0 {
		s.Times = make([]int64, n)
	}
	density := r.IntN(4)
	for row := range n {
		if r.IntN(4) <= density {
			s.Present.Set(row)
			s.Values[row] = randomValue(r)
			if s.Times != nil {
				s.Times[row] = s.Time - r.Int64N(20000)
			}
		}
	}
	for range r.IntN(4) {
		e := Irregular{Kind: Kind(1 + r.IntN(3)), Row: uint32(r.IntN(n)), Time: s.Time - r.Int64N(99)}
		switch e.Kind {
		case Sample:
			e.Value, e.Start = randomValue(r), r.Int64N(2)*12345
		case Histogram:
			e.Histogram, e.Start = []byte("protobuf"), 77
		case Exemplar:
			e.Value, e.Labels = 1.5, []string{"trace_id", "abc", "span_id", ""}
		}
		s.Irregular = append(s.Irregular, e)
	}
	return s
}

// text makes scrapes comparable to the bit.
func text(s *Scrape) []string {
	out := []string{fmt.Sprint("time ", s.Time)}
	for row := range s.Values {
		if s.Present.Has(row) {
			line := fmt.Sprintf("%d: %x", row, math.Float64bits(s.Values[row]))
			if s.Times != nil {
				line += fmt.Sprint(" at ", s.Times[row])
			}
			out = append(out, line)
		}
	}
	for _, e := range s.Irregular {
		out = append(out, fmt.Sprintf("%d %d %d %d %x %q %q", e.Kind, e.Row, e.Time, e.Start, math.Float64bits(e.Value), e.Histogram, e.Labels))
	}
	return out
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestRoundTrip lets a writer's table live through scrapes, new rows, changed metadata and start timestamps, new
// segments and rebuilds, and compares what a reader makes of the records after every step.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := NewTable(7)
		var reader Tables
		full := true
		for step := range 20 {
			for range r.IntN(30) {
				w.Add(randomLabels(r), randomValue(r))
			}
			if w.Len() == 0 {
				continue
			}
			for range r.IntN(20) {
				m := entry(w, types[r.IntN(len(types))], fmt.Sprint("help ", r.IntN(5)))
				w.SetMeta(uint32(r.IntN(w.Len())), m)
				w.SetStart(uint32(r.IntN(w.Len())), r.Int64N(3)*1000)
			}
			switch r.IntN(6) {
			case 0:
				w = w.Rebuild(func(uint32) bool { return r.IntN(2) == 0 })
				full = true
				if w.Len() == 0 {
					continue
				}
			case 1:
				reader = Tables{}
				full = true
			}
			s := randomScrape(r, w.Len())
			if full {
				must[*Table](t)(reader.Apply(w.AppendFull(nil, s.Values, s.Present)))
				full = false
			} else if w.Dirty() {
				must[*Table](t)(reader.Apply(w.AppendDelta(nil)))
			}
			if w.Dirty() {
				t.Fatal("dirty after it was written")
			}
			var got Scrape
			read, missing, err := reader.Scrape(AppendScrape(nil, w, s), &got)
			if err != nil || missing != 0 {
				t.Fatalf("seed %d step %d: %d missing, %v", seed, step, missing, err)
			}
			if d := cmp.Diff(rows(w), rows(read)); d != "" {
				t.Fatalf("seed %d step %d: table (-written +read):\n%s", seed, step, d)
			}
			if d := cmp.Diff(text(s), text(&got)); d != "" {
				t.Fatalf("seed %d step %d: scrape (-written +read):\n%s", seed, step, d)
			}
			if s.Samples() != got.Samples() {
				t.Fatalf("seed %d step %d: %d samples written, %d read", seed, step, s.Samples(), got.Samples())
			}
		}
	}
}

func goldenTable() *Table {
	w := NewTable(3)
	w.Add(labels.FromStrings("__name__", "up", "job", "node"), 1)
	w.Add(labels.FromStrings("__name__", "cpu_seconds_total", "cpu", "0", "job", "node"), 12.5)
	w.Add(labels.FromStrings("__name__", "cpu_seconds_total", "cpu", "1", "job", "node"), 13)
	m := entry(w, model.MetricTypeCounter, "Time.")
	w.SetMeta(1, m)
	w.SetMeta(2, m)
	w.SetStart(2, 1000)
	return w
}

func goldenScrape() *Scrape {
	return &Scrape{
		Time: 1_700_000_000_000, Present: Bits{0b111}, Values: []float64{1, 12.75, math.Float64frombits(value.StaleNaN)},
		Times: []int64{1_700_000_000_000, 1_699_999_999_000, 1_700_000_000_000},
		Irregular: []Irregular{
			{Kind: Sample, Row: 1, Time: 1_700_000_000_001, Value: 2, Start: 5},
			{Kind: Histogram, Row: 2, Time: 1_700_000_000_000, Histogram: []byte{8, 1}},
			{Kind: Exemplar, Row: 1, Time: 1_700_000_000_000, Value: 0.5, Labels: []string{"trace_id", "ab"}},
		},
	}
}

// TestGolden proves that the bytes on disk stay what they are.
func TestGolden(t *testing.T) {
	w := goldenTable()
	records := map[string][]byte{"table": w.AppendFull(nil, nil, nil)}
	records["scrape"] = AppendScrape(nil, w, goldenScrape())
	w.Add(labels.FromStrings("__name__", "cpu_seconds_total", "cpu", "2", "job", "node"), 0)
	w.SetMeta(1, 0)
	records["delta"] = w.AppendDelta(nil)
	records["repeat"] = w.AppendRepeat(nil)
	for name, got := range records {
		path := filepath.Join("testdata", name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), hex.Dump(got)); d != "" {
			t.Errorf("%s (-golden +now):\n%s", name, d)
		}
	}
}

// TestGoldenPart reads a part as the previous release wrote it: its first row is like the last one of the part before.
func TestGoldenPart(t *testing.T) {
	bytes := func(name string) (out []byte) {
		dump, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(dump)) {
			digits, _, _ := strings.Cut(line[8:], "|")
			b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b...)
		}
		return out
	}
	w := goldenTable()
	w.Add(labels.FromStrings("__name__", "cpu_seconds_total", "cpu", "2", "job", "node"), 0)
	w.SetMeta(1, 0)
	var reader Tables
	must[*Table](t)(reader.Apply(bytes("table")))
	if d := cmp.Diff(rows(w), rows(must[*Table](t)(reader.Apply(bytes("part"))))); d != "" {
		t.Error(d)
	}
}

func FuzzTable(f *testing.F) {
	w := goldenTable()
	f.Add(w.AppendFull(nil, nil, nil))
	w.Add(labels.FromStrings("__name__", "up"), 0)
	f.Add(w.AppendDelta(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ts Tables
		if _, err := ts.Apply(goldenTable().AppendFull(nil, nil, nil)); err != nil {
			t.Fatal(err)
		}
		table, err := ts.Apply(b)
		if err != nil {
			return
		}
		rows(table)
		if table.gaps.any() || len(table.gaps.metas) > 0 {
			return
		}
		again, err := new(Tables).Apply(table.Rebuild(func(uint32) bool { return true }).AppendFull(nil, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rows(table), rows(again)); d != "" {
			t.Error(d)
		}
	})
}

func FuzzScrape(f *testing.F) {
	w := goldenTable()
	table := w.AppendFull(nil, nil, nil)
	f.Add(AppendScrape(nil, w, goldenScrape()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ts Tables
		must[*Table](t)(ts.Apply(table))
		var s, again Scrape
		read, missing, err := ts.Scrape(b, &s)
		if err != nil || missing > 0 {
			return
		}
		if _, _, err := ts.Scrape(AppendScrape(nil, read, &s), &again); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(text(&s), text(&again)); d != "" {
			t.Error(d)
		}
	})
}

func benchmarkTable() (*Table, *Scrape) {
	w := NewTable(1)
	s := &Scrape{Time: 1_700_000_000_000}
	for i := range 2500 {
		w.Add(labels.FromStrings("__name__", fmt.Sprintf("family_%d", i/50), "cpu", fmt.Sprint(i%50/8), "mode", fmt.Sprint(i%8),
			"instance", "10.0.0.1:9100", "job", "node"), float64(i*1000))
		s.Values = append(s.Values, float64(i*1000+i%3*i))
	}
	return w, s
}

func BenchmarkAppendScrape(b *testing.B) {
	w, s := benchmarkTable()
	var buf []byte
	for b.Loop() {
		buf = AppendScrape(buf[:0], w, s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*w.Len()), "ns/sample")
	b.ReportMetric(float64(len(buf))/float64(w.Len()), "bytes/sample")
	b.ReportMetric(float64(len(w.AppendFull(nil, nil, nil)))/float64(w.Len()), "tablebytes/series")
}

func BenchmarkScrape(b *testing.B) {
	w, s := benchmarkTable()
	var ts Tables
	if _, err := ts.Apply(w.AppendFull(nil, nil, nil)); err != nil {
		b.Fatal(err)
	}
	payload := AppendScrape(nil, w, s)
	var got Scrape
	for b.Loop() {
		if _, _, err := ts.Scrape(payload, &got); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*w.Len()), "ns/sample")
}

func BenchmarkAdd(b *testing.B) {
	ls := make([]labels.Labels, 2500)
	for i := range ls {
		ls[i] = labels.FromStrings("__name__", fmt.Sprintf("family_%d", i/50), "cpu", fmt.Sprint(i%50/8), "mode", fmt.Sprint(i%8),
			"instance", "10.0.0.1:9100", "job", "node")
	}
	for b.Loop() {
		w := NewTable(1)
		for i := range ls {
			w.Add(ls[i], 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ls)), "ns/series")
}
