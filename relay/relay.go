// Package relay sends the log to the receivers. For each destination it reads the WAL from the acknowledged position, makes
// remote-write requests, sends them, and acknowledges what was delivered.
//
// It promises:
//   - The samples of one series arrive in order.
//   - What was not delivered is sent again, also by the next process. A restart repeats only scrapes of which something was undelivered.
//   - A receiver that is slow or dead costs disk space and no memory, and does not slow another one down.
//   - What a destination does not get is counted, with the reason.
//
// It does not promise that a receiver gets nothing twice.
package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/wal"
)

// Pages of the documents, as lines of the log name them that ask for an action.
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

// Settings are what a Relay does; Apply changes them.
type Settings struct {
	Destinations []config.Destination
	// ExternalLabels are given to every series that lacks them.
	ExternalLabels labels.Labels
	Relay          config.Relay
}

// Status is what is known of a destination.
type Status struct {
	Name     string // of the destination in logs and metrics
	URL      string // without what may be secret
	Version  int    // of remote write: 1 or 2
	Reason   string // for which it is 1 though the configuration leaves it open: the answer to 2.0
	Position wal.Position
	Behind   uint64    // samples between the position and the head of the log
	Newest   int64     // timestamp of the newest sample that was stored, milliseconds since the epoch, 0 for none
	Rate     float64   // samples a second that were acknowledged recently, 0 while requests wait
	Shards   int       // requests that may be under way at a time
	Error    string    // why requests wait; empty if they do not
	Advice   string    // what a person can do about it, empty for nothing
	Aside    int       // series that are set aside, since the receiver refuses them
	Refusals []Refusal // kinds of answers that cost samples, the last one first

	// Confirmed: the receiver has understood Version, now or before a restart.
	Confirmed bool
	// Stored is when something was stored last; zero if nothing was since the start.
	Stored time.Time
}

// Relay serves the destinations.
type Relay struct {
	wal     *wal.WAL
	log     *zap.Logger
	metrics *metrics
	feed    *feed
	drain   chan struct{}
	pace    pace

	transport http.RoundTripper // of all destinations; nil but in tests

	mu       sync.Mutex // guards what follows
	settings Settings
	running  []*runner
	life     context.Context // nil until Run
	wg       sync.WaitGroup
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
	r.mu.Lock()
	r.life = ctx
	for _, d := range r.running {
		r.start(d)
	}
	r.mu.Unlock()
	err := r.feed.run(ctx)
	<-ctx.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wg.Wait()
	return err
}

// start lets d run; the caller holds mu.
func (r *Relay) start(d *runner) {
	if r.life == nil {
		return
	}
	ctx, stop := context.WithCancel(r.life)
	d.stop = stop
	r.wg.Go(func() {
		defer close(d.done)
		defer stop()
		r.supervise(ctx, d)
	})
}

// Apply makes the relay serve the destinations of the settings. One that stays the same is not disturbed. One that was edited continues
// from its position. A new one starts at the head of the log. A removed one finds its position again within the grace of the log. After
// an error nothing has changed.
func (r *Relay) Apply(s Settings) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := Check(s); err != nil {
		return err
	}
	var next []*runner
	var ids []string
	var errs []error
	for _, cfg := range s.Destinations {
		own := Settings{Destinations: []config.Destination{cfg}, ExternalLabels: s.ExternalLabels, Relay: s.Relay}
		ids = append(ids, cfg.ID())
		if old := r.find(own); old != nil {
			next = append(next, old)
			continue
		}
		d, err := r.newDestination(own)
		if err != nil {
			errs = append(errs, fmt.Errorf("remote_write %q: %w", cfg.Shown(), err))
			continue
		}
		for _, old := range r.running {
			if was := old.current.Load(); was.position.Label() == d.position.Label() {
				d.sender.inherit(was.sender)
			}
		}
		next = append(next, newRunner(d, own))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.replace(next)
	r.settings = s
	return r.wal.Keep(ids)
}

// Check returns the error that Apply would return for settings that it refuses.
func Check(s Settings) error {
	var errs []error
	for i, cfg := range s.Destinations {
		if slices.ContainsFunc(s.Destinations[:i], func(d config.Destination) bool { return d.ID() == cfg.ID() }) {
			errs = append(errs, fmt.Errorf("remote_write %q: another one has the same name or URL; give each a name", cfg.Shown()))
		} else if scheme := cfg.URL.Scheme; scheme != "http" && scheme != "https" || cfg.URL.Host == "" {
			errs = append(errs, fmt.Errorf("remote_write %q: url must begin with http:// or https:// and name a host", cfg.Shown()))
		} else if _, err := newClient(cfg, nil, nil); err != nil {
			errs = append(errs, fmt.Errorf("remote_write %q: %w", cfg.Shown(), err))
		}
	}
	return errors.Join(errs...)
}

// find returns the destination that was made with these settings.
func (r *Relay) find(own Settings) *runner {
	for _, old := range r.running {
		if reflect.DeepEqual(old.settings, own) {
			return old
		}
	}
	return nil
}

// quitTime is how long a destination whose settings changed may take to finish what is under way.
const quitTime = time.Second

// replace ends the destinations that are not among next, then starts those that are new.
func (r *Relay) replace(next []*runner) {
	old := slices.DeleteFunc(slices.Clone(r.running), func(d *runner) bool { return slices.Contains(next, d) })
	for _, d := range old {
		close(d.quit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), quitTime)
	defer cancel()
	for _, d := range old {
		if d.stop != nil {
			select {
			case <-d.done:
			case <-ctx.Done():
			}
			d.stop()
			<-d.done
		}
		label := d.current.Load().position.Label()
		if !slices.ContainsFunc(next, func(d *runner) bool { return d.current.Load().position.Label() == label }) {
			r.metrics.forget(label)
		}
	}
	for _, d := range next {
		if !slices.Contains(r.running, d) {
			r.start(d)
		}
	}
	r.running = next
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

// Statuses returns what is known of the destinations, in the order of the configuration.
func (r *Relay) Statuses() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	head := r.wal.Head()
	out := make([]Status, 0, len(r.running))
	for _, n := range r.running {
		out = append(out, n.current.Load().status(head))
	}
	return out
}

func isStale(v float64) bool { return math.Float64bits(v) == value.StaleNaN }

// collector gives the metrics that are read off the destinations' state.
type collector struct{ r *Relay }

var (
	behindDesc = prometheus.NewDesc("promrelay_relay_behind_samples", "Samples in the log that the destination has not taken yet.", []string{"destination"}, nil)
	newestDesc = prometheus.NewDesc("promrelay_relay_newest_sample_timestamp_seconds", "Timestamp of the newest sample that the destination took.", []string{"destination"}, nil)
	asideDesc  = prometheus.NewDesc("promrelay_relay_set_aside_series", "Series that are not sent for a while, since the destination refuses them.", []string{"destination"}, nil)
	brokenDesc = prometheus.NewDesc("promrelay_relay_waiting", "1 while the destination takes nothing and requests wait, else 0.", []string{"destination"}, nil)
)

func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- behindDesc
	ch <- newestDesc
	ch <- asideDesc
	ch <- brokenDesc
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.r.Statuses() {
		waiting := 0.0
		if s.Error != "" {
			waiting = 1
		}
		ch <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, float64(s.Behind), s.Name)
		ch <- prometheus.MustNewConstMetric(newestDesc, prometheus.GaugeValue, float64(s.Newest)/1000, s.Name)
		ch <- prometheus.MustNewConstMetric(asideDesc, prometheus.GaugeValue, float64(s.Aside), s.Name)
		ch <- prometheus.MustNewConstMetric(brokenDesc, prometheus.GaugeValue, waiting, s.Name)
	}
}
