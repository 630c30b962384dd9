// Package relay sends the log to the receivers. For each destination it reads the WAL from the acknowledged position, makes
// remote-write requests, sends them, and acknowledges what was delivered.
//
// It promises:
//   - The samples of one series arrive in order.
//   - Samples that were not delivered are sent again, also by the next process. A restart repeats a scrape only if some of it was
//     undelivered.
//   - A receiver that is slow or dead costs disk space and no memory, and does not slow another one down.
//   - Samples that a destination does not get are counted, with the reason.
//
// It does not promise that a receiver gets nothing twice.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/wal"
)

// Pages of the documents. Log lines that ask for an action name them.
var (
	seeOperations = zap.String("see", "docs/operations.md")
	seeReceivers  = zap.String("see", "docs/receivers.md")
)

// Options are what a Relay needs.
type Options struct {
	WAL        *wal.WAL
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
}

// Settings are the destinations and what they have in common. Apply changes them.
type Settings struct {
	Destinations []config.Destination
	// ExternalLabels are given to every series that lacks them.
	ExternalLabels labels.Labels
	Relay          config.Relay
}

// Relay serves the destinations.
type Relay struct {
	wal     *wal.WAL
	log     *zap.Logger
	metrics *metrics
	feed    *feed
	taps    taps
	drain   chan struct{}
	pace    pace

	transport http.RoundTripper // of all destinations; only tests set it

	applying sync.Mutex    // held while destinations are started or ended, which takes time; guards launch
	launch   func(*runner) // starts a destination; nil unless Run runs

	mu      sync.Mutex // guards what follows; held only for a short time, since pages and metrics need it
	running []*runner
}

// New returns a relay without destinations.
func New(o Options) (*Relay, error) {
	if o.WAL == nil {
		return nil, errors.New("relay: WAL must be given")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	log := o.Logger.Named("relay")
	m := newMetrics(o.Registerer)
	r := &Relay{wal: o.WAL, log: log, metrics: m, feed: newFeed(o.WAL, log, m), drain: make(chan struct{}), pace: defaultPace}
	if o.Registerer != nil {
		o.Registerer.MustRegister(collector{r})
	}
	return r, nil
}

// Run sends until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	r.applying.Lock()
	r.launch = func(n *runner) {
		ctx, stop := context.WithCancel(ctx)
		n.stop = stop
		wg.Go(func() {
			defer close(n.done)
			defer stop()
			r.supervise(ctx, n)
		})
	}
	for _, n := range r.runners() {
		r.launch(n)
	}
	r.applying.Unlock()
	err := r.feed.run(ctx)
	<-ctx.Done()
	r.applying.Lock()
	r.launch = nil // settings that are applied from now on start nothing
	r.applying.Unlock()
	wg.Wait()
	return err
}

// runners returns the destinations that are served.
func (r *Relay) runners() []*runner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.running)
}

// Drain makes destinations send what they have without waiting for more samples. It returns when all of them have delivered the whole
// log, or with an error when ctx ends. Nothing may be appended meanwhile.
func (r *Relay) Drain(ctx context.Context) error {
	r.mu.Lock()
	select {
	case <-r.drain:
	default:
		close(r.drain)
	}
	r.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		behind := uint64(0)
		for _, s := range r.Statuses() {
			behind += s.Behind
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d samples are left for the next start: %w", behind, ctx.Err())
		case <-tick.C:
		}
	}
}
