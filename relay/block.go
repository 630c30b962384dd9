package relay

import (
	"fmt"
	"runtime/debug"

	"go.uber.org/zap"

	"promrelay/record"
	"promrelay/wal"
)

// block is one decoded scrape of the log. It does not change. A source that reads the log by itself reuses the memory of its block.
type block struct {
	start, end wal.Position
	table      *record.Table // nil: there is no scrape, only lost samples
	scrape     record.Scrape
	lost       uint64 // samples that are missing before end: damaged, or deleted before they were read
	gap        uint64 // those of them that are missing before start
}

// size is roughly how many bytes of memory the block holds, without its table.
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

// read decodes the record of an entry. If decoding panics, only this record is lost.
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
