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
	// ExternalLabels and Host decide at which point of its interval each target is scraped. So the
	// relays of different clusters do not all write at once.
	ExternalLabels labels.Labels
	Host           string // "" means the host's name
	// Unauthorized is called after a scrape that the target refused with 401 or 403. It must not
	// block. It may be nil.
	Unauthorized func(*targets.Target)
	// Trusted returns why an address may not have the relay's own token, nil if it may. A nil
	// Trusted trusts no address.
	Trusted    func(netip.AddrPort) error
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
	// Limits hold for every scrape; nil means DefaultLimits.
	Limits *Limits
	// HTTPClientOptions are for the clients of all jobs.
	HTTPClientOptions []config_util.HTTPClientOption
}

// Pool scrapes the targets that Apply adds, each in a loop of its own.
type Pool struct {
	shared

	mu      sync.Mutex // guards what follows
	jobs    map[string]*job
	begin   func(*loop) // starts a loop; nil until Run
	pending []*loop     // to be started by Run
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
	if o.Limits == nil {
		o.Limits = &DefaultLimits
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s%s", o.Host, o.ExternalLabels.String())
	m, clock, logger := newMetrics(o.Registerer, o.Guard), newClock(), o.Logger.Named("scrape")
	p := &Pool{jobs: map[string]*job{}, shared: shared{
		guard: o.Guard, clock: clock, metrics: m, logger: logger,
		writer:  writer{guard: o.Guard, log: o.Log, metrics: m, clock: clock, saved: repeatSaved},
		clients: clients{options: o.HTTPClientOptions}, panics: panics{metrics: m, logger: logger},
		offsetSeed: h.Sum64(), unauthorized: o.Unauthorized, trusted: o.Trusted, progress: progress{made: time.Now()},
	}}
	p.SetLimits(*o.Limits)
	clock.stepped = p.clockStepped
	p.compareWithLog()
	return p, nil
}

// SetLimits changes the limits of scrapes that begin from now on.
func (p *Pool) SetLimits(l Limits) { p.setLimits(l) }

// compareWithLog compares the clock with the samples in the log from the previous process.
func (p *Pool) compareWithLog() {
	r := p.guard.Restored()
	if r.Ahead > 0 {
		p.logger.Warn("scrapes in the log are from a clock that was ahead, new samples are written all the same", zap.Int("scrapes", r.Ahead))
	}
	if now, _ := p.clock.now(); r.Newest > now.UnixMilli() {
		p.logger.Warn("the clock is behind the log, samples are dropped until it has caught up",
			zap.Time("log", time.UnixMilli(r.Newest).UTC()), zap.Time("clock", now.UTC()))
		p.clock.restored(r.Newest)
	}
}

// clockStepped counts and logs that the clock was set. If it went back far, the guard forgets the
// samples that are ahead of it.
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
		p.logger.Warn("the clock was set back, samples are dropped until it has caught up", fields...)
		return
	}
	floor := int64(math.MinInt64)
	if !s.floor.IsZero() {
		floor = s.floor.UnixMilli()
	}
	n := p.guard.ForgetAfter(s.mistaken.UnixMilli(), floor)
	p.logger.Warn("the clock was set back far, samples written ahead of it are forgotten", append(fields, zap.Int("series", n))...)
}

// Run scrapes until ctx ends, and returns when the last scrape has ended.
func (p *Pool) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	p.mu.Lock()
	p.begin = func(l *loop) {
		if ctx.Err() != nil {
			return
		}
		own, stop := context.WithCancel(ctx)
		l.stop = stop
		wg.Go(func() {
			defer stop()
			p.guarded(zap.String("target", l.state().Target.URL), func() { l.run(own, ctx) })
			l.finish()
		})
	}
	for _, l := range p.pending {
		p.begin(l)
	}
	p.pending = nil
	p.mu.Unlock()
	ticker := time.NewTicker(order.ForgetEvery)
	defer ticker.Stop()
	for {
		p.progress.tick()
		select {
		case now := <-ticker.C:
			p.guarded(zap.Skip(), func() { p.guard.Forget(now) })
		case <-ctx.Done():
			p.stopAll()
			wg.Wait()
			return p.failures.close()
		}
	}
}

func (p *Pool) stopAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, j := range p.jobs {
		for _, l := range j.loops {
			if l.stop != nil {
				l.stop()
			}
		}
	}
}

// startLocked runs l, now or when Run starts.
func (p *Pool) startLocked(l *loop) {
	p.progress.scrape()
	if p.begin == nil {
		p.pending = append(p.pending, l)
		return
	}
	p.begin(l)
}

// endLocked stops l. The loop then writes its staleness markers by itself.
func (p *Pool) endLocked(l *loop) {
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

// Apply takes over the changes of some jobs.
func (p *Pool) Apply(changes []targets.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		p.guarded(zap.String("job", c.Job.Name), func() { p.applyLocked(c) })
	}
	n, shortest := 0, time.Duration(0)
	for _, j := range p.jobs {
		n += len(j.loops)
		shortest = shorter(shortest, j.shortest)
	}
	p.metrics.targets.Set(float64(n))
	p.progress.shortest.Store(int64(shortest))
}

func (p *Pool) applyLocked(c targets.Change) {
	j := p.jobs[c.Job.Name]
	if j == nil {
		if c.Gone {
			return
		}
		j = newJob(c.Job)
		p.jobs[c.Job.Name] = j
	}
	var d loopDiff
	defer func() { // after a panic too, so that no loop is left that neither runs nor has ended
		for _, l := range d.end {
			p.endLocked(l)
		}
		for _, l := range d.start {
			p.startLocked(l)
		}
	}()
	if c.Gone {
		j.endAll(&d)
		delete(p.jobs, c.Job.Name)
		return
	}
	j.apply(&p.shared, c, &d)
}

// Statuses returns the statuses of a job's targets, in no order.
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

// Jobs returns the jobs that were applied and are not gone, in no order.
func (p *Pool) Jobs() []*targets.Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*targets.Job, 0, len(p.jobs))
	for _, j := range p.jobs {
		out = append(out, j.Job)
	}
	return out
}
