package scrape

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"promrelay/scrape/order"
	"promrelay/targets"
)

// Options are what a Pool needs.
type Options struct {
	Log   Log
	Guard *order.Guard
	// ExternalLabels and the host's name decide where in its interval each target is scraped, so that
	// relays of different clusters do not all write at once.
	ExternalLabels labels.Labels
	// Unauthorized is called after a scrape that the target refused with 401 or 403. It must not block.
	Unauthorized func(*targets.Target)
	// Trusted tells what is wrong with an address to which the relay's own token would go; nil is trusted. A nil one trusts nobody.
	Trusted    func(netip.AddrPort) error
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
	// Limits hold for every scrape; nil means DefaultLimits.
	Limits *Limits
	// Host is the host's name, "" for the one that the system tells. HTTPClientOptions are for the clients of all jobs.
	Host              string
	HTTPClientOptions []config_util.HTTPClientOption
}

// Pool scrapes the targets that Apply tells it.
type Pool struct {
	writer       writer
	guard        *order.Guard
	clock        *clock
	clients      clients
	failures     failureLogs
	panics       panics
	limits       atomic.Pointer[limits]
	metrics      *metrics
	logger       *zap.Logger
	offsetSeed   uint64
	unauthorized func(*targets.Target)
	trusted      func(netip.AddrPort) error

	mu      sync.Mutex // guards what follows
	jobs    map[string]*job
	life    context.Context // nil until Run
	wg      sync.WaitGroup
	pending []*loop // not started, since Run has not begun
	logErr  string  // of the last commit that failed
}

// New returns a pool without targets.
func New(o Options) (*Pool, error) {
	if o.Log == nil || o.Guard == nil {
		return nil, errors.New("scrape pool: Log and Guard must be given")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("scrape pool: %w", err)
		}
		o.Host = host
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s%s", o.Host, o.ExternalLabels.String())
	m := newMetrics(o.Registerer, o.Guard)
	p := &Pool{
		writer: writer{guard: o.Guard, log: o.Log, metrics: m, clock: newClock(), saved: repeatSaved},
		guard:  o.Guard, metrics: m, logger: o.Logger.Named("scrape"), offsetSeed: h.Sum64(), unauthorized: o.Unauthorized, trusted: o.Trusted,
		clients: clients{options: o.HTTPClientOptions}, jobs: map[string]*job{},
	}
	if o.Limits == nil {
		o.Limits = &DefaultLimits
	}
	p.SetLimits(*o.Limits)
	p.panics = panics{metrics: m, logger: p.logger}
	p.clock = p.writer.clock
	p.clock.stepped = p.clockStepped
	p.tellRestored()
	return p, nil
}

// SetLimits makes scrapes that begin from now on heed others.
func (p *Pool) SetLimits(l Limits) {
	if old := p.limits.Load(); old == nil || old.Limits != l {
		p.limits.Store(newLimits(l))
	}
}

// tellRestored compares the clock with what the log holds.
func (p *Pool) tellRestored() {
	r := p.guard.Restored()
	if r.Ahead > 0 {
		p.logger.Warn("the log has scrapes of a clock that was ahead, what follows them is scraped all the same", zap.Int("scrapes", r.Ahead))
	}
	if now, _ := p.clock.now(); r.Newest > now.UnixMilli() {
		p.logger.Warn("the clock is behind the log, drop samples until it is as late", zap.Time("log", time.UnixMilli(r.Newest).UTC()), zap.Time("clock", now.UTC()))
		p.clock.restored(r.Newest)
	}
}

// clockStepped does what is to be done when the clock was set.
func (p *Pool) clockStepped(s step) {
	by := s.to.Sub(s.from)
	fields := []zap.Field{zap.Time("from", s.from.UTC()), zap.Time("to", s.to.UTC()), zap.Duration("by", by)}
	if by > 0 {
		p.metrics.clockSteps.WithLabelValues(clockAhead).Inc()
		p.logger.Warn("the clock was set ahead", fields...)
		return
	}
	p.metrics.clockSteps.WithLabelValues(clockBack).Inc()
	if s.mistaken.IsZero() {
		p.logger.Warn("the clock was set back, drop samples until it is as late again", fields...)
		return
	}
	floor := int64(math.MinInt64)
	if !s.floor.IsZero() {
		floor = s.floor.UnixMilli()
	}
	n := p.guard.ForgetAfter(s.mistaken.UnixMilli(), floor)
	p.logger.Warn("the clock was set back, take what was written ahead of it for a mistake", append(fields, zap.Int("series", n))...)
}

// Run scrapes until ctx ends, and returns when the last scrape has.
func (p *Pool) Run(ctx context.Context) error {
	p.mu.Lock()
	p.life = ctx
	for _, l := range p.pending {
		p.start(l)
	}
	p.pending = nil
	p.mu.Unlock()
	ticker := time.NewTicker(order.ForgetEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			p.guarded(zap.Skip(), func() { p.guard.Forget(now) })
		case <-ctx.Done():
			p.mu.Lock()
			for _, j := range p.jobs {
				for _, l := range j.loops {
					if l.stop != nil {
						l.stop()
					}
				}
			}
			p.mu.Unlock()
			p.wg.Wait()
			return p.failures.close()
		}
	}
}

// start lets l run; the caller holds mu.
func (p *Pool) start(l *loop) {
	if p.life == nil {
		p.pending = append(p.pending, l)
		return
	}
	if p.life.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(p.life)
	l.stop = stop
	p.wg.Go(func() {
		defer stop()
		p.guarded(zap.String("target", l.state().Target.URL), func() { l.run(ctx, p.life) })
		l.finish()
	})
}

// Apply takes in what changed of some jobs.
func (p *Pool) Apply(changes []targets.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		p.guarded(zap.String("job", c.Job.Name), func() { p.apply(c) })
	}
	n := 0
	for _, j := range p.jobs {
		n += len(j.loops)
	}
	p.metrics.targets.Set(float64(n))
}

// end stops l, which then writes its staleness markers by itself.
func (p *Pool) end(l *loop) {
	if l.stop != nil {
		l.stop()
		return
	}
	for i := range p.pending {
		if p.pending[i] == l {
			p.pending = append(p.pending[:i:i], p.pending[i+1:]...)
			return
		}
	}
}

// Statuses returns what is known of the targets of a job, in no order.
func (p *Pool) Statuses(job string) []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.jobs[job]
	if j == nil {
		return nil
	}
	out := make([]Status, 0, len(j.loops))
	for _, l := range j.loops {
		out = append(out, l.state())
	}
	return out
}

// Jobs returns the jobs that have been applied, in no order.
func (p *Pool) Jobs() []*targets.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*targets.Job, 0, len(p.jobs))
	for _, j := range p.jobs {
		out = append(out, j.Job)
	}
	return out
}
