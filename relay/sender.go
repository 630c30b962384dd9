package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"promrelay/config"
)

// sender sends requests to the receiver, for the shards and for the splitter. It hands refused requests to the splitter.
type sender struct {
	cfg      config.Destination
	relay    config.Relay
	hold     time.Duration // the longest pause where a person must do something first
	log      *zap.Logger
	metrics  *destinationMetrics
	report   *reporter
	client   *client
	dialect  *dialect
	breaker  *breaker
	size     *requestSize
	governor *governor
	progress *progress
	splitter *splitter
	name     string // of the destination
	taps     *taps

	heartbeat  heartbeat
	passes     atomic.Uint64 // requests that were stored at least in part
	lastPassed atomic.Pointer[request]

	mu     sync.Mutex // guards what follows
	newest int64      // timestamp of the newest sample that was stored, milliseconds since the epoch, 0 for none
	stored time.Time  // when the last request was sent that was stored at least in part
}

// inherit copies the knowledge of the sender that served an earlier configuration of the same destination.
func (s *sender) inherit(old *sender) {
	s.lastPassed.Store(old.lastPassed.Load())
	newest, stored := old.delivered()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest, s.stored = newest, stored
}

// delivered returns the timestamp of the newest stored sample, and the last time that a request was stored.
func (s *sender) delivered() (newest int64, stored time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest, s.stored
}

// noteTime uses the time of a scrape as the time of the newest stored sample, until a sample is stored after the start. The samples
// that were sent before the start are a little older than this scrape.
func (s *sender) noteTime(scrape int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == 0 {
		s.newest = scrape
	}
}

// run sends the requests of one shard in turn, until its queue is closed or ctx ends.
func (s *sender) run(ctx context.Context, of *shard) {
	for {
		select {
		case <-ctx.Done():
			return
		case r, ok := <-of.queue:
			if !ok {
				return
			}
			start := time.Now()
			done := s.forward(ctx, r)
			s.governor.worked(time.Since(start))
			if !done {
				return // ctx has ended
			}
			s.progress.finish(of.number)
			s.progress.acknowledge()
		}
	}
}

// forward sends a request without the series that the splitter has. False: ctx has ended.
func (s *sender) forward(ctx context.Context, r *request) bool {
	rest, ok := s.splitter.divert(ctx, r)
	if !ok || rest == nil {
		return ok
	}
	s.taps.offer(s.name, rest)
	return s.deliverOrSplit(ctx, rest)
}

// deliverOrSplit sends a request, and hands it to the splitter if it is refused. False: ctx has ended.
func (s *sender) deliverOrSplit(ctx context.Context, r *request) bool {
	o := s.deliver(ctx, r)
	if o.end == refused {
		s.splitter.add(o.request, o.decision)
	}
	return o.end != cancelled
}

// outcome is how the delivery of a request ended.
type outcome struct {
	end      end
	request  *request // the refused one
	decision decision // why
}

type end int

const (
	settled   end = iota + 1 // the request is done, and its lost samples are counted
	refused                  // the request is to be sent in parts
	cancelled                // ctx has ended; nothing is known
)

// deliver sends r until the destination has answered for good, or ctx ends.
func (s *sender) deliver(ctx context.Context, r *request) outcome {
	d := &delivery{
		sender: s, request: r, outcome: outcome{end: cancelled},
		backoff: s.newBackoff(), hold: backoff{min: min(s.hold, time.Second), max: s.hold},
	}
	tryUntilDone(ctx, d.try)
	return d.outcome
}

// newBackoff returns the pauses between tries, by the configuration.
func (s *sender) newBackoff() backoff {
	return backoff{min: time.Duration(s.cfg.QueueConfig.MinBackoff), max: time.Duration(s.cfg.QueueConfig.MaxBackoff)}
}
