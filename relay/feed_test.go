package relay

import (
	"testing"

	"promrelay/record"
	"promrelay/wal"
)

// TestFeedLetsTablesGo: blocks of older segments than the last two go, however small they are, since they hold their segments' tables.
func TestFeedLetsTablesGo(t *testing.T) {
	f := &feed{limit: feedBytes, wake: make(chan struct{})}
	for segment := uint64(1); segment <= 4; segment++ {
		for offset := int64(1); offset <= 3; offset++ {
			f.push(&block{start: wal.Position{Segment: segment, Offset: offset}, end: wal.Position{Segment: segment, Offset: offset + 1}, table: record.NewTable(segment)})
		}
	}
	if n := f.blocks[0].start.Segment; n != 3 || len(f.blocks) != 6 || f.first != 6 {
		t.Errorf("%d blocks are held, the first one is number %d, of segment %d; want those of the segments 3 and 4", len(f.blocks), f.first, n)
	}
	if want := (wal.Position{Segment: 2, Offset: 4}); f.from != want {
		t.Errorf("it is held what follows %v, want %v", f.from, want)
	}
}
