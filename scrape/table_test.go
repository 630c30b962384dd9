package scrape

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"promrelay/scrape/order"
)

// readPage has a table read a page of text, as a scrape does.
func readPage(tb testing.TB, p *page, tab *table, set *settings, ms int64, text string) {
	tb.Helper()
	readWith(tb, p, tab, set, ms, typeText, text)
}

// readPageOf reads a page with settings that change nothing.
func readPageOf(tb testing.TB, p *page, tab *table, ms int64, contentType, text string) {
	tb.Helper()
	readWith(tb, p, tab, &settings{scheme: model.UTF8Validation}, ms, contentType, text)
}

func readWith(tb testing.TB, p *page, tab *table, set *settings, ms int64, contentType, text string) {
	tb.Helper()
	win := newWindow(strings.NewReader(text))
	defer win.free()
	p.reset(tab, set, ms)
	p.maxTime = ms + 1
	if _, err := win.fill(headroom); err != nil {
		tb.Fatal(err)
	}
	if err := p.read(win, contentType); err != nil {
		tb.Fatal(err)
	}
	p.conclude(true, false)
	tab.sweep()
}

// testTable returns an empty table, a page to read with, and a clock: each call of it is a second
// later.
func testTable() (*table, *page, func() int64) {
	ms := int64(0)
	return newTable(order.New()), new(page), func() int64 { ms += 1000; return ms }
}

// rowsOf returns the living rows of a table by their labels.
func rowsOf(tab *table) map[string]uint32 {
	out := map[string]uint32{}
	var b labels.ScratchBuilder
	cur := tab.rows.Cursor()
	for row := uint32(0); cur.Next(); row++ {
		if tab.slots[row] == 0 {
			continue
		}
		name := ""
		var others []string
		cur.Labels(&b).Range(func(l labels.Label) {
			if l.Name == model.MetricNameLabel {
				name = l.Value
			} else {
				others = append(others, fmt.Sprintf("%s=%q", l.Name, l.Value))
			}
		})
		if len(others) > 0 {
			name += "{" + strings.Join(others, ",") + "}"
		}
		out[name] = row
	}
	return out
}

// TestTableForgetsTexts shows pages whose HELP line is never the same: old texts do not stay.
func TestTableForgetsTexts(t *testing.T) {
	tab, p := newTable(order.New()), new(page)
	for i := range 10_000 {
		readPage(t, p, tab, &settings{scheme: model.UTF8Validation}, int64(i+1), fmt.Sprintf("# HELP m It is %d.\nm 1\n", i))
	}
	if n := tab.rows.Symbols().Len(); n > 2000 {
		t.Errorf("the table has %d symbols", n)
	}
	if n := tab.rows.Size(); n > 200_000 {
		t.Errorf("the table has %d bytes", n)
	}
	buf := tab.rows.AppendFull(nil, nil, nil)
	if len(buf) > 100_000 {
		t.Errorf("a record of the table has %d bytes", len(buf))
	}
	if tab.live != 1 {
		t.Errorf("%d rows are alive", tab.live)
	}
}

// BenchmarkHelpChanges reads a page of one family whose HELP line changes with each scrape: as two
// versions behind one address do.
func BenchmarkHelpChanges(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var lines strings.Builder
			for i := range n {
				fmt.Fprintf(&lines, "m{i=\"%d\"} 1\n", i)
			}
			tab, p := newTable(order.New()), new(page)
			for i := 0; b.Loop(); i++ {
				readPage(b, p, tab, &settings{scheme: model.UTF8Validation}, int64(i+1), fmt.Sprintf("# HELP m It is %d.\n", i%2)+lines.String())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/sample")
		})
	}
}

// A series of protobuf may have the name of a line of the table that is no series.
func TestFindTakesSeriesAlone(t *testing.T) {
	tab, p := newTable(order.New()), new(page)
	readPage(t, p, tab, &settings{scheme: model.UTF8Validation}, 1, "# HELP a b\n# x9\na 1\n")
	for _, name := range []string{"# HELP a b", "# x9"} {
		p.reset(tab, &settings{scheme: model.UTF8Validation}, 2)
		if l, known, _ := p.find([]byte(name)); known {
			t.Errorf("%q is known as line %+v", name, l)
		}
	}
	p.reset(tab, &settings{scheme: model.UTF8Validation}, 2)
	if _, known, _ := p.find([]byte("a")); !known {
		t.Error("the series a is not known")
	}
}

// TestTableAtRandom shows random pages to a table: series come, go, come back, change places and
// are there twice; texts change; pages fail. After each one the table must have exactly the rows
// that the page and the one before need, and what a reader of the log gets must be the page's
// samples, and a staleness marker for each series that went. The rows are rebuilt many times on the
// way.
func TestTableAtRandom(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			g, log := order.New(), &readLog{t: t, points: map[string][]point{}}
			w := writer{guard: g, log: log, metrics: newMetrics(nil, g), clock: newClock(), saved: repeatSaved}
			tab, p := newTable(g), new(page)
			rebuilds, alive := 0, map[string]bool{}
			universe := 40 + r.IntN(800)
			for ms := int64(1000); ms < 200_000; ms += 1000 {
				base := int(ms/20_000) * universe / 2 // most of the series are others after 40 pages
				var text strings.Builder
				now := map[string]bool{}
				for _, i := range r.Perm(universe)[:r.IntN(universe)+1] {
					name := fmt.Sprintf("m%d", base+i)
					if r.IntN(50) == 0 {
						fmt.Fprintf(&text, "# HELP %s It is %d.\n", name, r.IntN(1000))
					}
					fmt.Fprintf(&text, "%s %d\n", name, ms)
					if r.IntN(50) == 0 {
						fmt.Fprintf(&text, "%s %d\n", name, ms+1) // is treated as a duplicate
					}
					now[name] = true
				}
				if r.IntN(10) == 0 {
					text.WriteString("m_broken{\n")
					now = map[string]bool{}
				}
				generation := tab.rows.Generation()
				win := newWindow(strings.NewReader(text.String()))
				p.reset(tab, &settings{scheme: model.UTF8Validation}, ms)
				p.maxTime = ms
				_, _ = win.fill(headroom)
				err := p.read(win, typeText)
				win.free()
				if (err != nil) != (len(now) == 0) {
					t.Fatalf("at %d: %v", ms, err)
				}
				p.conclude(err == nil, err != nil)
				p.widen()
				if err := w.commit(tab, &p.out); err != nil {
					t.Fatal(err)
				}
				tab.sweep()
				if tab.rows.Generation() != generation {
					rebuilds++
				}
				samePoints(t, log, ms, now, alive)
				sameRows(t, tab, now, err != nil)
				alive = now
			}
			if rebuilds < 3 {
				t.Errorf("the rows were built anew %d times, which tests little", rebuilds)
			}
			tab.close()
			for range 10 {
				g.Forget(time.UnixMilli(1 << 40))
			}
			if n := g.Series(); n > 0 || tab.live != 0 {
				t.Errorf("%d series and %d rows are left after the table was closed", n, tab.live)
			}
		})
	}
}

// samePoints demands that the log has a sample of ms for each series of the page, and a marker for
// each that went.
func samePoints(t *testing.T, log *readLog, ms int64, now, before map[string]bool) {
	t.Helper()
	for name := range now {
		ps := log.points[name+"@"]
		if len(ps) == 0 || ps[len(ps)-1] != (point{ms, float64(ms)}) {
			t.Fatalf("at %d: %s has no sample", ms, name)
		}
	}
	for name := range before {
		if now[name] {
			continue
		}
		ps := log.points[name+"@"]
		if last := ps[len(ps)-1]; last.ms != ms || !value.IsStaleNaN(last.v) {
			t.Fatalf("at %d: the last sample of %s is %+v, no staleness marker", ms, name, last)
		}
	}
	for name, ps := range log.points {
		if name = strings.TrimSuffix(name, "@"); !now[name] && !before[name] && ps[len(ps)-1].ms == ms {
			t.Fatalf("at %d: %s has a sample", ms, name)
		}
	}
}

// sameRows demands that the rows of a table are those of the page just read, and that their lines
// lead to them. A page that failed leaves those of its lines that were read.
func sameRows(t *testing.T, tab *table, now map[string]bool, failed bool) {
	t.Helper()
	rows := rowsOf(tab)
	if len(rows) != tab.live {
		t.Fatalf("%d rows are alive, counted as %d", len(rows), tab.live)
	}
	if failed {
		return
	}
	if len(rows) != len(now) {
		t.Fatalf("%d rows, want %d", len(rows), len(now))
	}
	for name := range now {
		row, ok := rows[name]
		if !ok || !tab.previous.Has(int(row)) {
			t.Fatalf("%s has row %d, %t", name, row, ok)
		}
		if !slices.Contains(tab.lines, newLine(lineSeries, []byte(name), row)) {
			t.Fatalf("no line leads to row %d of %s", row, name)
		}
	}
}

// TestPositionAtRandom looks lines up in any order, and demands that each is found where it is.
func TestPositionAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	text := func(i int) []byte { return fmt.Appendf(nil, "series_%d", i) }
	for range 300 {
		n, extra, more := r.IntN(60), r.IntN(10), r.IntN(60)
		tab := newTable(order.New())
		for i := range n + extra {
			l := newLine(lineSeries, text(i), uint32(i))
			if i < n {
				tab.lines = append(tab.lines, l)
			} else {
				tab.extra = append(tab.extra, l)
			}
		}
		p := position{t: tab}
		p.rewind()
		seen := map[int]bool{}
		var want []line
		for i, inOrder := 0, r.IntN(n+1); i < 200; i++ {
			k := i
			if i >= inOrder {
				k = r.IntN(n + extra + more + 1)
			}
			l, known, already := p.find(text(k))
			if already != seen[k] || known != (k < n+extra || seen[k]) || known && l.to != uint32(k) {
				t.Fatalf("line %d: %+v, known %t, already %t", k, l, known, already)
			}
			if !known {
				p.remember(newLine(lineSeries, text(k), uint32(k)))
			}
			if !seen[k] {
				want = append(want, newLine(lineSeries, text(k), uint32(k)))
			}
			seen[k] = true
		}
		if !slices.Equal(p.order(), want) {
			t.Fatalf("the page has %d lines in another order than they were found in, %d", len(p.order()), len(want))
		}
	}
}
