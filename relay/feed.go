package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"promrelay/record"
	"promrelay/wal"
)

// feedBytes bounds the blocks that the feed keeps for destinations that are a little behind the head. feedTableBytes bounds the tables
// of past segments that these blocks need.
const feedBytes, feedTableBytes = 2 << 20, 64 << 20

// feed decodes the head of the log once, for all destinations that are near the head. It keeps the last blocks. A destination that
// falls behind them reads the log by itself.
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
	from       wal.Position // the position before blocks[0]: a reader that stands here or later has missed nothing
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
		case err != nil: // the reader has not moved
			f.log.Error("the log cannot be read", seeOperations, zap.NamedError("err", err))
			sleep(ctx, time.Second)
			continue
		}
		b := new(block)
		if f.decode(e, b) && !e.Replay {
			for i := range b.scrape.Irregular { // they use the reader's memory
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
	bytes  int // size of the table when the first of these blocks came
}

// countTable adds blocks, 1 or -1, to the number of blocks that need a table. The caller holds mu.
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

// find returns the number of the block that follows pos, and whether the feed still has that block or will have it.
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

// end returns the number of the block that the feed will have next.
func (f *feed) end() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first + uint64(len(f.blocks))
}
