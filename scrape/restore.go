package scrape

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/wal"
)

// Entries are what is in the log already; *wal.Reader has them. False is its head.
type Entries interface {
	TryNext() (wal.Entry, bool, error)
}

// RestoreFrom tells the guard of all samples and exemplars up to the head of the log, so that what the process before this one
// wrote is not written again. A record that cannot be read is passed over, and so is what is further ahead of the clock than a page may
// be: the clock was wrong when it was written, and nothing would be newer for long.
func (g *Guard) RestoreFrom(log Entries) error {
	r := restorer{guard: g, limit: time.Now().Add(maxAhead).UnixMilli(), newest: map[uint64]*newest{}}
	for {
		e, ok, err := log.TryNext()
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if !ok || e.NewSegment {
			r.flush()
		}
		if !ok {
			return nil
		}
		r.take(e)
	}
}

// restorer gathers the newest timestamps of the rows of one segment's tables.
type restorer struct {
	guard  *Guard
	limit  int64 // milliseconds since the epoch
	tables record.Tables
	scrape record.Scrape
	newest map[uint64]*newest // by table
}

type newest struct {
	table     *record.Table
	times     []int64                 // by row, milliseconds since the epoch, MinInt64 for none
	exemplars map[uint32]lastExemplar // by row
}

func (r *restorer) take(e wal.Entry) {
	if e.Type == record.FrameTable {
		// An error leaves what the table had, and says itself when its scrapes are read.
		_, _ = r.tables.Apply(e.Payload)
		return
	}
	if e.Type != record.FrameScrape {
		return
	}
	t, _, err := r.tables.Scrape(e.Payload, &r.scrape)
	if err != nil {
		return
	}
	n := r.newest[t.ID()]
	if n == nil || n.table.Generation() != t.Generation() {
		if n != nil {
			r.tell(n)
		}
		n = &newest{exemplars: map[uint32]lastExemplar{}}
		r.newest[t.ID()] = n
	}
	n.table = t
	for len(n.times) < t.Len() {
		n.times = append(n.times, math.MinInt64)
	}
	s := &r.scrape
	if s.Time > r.limit {
		r.guard.restored.ahead++
	} else {
		r.guard.restored.newest = max(r.guard.restored.newest, s.Time)
	}
	for row := range s.Values {
		if !s.Present.Has(row) {
			continue
		}
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		if ms <= r.limit {
			n.times[row] = max(n.times[row], ms)
		}
	}
	for _, i := range s.Irregular {
		if i.Time > r.limit {
			continue
		}
		if i.Kind != record.Exemplar {
			n.times[i.Row] = max(n.times[i.Row], i.Time)
			continue
		}
		e := lastExemplar{ms: i.Time, own: true, value: i.Value, labels: labels.FromStrings(i.Labels...).Hash()}
		if old, ok := n.exemplars[i.Row]; !ok || old.before(e) {
			n.exemplars[i.Row] = e
		}
	}
}

// tell hands the timestamps of a table to the guard.
func (r *restorer) tell(n *newest) {
	var b labels.ScratchBuilder
	cur := n.table.Cursor()
	for row := 0; cur.Next() && row < len(n.times); row++ {
		e, ok := n.exemplars[uint32(row)]
		if !ok {
			e.ms = math.MinInt64
		}
		if ok || n.times[row] != math.MinInt64 {
			r.guard.restore(cur.Labels(&b), n.times[row], e)
		}
	}
}

// flush tells all that was gathered: tables hold for one segment.
func (r *restorer) flush() {
	for _, n := range r.newest {
		r.tell(n)
	}
	r.tables, r.newest = record.Tables{}, map[uint64]*newest{}
}
