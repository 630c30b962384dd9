// Package relay brings the log to the receivers: for each destination it reads the WAL from the acknowledged
// position, puts remote-write requests together, sends them, and acknowledges what was taken.
//
// Promises: the samples of one series arrive in order. What was not taken is sent again, also by the next process; a
// restart repeats at most the scrapes of which not everything was taken. A receiver that is slow or dead costs disk and not memory, and
// does not slow another one. What a destination does not get is counted, with the reason.
// Not promised: that a receiver gets nothing twice.
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

// Options are what a Relay needs.
type Options struct {
	WAL        *wal.WAL
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
}

// Settings are what a Relay is to do; Apply changes them.
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
	Newest   int64     // timestamp of the newest sample that was taken, milliseconds since the epoch, 0 for none
	Rate     float64   // samples a second that were taken or passed over lately, 0 while requests wait
	Shards   int       // requests that may be under way at a time
	Error    string    // why requests wait; empty if they do not
	Advice   string    // what a person can do about it, empty for nothing
	Aside    int       // series that are set aside, since the receiver refuses them
	Refusals []Refusal // kinds of answers that cost samples, the last one first

	// Confirmed tells that the receiver has understood Version, now or before a restart.
	Confirmed bool
	// Stored is when a request was taken last of which something was stored; zero if none was since the start.
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

	// changing is held while destinations change, which waits for those that end. Pages and metrics never take it.
	changing sync.Mutex
	begin    func(*runner) // starts a destination; nil unless Run runs; guarded by changing

	mu      sync.Mutex
	running []*runner // guarded by mu; changed with changing held, too
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
	r := &Relay{wal: o.WAL, log: log, metrics: m, feed: newFeed(o.WAL, log, m), drain: make(chan struct{}), pace: usualPace}
	if o.Registerer != nil {
		o.Registerer.MustRegister(collector{r})
	}
	return r, nil
}

// Run sends until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	r.changing.Lock()
	r.begin = func(d *runner) {
		own, stop := context.WithCancel(ctx)
		d.stop = stop
		wg.Go(func() {
			defer close(d.done)
			defer stop()
			r.supervise(own, d)
		})
	}
	for _, d := range r.running {
		r.begin(d)
	}
	r.changing.Unlock()
	err := r.feed.run(ctx)
	<-ctx.Done()
	r.changing.Lock()
	r.begin = nil
	r.changing.Unlock()
	wg.Wait()
	return err
}

// Apply prepares settings and puts them in force.
func (r *Relay) Apply(s Settings) error {
	commit, err := r.Prepare(s)
	if err == nil {
		commit()
	}
	return err
}

// Prepare checks settings and builds what they need. It changes nothing; commit then puts them in force. A destination that stays the
// same is not disturbed, one that was edited goes on from its position, a new one starts at the head of the log, and a removed one finds
// its position again within the grace of the log.
func (r *Relay) Prepare(s Settings) (commit func(), err error) {
	clients, err := r.clients(s)
	if err != nil {
		return nil, err
	}
	return func() { r.commit(s, clients) }, nil
}

// commit puts settings in force, with a client for each destination. It does nothing where the log is closed: the relay stops then.
func (r *Relay) commit(s Settings, clients []*client) {
	r.changing.Lock()
	defer r.changing.Unlock()
	var next []*runner
	var ids []string
	for i, cfg := range s.Destinations {
		own := Settings{Destinations: []config.Destination{cfg}, ExternalLabels: s.ExternalLabels, Relay: s.Relay}
		ids = append(ids, cfg.ID())
		if old := r.find(own); old != nil {
			next = append(next, old)
			continue
		}
		d, err := r.destination(own, clients[i])
		if err != nil {
			r.log.Warn("destinations stay as they are: the log is closed", zap.NamedError("err", err))
			return
		}
		for _, old := range r.running {
			if was := old.current.Load(); was.mark.Label() == d.mark.Label() {
				d.inherit(was)
			}
		}
		next = append(next, newRunner(d, own))
	}
	r.replace(next)
	if err := r.wal.Keep(ids); err != nil {
		r.log.Warn("removed destinations are not forgotten", zap.NamedError("err", err))
	}
}

// Check tells what Prepare would refuse.
func Check(s Settings) error {
	_, err := new(Relay).clients(s)
	return err
}

// clients checks settings, and makes a client for each destination.
func (r *Relay) clients(s Settings) (out []*client, err error) {
	var errs []error
	for i, cfg := range s.Destinations {
		if slices.ContainsFunc(s.Destinations[:i], func(d config.Destination) bool { return d.ID() == cfg.ID() }) {
			errs = append(errs, fmt.Errorf("remote_write %q: another one has the same name or URL; give each a name", cfg.Shown()))
		} else if scheme := cfg.URL.Scheme; scheme != "http" && scheme != "https" || cfg.URL.Host == "" {
			errs = append(errs, fmt.Errorf("remote_write %q: url must begin with http:// or https:// and name a host", cfg.Shown()))
		} else if len(cfg.ID()) > wal.MaxID {
			errs = append(errs, fmt.Errorf("remote_write %q: its name or URL has %d bytes, want at most %d", cfg.Shown(), len(cfg.ID()), wal.MaxID))
		} else if c, err := newClient(cfg, s.Relay.RedirectHosts, r.transport); err != nil {
			errs = append(errs, fmt.Errorf("remote_write %q: %w", cfg.Shown(), err))
		} else {
			out = append(out, c)
		}
	}
	return out, errors.Join(errs...)
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

// leaveTime is how long a destination that ends, since its settings changed, may take for what is under way.
const leaveTime = time.Second

// replace ends the destinations that are not among next, then starts those that are new. The caller holds changing.
func (r *Relay) replace(next []*runner) {
	old := slices.DeleteFunc(slices.Clone(r.running), func(d *runner) bool { return slices.Contains(next, d) })
	for _, d := range old {
		close(d.leave)
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
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
		label := d.current.Load().mark.Label()
		if !slices.ContainsFunc(next, func(d *runner) bool { return d.current.Load().mark.Label() == label }) {
			r.metrics.forget(label)
		}
	}
	added := slices.DeleteFunc(slices.Clone(next), func(d *runner) bool { return slices.Contains(r.running, d) })
	r.mu.Lock()
	r.running = next
	r.mu.Unlock()
	if r.begin == nil {
		return // Run begins them
	}
	for _, d := range added {
		r.begin(d)
	}
}

func (r *Relay) destination(s Settings, c *client) (*destination, error) {
	cfg := s.Destinations[0]
	mark, err := r.wal.Destination(cfg.ID())
	if err != nil {
		return nil, err
	}
	log := r.log.With(zap.String("destination", mark.Label()))
	d := &destination{
		cfg: cfg, relay: s.Relay, begun: time.Now(), log: log, wal: r.wal, mark: mark,
		metrics: r.metrics.of(mark.Label()), client: c, drain: r.drain, pace: r.pace, src: &source{feed: r.feed},
		catalog: newCatalog(s.ExternalLabels, cfg.WriteRelabelConfigs), limiter: newDrainPace(s.Relay.DrainFactor),
		gate: newGate(cfg.QueueConfig.MinShards), size: newSize(cfg.QueueConfig.MaxSamplesPerSend), tell: newTeller(log),
	}
	version := version2
	if !cfg.Negotiate && cfg.ProtobufMessage == "prometheus.WriteRequest" {
		version = version1
	}
	url := shown(cfg.URL.String())
	d.dialect = newDialect(url, cfg.Negotiate, version, mark.Note(), mark.SetNote)
	d.version, _ = d.dialect.inForce()
	d.triage, d.meta = newTriage(d), newMetadataLine(d)
	if cfg.Negotiate || version == version1 {
		d.catalog.described = d.learn
	}
	d.state = Status{Name: mark.Label(), URL: url}
	return d, nil
}

// Drain makes destinations send what they have without waiting for more, and returns when all of them have delivered everything
// that is in the log, or with an error when ctx ends. Nothing may be appended meanwhile.
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
		d := n.current.Load()
		d.mu.Lock()
		s := d.state
		s.Shards = len(d.shards)
		d.mu.Unlock()
		s.Version, s.Reason = d.dialect.inForce()
		s.Confirmed = d.dialect.understood()
		s.Aside = d.triage.asideSeries()
		d.tell.fill(&s)
		if s.Error != "" {
			s.Rate = 0
		}
		s.Position = d.mark.Position()
		if s.Position.Count < head.Count {
			s.Behind = head.Count - s.Position.Count
		}
		out = append(out, s)
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
