package scrape

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
)

// page is the reading of one page together with the table of its target: its place in the table's
// lines, and its samples. Pages are reused to save memory.
type page struct {
	position
	set    *settings
	format format

	// The metadata that stands before the next line.
	family int    // index into t.families, -1 if none belongs to the next line
	entry  uint32 // its metadata, 0 until it is needed
	typ    model.MetricType
	byName map[string]uint32 // families, made when a metadata line is new

	names record.Cursor // reads the metric names of rows, in their order
	named uint32        // how many rows it has passed on this page

	// The series at hand.
	lset    labels.Labels
	builder *labels.Builder
	buf     []byte            // its labels as bytes
	bySlot  map[uint32]uint32 // rows, made when a new series may have one

	out       record.Scrape
	irregular record.Bits // rows with an irregular sample
	maxTime   int64       // milliseconds since the epoch; a sample that claims to be newer is refused
	behind    bool        // the clock went back, and has not caught up
	counts
	changes changes
}

// counts says what happens to a page's samples.
type counts struct {
	total       int // samples on the page
	added       int // those of total that relabelling kept
	seriesAdded int
	attempts    int // samples that the sample limit looked at
	walked      int // samples whose line was the expected one

	limitErr, bucketErr                           error
	outOfOrder, repeated, duplicates, outOfBounds int
	clocked                                       int    // not newer than the samples from before the clock went back
	buckets                                       int    // of the histogram that has too many
	comments                                      int    // that the table did not know
	helps                                         int    // HELP entries that were parsed; a family of protobuf has one
	lastText                                      []byte // the last series that was parsed, as long as it is in memory
	extraBytes                                    int    // of histograms and of exemplars' labels
}

// reset makes p ready to read a page scraped at now, in milliseconds since the epoch.
func (p *page) reset(t *table, set *settings, now int64) {
	p.t, p.set = t, set
	p.rewind()
	p.out.Time, p.behind = now, false
	p.discard()
}

// rewind goes back before the first line, and keeps the samples.
func (p *page) rewind() {
	p.position.rewind()
	p.format = formatOther
	p.family, p.entry, p.typ = -1, 0, model.MetricTypeUnknown
	p.byName, p.bySlot, p.named = nil, nil, 0
	p.counts = counts{}
	p.changes.begin(p.t)
}

// discard drops the samples.
func (p *page) discard() {
	n := p.t.rows.Len()
	p.out.Present = p.out.Present[:0].Grow(n)
	clear(p.out.Present)
	p.out.Values = grow(p.out.Values[:0], n)
	p.out.Times = p.out.Times[:0]
	p.out.Irregular = p.out.Irregular[:0]
	p.irregular = p.irregular[:0]
}

// undo makes the table forget what it learned from the page.
func (p *page) undo() {
	p.changes.undo(p.t)
	rows := p.changes.rows // the page's own rows are still there
	p.rewind()
	p.changes.rows = rows
	p.discard()
}

// forgetNew makes the table forget all lines, and the series that are new with this page, so that
// neither memory nor the log must hold them. It is called when they exceed a limit.
func (p *page) forgetNew() {
	t := p.t
	for row := p.changes.rows; row < uint32(len(t.slots)); row++ {
		t.release(row)
	}
	for i, row := range t.report {
		if row != noRow && row >= p.changes.rows {
			t.report[i] = noRow
		}
	}
	t.setLines(nil, nil)
	t.families, t.metas = nil, nil
	t.rebuild()
	p.rewind()
	p.discard()
}

// seriesBytes is roughly the memory of a new series in addition to its row's record: lines, slots,
// the guard.
const seriesBytes = 100

// memory returns roughly how many bytes the page holds by now, including those that it added to the
// table.
func (p *page) memory() int64 {
	s := &p.out
	n := 8*(len(s.Values)+len(s.Times)) + 112*len(s.Irregular) + p.extraBytes
	n += 16*(len(p.lines)+len(p.fresh)) + 4*len(p.index) + seriesBytes*len(p.fresh)
	return int64(n + max(p.t.rows.FullBytes()-p.changes.bytes, 0))
}

// fits returns an error if the series of the target use more than their limit, or more than one
// record can hold together with the samples of the page.
func (p *page) fits() error {
	rows := p.t.rows
	size := rows.FullBytes()
	if limit := p.t.maxBytes; limit > 0 && size > limit {
		return fullError{sizeError{what: "what the series of the target consist of, with their HELP texts,", limit: int64(limit), key: "scrape.memory_limit"}}
	}
	if size = max(size, record.ScrapeBytes(rows.Len(), len(p.out.Irregular))+p.extraBytes); size > maxRecord {
		return fullError{sizeError{what: "what the log must hold of the target", limit: maxRecord}}
	}
	return nil
}

// learn ends the reading of the page: the table takes over its lines (iterDone of
// prometheus/scrape). Whole means that the page was read to its end: the table forgets the lines
// that it did not have. After a scrape that failed before there was a page, p is empty.
func (p *page) learn(whole bool) {
	t := p.t
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
	switch {
	case whole:
		t.format, t.successful = p.format, n
		t.forgetFamilies()
	case n > 2*t.successful+1000:
		t.setLines(t.lines[:0:0], append([]line(nil), p.order()...))
		t.forgetFamilies()
	default:
		t.metas = t.metas[:p.changes.metas] // no line refers to the others
	}
	if !whole {
		t.swept = false // the page may have added texts that no line keeps
	}
	t.previous, t.current = t.current, t.previous
	clear(t.current)
	t.iter++
}
