package relay

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/wal"
)

// TestFeedLetsTablesGo: blocks of past segments go, however small they are, where the tables that they need are large.
func TestFeedLetsTablesGo(t *testing.T) {
	for name, c := range map[string]struct {
		label int // bytes
		want  []uint64
	}{
		"small tables": {10, []uint64{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}},
		"large tables": {40 << 20, []uint64{4, 4, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &feed{limit: feedBytes, tables: map[*record.Table]tableUse{}, wake: make(chan struct{})}
			for segment := uint64(1); segment <= 4; segment++ {
				table := record.NewTable(segment)
				for range 4 { // labels cannot be larger than 16 MB
					table.Add(labels.FromStrings("l", strings.Repeat(string(rune('a'+table.Len())), c.label/4)), 0)
				}
				for offset := int64(1); offset <= 3; offset++ {
					f.push(&block{start: wal.Position{Segment: segment, Offset: offset}, end: wal.Position{Segment: segment, Offset: offset + 1}, table: table})
				}
			}
			var have []uint64
			for _, b := range f.blocks {
				have = append(have, b.start.Segment)
			}
			tables := map[uint64]bool{}
			for _, s := range c.want {
				tables[s] = true
			}
			if len(have) != len(c.want) || have[0] != c.want[0] || int(f.first) != 12-len(have) || len(f.tables) != len(tables) {
				t.Errorf("held are blocks of the segments %v and %d tables, want %v; the first one is number %d", have, len(f.tables), c.want, f.first)
			}
		})
	}
}
