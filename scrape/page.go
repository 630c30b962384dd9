package scrape

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
)

// page is the reading of one page beside the table of its target: which of the table's lines it has,
// and the samples that it leads to. Pages are used again for their memory.
type page struct {
	t      *table
	set    *settings
	format format

	// Where the page stands in the table's lines. Line numbers run over t.lines, t.extra and fresh.
	next     int    // the line of t.lines that is expected
	diverged bool   // the page's lines are not just the first ones of t.lines; then the following are in use
	lines    []line // of the page so far
	fresh    []line // those that the table did not know
	seen     record.Bits
	index    []uint32 // line numbers plus one by hash, open addressing

	// What stands before the line in the page.
	family  int    // index into t.families, -1 if there is none to speak of
	entry   uint32 // its metadata, 0 until it is needed
	typ     model.MetricType
	byName  map[string]uint32 // families, made when a metadata line is new
	bySlot  map[uint32]uint32 // rows, made when a new series may have one
	names   record.Cursor     // reads the metric names of rows, in their order
	named   uint32            // how many rows it has passed on this page
	lset    labels.Labels
	builder *labels.Builder
	buf     []byte

	out     record.Scrape
	odd     record.Bits // rows with an irregular sample
	maxTime int64       // milliseconds since the epoch; a sample that claims to be newer is refused
	behind  bool        // the clock went back, and is not yet where it was
	counts
	past
}

// counts is what becomes of a page's samples.
type counts struct {
	total       int // samples on the page
	added       int // of them, those that relabelling left
	seriesAdded int
	attempts    int // samples that the sample limit looked at
	walked      int // samples whose line was the expected one

	limitErr, bucketErr                           error
	outOfOrder, repeated, duplicates, outOfBounds int
	clocked                                       int    // not newer than what was there before the clock went back
	buckets                                       int    // of the histogram that has too many
	comments                                      int    // that the table did not know
	helps                                         int    // entries of HELP that were not walked; a family of protobuf has one
	lastText                                      []byte // of the last series that was not walked, while it stands in memory
	extraBytes                                    int    // of histograms and of exemplars' labels
}

// reset makes p ready to read a page scraped at now.
func (p *page) reset(t *table, set *settings, now int64) {
	p.t, p.set = t, set
	p.rewind()
	p.out.Time, p.behind = now, false
	p.discard()
}

// rewind puts p before the first line, and keeps its samples.
func (p *page) rewind() {
	p.format, p.next, p.diverged = formatOther, 0, false
	p.lines, p.fresh, p.index = p.lines[:0], p.fresh[:0], p.index[:0]
	p.family, p.entry, p.typ = -1, 0, model.MetricTypeUnknown
	p.byName, p.bySlot, p.named = nil, nil, 0
	p.counts = counts{}
	p.note(p.t)
}

// discard drops the samples.
func (p *page) discard() {
	n := p.t.rows.Len()
	p.out.Present = p.out.Present[:0].Grow(n)
	clear(p.out.Present)
	p.out.Values = grow(p.out.Values[:0], n)
	p.out.Times = p.out.Times[:0]
	p.out.Irregular = p.out.Irregular[:0]
	p.odd = p.odd[:0]
}

func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

// undo makes the table know nothing of the page.
func (p *page) undo() {
	t := p.t
	t.families = append(t.families[:0], p.past.families...)
	t.metas = t.metas[:p.metasBefore]
	for i := len(p.changes) - 1; i >= 0; i-- {
		c := p.changes[i]
		t.rows.SetMeta(c.row, c.meta)
		t.rows.SetStart(c.row, c.start)
	}
	for i := len(p.past.exemplars) - 1; i >= 0; i-- {
		e := p.past.exemplars[i]
		t.guard.UndoExemplar(e.slot, e.now, e.old, e.had)
	}
	clear(t.current)
	t.swept = false
	rows := p.rowsBefore // those of the page are there yet
	p.rewind()
	p.rowsBefore = rows
	p.discard()
}

// forgetNew makes the table forget the page's lines and new series, where these take more than they may: neither memory nor the log are to
// hold them.
func (p *page) forgetNew() {
	t := p.t
	for row := p.rowsBefore; row < uint32(len(t.slots)); row++ {
		if slot := t.slots[row]; slot != 0 {
			t.guard.Release(slot)
			t.slots[row] = 0
			t.live--
		}
	}
	for i, row := range t.report {
		if row != noRow && row >= p.rowsBefore {
			t.report[i] = noRow
		}
	}
	t.setLines(nil, nil)
	t.families, t.metas = nil, nil
	t.rebuild()
	t.symbols, t.size = t.rows.Symbols().Len(), t.rows.FullBytes()
	p.rewind()
	p.discard()
}

// perSeries is roughly what a new series takes beside its row's record: lines, slots, the guard.
const perSeries = 100

// held is roughly how many bytes the page takes by now, and made the table take.
func (p *page) held() int64 {
	s := &p.out
	n := 8*(len(s.Values)+len(s.Times)) + 112*len(s.Irregular) + p.extraBytes
	n += 16*(len(p.lines)+len(p.fresh)) + 4*len(p.index) + perSeries*len(p.fresh)
	return int64(n + max(p.t.rows.FullBytes()-p.bytesBefore, 0))
}

// fits demands that the series of the target are not more than they may be, and no more, with the samples of the page, than one record
// can hold.
func (p *page) fits() error {
	rows := p.t.rows
	size := rows.FullBytes()
	if most := p.t.most; most > 0 && size > most {
		return fullError{sizeError{what: "what the series of the target consist of, with their HELP texts,", limit: int64(most), key: "scrape.memory_limit"}}
	}
	if size = max(size, record.ScrapeBytes(rows.Len(), len(p.out.Irregular))+p.extraBytes); size > maxRecord {
		return fullError{sizeError{what: "what the log must hold of the target", limit: maxRecord}}
	}
	return nil
}

// pageDone ends the reading of p (iterDone of prometheus/scrape). With whole, it was read to its end, and
// what it lacked is forgotten. A scrape that failed before there was a page has an empty p.
func (t *table) pageDone(p *page, whole bool) {
	n := t.cached + len(p.fresh) + len(t.families) // the size of that cache
	for _, row := range t.report {
		if row != noRow {
			n++
		}
	}
	switch {
	case whole && p.diverged:
		t.setLines(append(t.lines[:0:0], p.lines...), nil)
	case whole && p.next < len(t.lines) || whole && len(t.extra) > 0:
		t.setLines(t.lines[:p.next], nil)
	case !whole && len(p.fresh) > 0:
		t.setLines(t.lines, append(t.extra, p.fresh...))
	}
	if !whole {
		t.swept = false // texts came, maybe, that nothing keeps
	}
	if whole {
		t.format = p.format
		t.successful = n
		t.forgetFamilies()
	} else if n > 2*t.successful+1000 {
		t.setLines(t.lines[:0:0], append([]line(nil), p.order()...))
		t.forgetFamilies()
	} else {
		t.metas = t.metas[:p.metasBefore] // no line refers to them
	}
	t.previous, t.current = t.current, t.previous
	clear(t.current)
	t.iter++
}
