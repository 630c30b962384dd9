package order

import (
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/wal"
)

// Log holds the entries that were written before. *wal.Reader is one.
type Log interface {
	// TryNext returns the next entry; ok is false at the head of the log. It does not wait for
	// more.
	TryNext() (e wal.Entry, ok bool, err error)
}

// RestoreFrom reads the log up to its head, and notes the newest samples and exemplars that the
// process before this one wrote, so that they are not written again. Call it before the guard is
// used otherwise.
//
// It skips records that it cannot read, and timestamps more than MaxAhead in the future. The clock
// was wrong when these were written. If it used them, no sample would be newer for a long time.
func (g *Guard) RestoreFrom(log Log) error {
	r := restorer{guard: g, limit: time.Now().Add(MaxAhead).UnixMilli(), newest: map[uint64]*newest{}}
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
		r.add(e)
	}
}

// restore notes the newest sample and exemplar of a series. A time of MinInt64 means that there is
// none.
func (g *Guard) restore(ls labels.Labels, ms int64, e Exemplar) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.findOrAdd(maphash.Bytes(seed, ls.Bytes(nil)))
	if s := g.slots.at(n); s.last.Load() < ms {
		s.last.Store(ms)
	}
	if old, ok := g.exemplars[n]; e.Time != math.MinInt64 && (!ok || old.before(e)) {
		g.exemplars[n] = e
	}
}

// restorer gathers the newest timestamps by the rows of tables, which hold for one segment.
type restorer struct {
	guard  *Guard
	limit  int64 // milliseconds since the epoch
	tables record.Tables
	scrape record.Scrape
	newest map[uint64]*newest // by table
}

type newest struct {
	table     *record.Table
	times     []int64             // by row, milliseconds since the epoch, MinInt64 for none
	exemplars map[uint32]Exemplar // by row
}

func (r *restorer) add(e wal.Entry) {
	if e.Type == record.FrameTable {
		// After an error the table keeps what it had, and its scrapes cannot be read.
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
	if s := &r.scrape; s.Time > r.limit {
		r.guard.restored.Ahead++
	} else {
		r.guard.restored.Newest = max(r.guard.restored.Newest, s.Time)
	}
	r.newestOf(t).add(&r.scrape, r.limit)
}

// newestOf returns the timestamps that were gathered for table t. If the rows of t were renumbered
// since, it first passes them to the guard.
func (r *restorer) newestOf(t *record.Table) *newest {
	n := r.newest[t.ID()]
	if n == nil || n.table.Generation() != t.Generation() {
		if n != nil {
			r.restore(n)
		}
		n = &newest{exemplars: map[uint32]Exemplar{}}
		r.newest[t.ID()] = n
	}
	n.table = t
	for len(n.times) < t.Len() {
		n.times = append(n.times, math.MinInt64)
	}
	return n
}

// add gathers the timestamps of a scrape, except those later than limit.
func (n *newest) add(s *record.Scrape, limit int64) {
	for row := range s.Values {
		if !s.Present.Has(row) {
			continue
		}
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		if ms <= limit {
			n.times[row] = max(n.times[row], ms)
		}
	}
	for _, i := range s.Irregular {
		if i.Time > limit {
			continue
		}
		if i.Kind != record.Exemplar {
			n.times[i.Row] = max(n.times[i.Row], i.Time)
			continue
		}
		e := Exemplar{Time: i.Time, Own: true, Value: i.Value, Labels: labels.FromStrings(i.Labels...).Hash()}
		if old, ok := n.exemplars[i.Row]; !ok || old.before(e) {
			n.exemplars[i.Row] = e
		}
	}
}

// restore passes the gathered timestamps of a table to the guard.
func (r *restorer) restore(n *newest) {
	var b labels.ScratchBuilder
	cur := n.table.Cursor()
	for row := 0; cur.Next() && row < len(n.times); row++ {
		e, ok := n.exemplars[uint32(row)]
		if !ok {
			e.Time = math.MinInt64
		}
		if ok || n.times[row] != math.MinInt64 {
			r.guard.restore(cur.Labels(&b), n.times[row], e)
		}
	}
}

// flush passes all gathered timestamps to the guard, at the end of a segment.
func (r *restorer) flush() {
	for _, n := range r.newest {
		r.restore(n)
	}
	r.tables, r.newest = record.Tables{}, map[uint64]*newest{}
}
