package relay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"promrelay/record"
	"promrelay/wal"
)

// block is one decoded scrape of the log. It does not change. A source that reads the log by itself uses the memory of its block
// again.
type block struct {
	start, end wal.Position
	table      *record.Table // nil: there is no scrape, only lost samples
	scrape     record.Scrape
	lost       uint64 // samples that are missing before end: damaged, or deleted before they were read
	gap        uint64 // those of them that are missing before start
}

// size is about the bytes of memory that the block holds beside its table.
func (b *block) size() int {
	n := 128 + 8*len(b.scrape.Values) + 8*len(b.scrape.Times) + 8*len(b.scrape.Present)
	for i := range b.scrape.Irregular {
		n += 96 + len(b.scrape.Irregular[i].Histogram) + 32*len(b.scrape.Irregular[i].Labels)
	}
	return n
}

// decoder turns the log's entries into blocks. It knows the tables of one segment.
type decoder struct {
	log     *zap.Logger
	metrics *metrics
	tables  record.Tables
	segment uint64
}

// decode sets b to an entry of the log. False: the entry has no scrape, and nothing is lost.
func (d *decoder) decode(e wal.Entry, b *block) bool {
	if e.Start.Segment != d.segment {
		d.segment, d.tables = e.Start.Segment, record.Tables{}
	}
	b.start, b.end, b.lost, b.gap, b.table = e.Start, e.End, e.Lost, e.Lost, nil
	if err := d.read(e, b); err != nil {
		b.table = nil
		d.metrics.undecodable.Inc()
		d.log.Warn("a record of the log cannot be read and is skipped", seeOperations, zap.Uint64("segment", e.Start.Segment), zap.Int64("offset", e.Start.Offset), zap.NamedError("err", err))
	}
	return b.table != nil || b.lost > 0
}

// read decodes the record of an entry. Where that panics, only this record is lost.
func (d *decoder) read(e wal.Entry, b *block) (err error) {
	lost := b.lost
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v at %s", v, debug.Stack())
		}
		if err != nil {
			b.lost = lost + uint64(e.Count)
		}
	}()
	switch e.Type {
	case record.FrameTable:
		_, err = d.tables.Apply(e.Payload)
	case record.FrameScrape:
		var missing int
		b.table, missing, err = d.tables.Scrape(e.Payload, &b.scrape)
		b.lost += uint64(missing)
	default:
		err = fmt.Errorf("frame of unknown type %d", e.Type)
	}
	return err
}

// feedBytes bounds the blocks that the feed keeps for destinations that are not quite at the head. feedTableBytes bounds the tables of
// past segments that these blocks need.
const feedBytes, feedTableBytes = 2 << 20, 64 << 20

// feed decodes the head of the log once for all destinations that are there. It keeps the last blocks. A destination that falls behind
// them reads the log by itself.
type feed struct {
	wal *wal.WAL
	decoder

	limit int // of bytes

	mu     sync.Mutex
	blocks []*block
	bytes  int
	tables map[*record.Table]tableUse // of blocks

	tableBytes int
	first      uint64       // number of blocks[0]; blocks are numbered in order
	from       wal.Position // where blocks[0] follows: a reader that stands here or later has missed nothing
	wake       chan struct{}
}

func newFeed(w *wal.WAL, log *zap.Logger, m *metrics) *feed {
	return &feed{wal: w, decoder: decoder{log: log, metrics: m}, from: w.Head(), limit: feedBytes, tables: map[*record.Table]tableUse{}, wake: make(chan struct{})}
}

func (f *feed) run(ctx context.Context) error {
	r, err := f.wal.NewReader(f.from)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer r.Close()
	for {
		e, err := r.Next(ctx)
		switch {
		case errors.Is(err, wal.ErrClosed) || ctx.Err() != nil:
			return nil
		case err != nil: // the reader stands where it stood
			f.log.Error("the log cannot be read", seeOperations, zap.NamedError("err", err))
			sleep(ctx, time.Second)
			continue
		}
		b := new(block)
		if f.decode(e, b) && !e.Replay {
			for i := range b.scrape.Irregular { // the reader's memory
				h := &b.scrape.Irregular[i].Histogram
				*h = append([]byte(nil), *h...)
			}
			f.push(b)
		}
	}
}

func (f *feed) push(b *block) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks = append(f.blocks, b)
	f.bytes += b.size()
	f.countTable(b.table, 1)
	for len(f.blocks) > 1 && (f.bytes > f.limit || f.tableBytes > feedTableBytes && f.blocks[0].start.Segment < b.start.Segment) {
		f.bytes -= f.blocks[0].size()
		f.countTable(f.blocks[0].table, -1)
		f.from = f.blocks[0].end
		f.blocks[0] = nil
		f.blocks = f.blocks[1:]
		f.first++
	}
	close(f.wake)
	f.wake = make(chan struct{})
}

// tableUse is how many blocks need a table.
type tableUse struct {
	blocks int
	bytes  int // when the first one came
}

// countTable counts a block more that needs a table, or one less with -1. The caller holds mu.
func (f *feed) countTable(t *record.Table, blocks int) {
	if t == nil {
		return
	}
	h := f.tables[t]
	if h.blocks == 0 {
		h.bytes = t.FullBytes()
		f.tableBytes += h.bytes
	}
	if h.blocks += blocks; h.blocks > 0 {
		f.tables[t] = h
		return
	}
	f.tableBytes -= h.bytes
	delete(f.tables, t)
}

// find returns the number of the block that follows pos, and whether the feed still has it, or will.
func (f *feed) find(pos wal.Position) (uint64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if pos.Before(f.from) {
		return 0, false
	}
	for i, b := range f.blocks {
		if !b.start.Before(pos) {
			return f.first + uint64(i), true
		}
	}
	return f.first + uint64(len(f.blocks)), true
}

// get returns block n, or a channel that is closed when there are more blocks. Gone: the feed no longer has n.
func (f *feed) get(n uint64) (b *block, wake <-chan struct{}, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case n < f.first:
		return nil, nil, true
	case n < f.first+uint64(len(f.blocks)):
		return f.blocks[n-f.first], nil, false
	}
	return nil, f.wake, false
}

// source gives the blocks of the log to one destination: at the head from the feed, else with a reader of its own.
type source struct {
	feed     *feed
	pos      wal.Position // behind what was returned
	attached bool         // to the feed
	at       uint64       // number of the next block there

	reader *wal.Reader // nil while attached
	decoder
	own block
}

func newSource(f *feed, pos wal.Position) *source {
	s := &source{feed: f, decoder: decoder{log: f.log, metrics: f.metrics}}
	s.seek(pos)
	return s
}

// seek continues from pos.
func (s *source) seek(pos wal.Position) {
	s.close()
	s.pos = pos
	s.at, s.attached = s.feed.find(pos)
}

// behind reports whether the source reads the log by itself.
func (s *source) behind() bool { return !s.attached }

// next returns the next block, which is valid until the following call. Where there is none yet, it returns a channel that is closed when
// there may be one.
func (s *source) next() (*block, <-chan struct{}, error) {
	if s.attached {
		b, wake, gone := s.feed.get(s.at)
		if b != nil {
			s.at++
			s.pos = b.end
		}
		if !gone {
			return b, wake, nil
		}
		s.attached = false
	}
	if s.reader == nil {
		r, err := s.feed.wal.NewReader(s.pos)
		if err != nil {
			return nil, nil, fmt.Errorf("read the log: %w", err)
		}
		s.reader = r
	}
	for {
		if at, ok := s.feed.find(s.pos); ok { // caught up
			s.close()
			s.at, s.attached = at, true
			return s.next()
		}
		e, ok, err := s.reader.TryNext()
		if err != nil {
			return nil, nil, fmt.Errorf("read the log: %w", err)
		}
		if !ok { // the feed has not read it either
			_, wake, _ := s.feed.get(s.feed.end())
			return nil, wake, nil
		}
		got := s.decode(e, &s.own)
		if e.Replay {
			continue
		}
		s.pos = e.End
		if got {
			return &s.own, nil, nil
		}
	}
}

func (s *source) close() {
	if s.reader != nil {
		s.reader.Close()
		s.reader = nil
		s.tables, s.segment = record.Tables{}, 0
	}
}

// end returns the number of the block that the feed will have next.
func (f *feed) end() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first + uint64(len(f.blocks))
}
