package scrape

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/model"

	"promrelay/scrape/order"
)

// readPage has a table read a page, as a scrape does.
func readPage(tb testing.TB, p *page, tab *table, set *settings, ms int64, text string) {
	tb.Helper()
	win := newWindow(strings.NewReader(text))
	defer win.free()
	p.reset(tab, set, ms)
	p.maxTime = ms + 1
	if _, err := win.fill(headroom); err != nil {
		tb.Fatal(err)
	}
	if err := p.read(win, "text/plain"); err != nil {
		tb.Fatal(err)
	}
	p.conclude(true, false)
	tab.sweep()
}

// TestTableForgetsTexts shows pages whose HELP line is never the same: what it said before does not
// stay.
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

// A series that protobuf gives may be called as a line of the table reads that is none of a series.
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
