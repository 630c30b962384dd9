package relay

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

// answers is a receiver that answers in turn with these statuses, the last one for ever. 2xx has Written headers that say that all
// was stored.
type answers struct {
	statuses []int
	requests int
	last     *http.Request
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	status := a.statuses[min(a.requests, len(a.statuses)-1)]
	a.requests++
	a.last = req
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req}
	if status/100 == 2 {
		resp.Header.Set("X-Prometheus-Remote-Write-Samples-Written", "1000000")
	}
	return resp, nil
}

// idleDestination returns a destination that does not run.
func idleDestination(t *testing.T, more string, receiver http.RoundTripper) *destination {
	t.Helper()
	w, err := wal.Open(wal.Options{Dir: t.TempDir(), MinFreeBytes: -1, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeWAL(t, w) })
	r, err := New(Options{WAL: w})
	if err != nil {
		t.Fatal(err)
	}
	r.transport = receiver
	settings := Settings{Destinations: []config.Destination{dest(t, "http://receiver.test/write", more)}, Relay: config.DefaultRelay}
	clients, err := r.clients(settings)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.newDestination(settings, clients[0])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// scrapes makes blocks of one target, one after the other in a segment.
type scrapes struct {
	table  *record.Table
	offset int64
}

func newScrapes(series int) *scrapes {
	s := &scrapes{table: record.NewTable(1)}
	for i := range series {
		s.table.Add(labels.FromStrings("__name__", "m", "i", string(rune('a'+i))), 0)
	}
	return s
}

func (s *scrapes) next(segment uint64) *block {
	b := &block{start: wal.Position{Segment: segment, Offset: s.offset}, table: s.table}
	s.offset += 100
	b.end = wal.Position{Segment: segment, Offset: s.offset}
	b.scrape = record.Scrape{Time: time.Now().UnixMilli(), Values: make([]float64, s.table.Len())}
	return b
}

// queued removes the queued requests of all shards, and returns how many samples they have.
func queued(p *packer) (samples []int) {
	for _, s := range p.shards {
		select {
		case r := <-s.queue:
			samples = append(samples, r.all())
		default:
		}
	}
	return samples
}

func TestPackerFillsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDestination(t, "queue_config: {max_samples_per_send: 5}\n", &answers{statuses: []int{200}})
		p := d.packer
		p.start(1)
		s := newScrapes(3)
		first, second := s.next(1), s.next(1)
		p.add(t.Context(), first)
		if got := queued(p); got != nil || p.shards[0].batch.all() != 3 {
			t.Fatalf("requests of %d samples, and a batch of %d", got, p.shards[0].batch.all())
		}
		p.add(t.Context(), second)
		if got := queued(p); len(got) != 1 || got[0] != 5 || p.shards[0].batch.all() != 1 {
			t.Fatalf("requests of %d samples, and a batch of %d", got, p.shards[0].batch.all())
		}
		if at := d.progress.finished(); at != first.start {
			t.Errorf("all before %v is finished, want %v", at, first.start)
		}
		d.progress.finish(0)
		if at := d.progress.finished(); at != second.start {
			t.Errorf("all before %v is finished, want that of the batch, %v", at, second.start)
		}
	})
}

// TestPackerKeepsSeriesApart: a series has one shard, and all series are in one.
func TestPackerKeepsSeriesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDestination(t, "", &answers{statuses: []int{200}})
		p := d.packer
		p.start(4)
		s := newScrapes(20)
		for range 3 {
			p.add(t.Context(), s.next(1))
		}
		p.flushAll(t.Context())
		shardOf := map[uint32]int{}
		for i, of := range p.shards {
			if len(of.queue) == 0 {
				continue
			}
			for _, series := range mustRead(t, <-of.queue) {
				if was, ok := shardOf[series.hash]; ok && was != i {
					t.Errorf("%v is in the shards %d and %d", series.labels, was, i)
				}
				if shardOf[series.hash] = i; series.samples() != 3 {
					t.Errorf("%v has %d samples", series.labels, series.samples())
				}
			}
		}
		if len(shardOf) != 20 {
			t.Errorf("%d series, want 20", len(shardOf))
		}
	})
}

// TestPackerStartsRequests: a request has samples of one segment and of one version.
func TestPackerStartsRequests(t *testing.T) {
	tests := map[string]func(p *packer, s *scrapes) *block{
		"segment": func(_ *packer, s *scrapes) *block { return s.next(2) },
		"version": func(p *packer, s *scrapes) *block {
			p.sender.dialect.accept1(time.Now(), "415")
			return s.next(1)
		},
		"after a panic": func(p *packer, s *scrapes) *block {
			p.carefulUntil = time.Now().Add(time.Minute)
			return s.next(1)
		},
	}
	for name, second := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := idleDestination(t, "", &answers{statuses: []int{200}})
				p := d.packer
				p.start(1)
				s := newScrapes(3)
				p.add(t.Context(), s.next(1))
				p.add(t.Context(), second(p, s))
				if got := queued(p); len(got) != 1 || got[0] != 3 || p.shards[0].batch.all() != 3 {
					t.Errorf("requests of %d samples, and a batch of %d", got, p.shards[0].batch.all())
				}
			})
		})
	}
}

func TestPackerDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDestination(t, "queue_config: {batch_send_deadline: 5s}\n", &answers{statuses: []int{200}})
		drain := make(chan struct{})
		p := d.packer
		p.drain = drain
		p.start(1)
		s := newScrapes(3)
		if p.draining() != nil || p.batchWait(time.Now(), time.Minute) != time.Minute {
			t.Error("without a batch it waits for one")
		}
		p.add(t.Context(), s.next(1))
		if got := p.batchWait(time.Now(), time.Minute); got != 5*time.Second {
			t.Errorf("it waits %s", got)
		}
		time.Sleep(5*time.Second - 1)
		if p.flushOld(t.Context(), time.Now()); queued(p) != nil {
			t.Error("a batch is sent before the deadline")
		}
		time.Sleep(time.Nanosecond)
		if p.flushOld(t.Context(), time.Now()); len(queued(p)) != 1 {
			t.Error("a batch is not sent at the deadline")
		}
		p.add(t.Context(), s.next(1))
		close(drain)
		if !closed(p.draining()) {
			t.Error("a batch waits while the relay stops")
		}
		if p.flushOld(t.Context(), time.Now()); len(queued(p)) != 1 {
			t.Error("a batch is not sent at once while the relay stops")
		}
	})
}

// TestPackerWaitsForShard: time in which a request waits for its shard counts as blocked, and ends with the context.
func TestPackerWaitsForShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDestination(t, "queue_config: {max_samples_per_send: 3}\n", &answers{statuses: []int{200}})
		p := d.packer
		p.start(1)
		s := newScrapes(3)
		p.add(t.Context(), s.next(1)) // fills the queue
		go func() {
			time.Sleep(7 * time.Second)
			<-p.shards[0].queue
		}()
		if p.add(t.Context(), s.next(1)); d.governor.blocked != 7*time.Second {
			t.Errorf("blocked for %s", d.governor.blocked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		last := s.next(1)
		if p.add(ctx, last); d.governor.blocked != 8*time.Second {
			t.Errorf("blocked for %s", d.governor.blocked)
		}
		if at := d.progress.finished(); !at.Before(last.start) {
			t.Errorf("all before %v is finished, though requests are not", at)
		}
	})
}

// TestPackerPassesOver: a skipped block is dropped together with the batch that has a part of it, and no longer holds the position.
func TestPackerPassesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDestination(t, "", &answers{statuses: []int{200}})
		p := d.packer
		p.start(1)
		p.skip = true
		b := newScrapes(3).next(1)
		p.add(t.Context(), b)
		if p.skip || !p.shards[0].batch.empty() || d.progress.finished() != b.end {
			t.Errorf("skip %t, a batch of %d, all before %v is finished", p.skip, p.shards[0].batch.all(), d.progress.finished())
		}
	})
}
