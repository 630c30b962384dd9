// Package sd finds targets by service discovery other than the cluster's objects. scrape_configs and ScrapeConfigs name it, such as
// http_sd_configs. Prometheus's discovery manager runs the discoverers.
//
// Promises: jobs with equal configurations share one discoverer; a discovery that stays in the configuration goes on undisturbed; the
// targets of one that is replaced are kept for five minutes, or until the new one has answered; a discoverer that panics or ends is
// started again; no secret of a configuration reaches the log, a page or an error. Not promised: that a panic in a goroutine which a
// discoverer starts is caught: in Go nobody else can recover from it.
package sd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"promrelay/informers/guard"
	"promrelay/targets"
)

// retryEvery is how long a discoverer that could not be started, or has ended, waits until it is started again.
const retryEvery = time.Minute

// Options are what a Manager needs.
type Options struct {
	// Notify is called when there is something to do for the worker: to call Changed, and Apply. It must not block.
	Notify     func()
	Guard      *guard.Guard          // nil: panics are caught, and neither counted nor logged
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
}

// Manager runs the service discovery of all jobs. One goroutine, the worker, calls Want, Apply and Changed; anybody may call Problems
// and Unanswered.
type Manager struct {
	Options
	prometheus *discovery.Manager // nil before Start

	// The worker alone uses the fields below.
	wanted map[targets.Owner]map[string]*jobDiscovery // by job
	shared []*shared                                  // those of all jobs
	count  int                                        // of all shared that ever were
	stale  bool                                       // wanted is not what was applied last

	retry atomic.Bool // discoverers that could not be started are to be tried again

	mu      sync.Mutex
	applied map[string][]*shared // by job; guarded by mu
}

// New returns a Manager that looks for nothing yet.
func New(o Options) *Manager {
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Manager{Options: o, wanted: map[targets.Owner]map[string]*jobDiscovery{}}
}

// Start begins to run what Apply applies, until ctx ends. Its goroutines are in wg.
func (m *Manager) Start(ctx context.Context, wg *sync.WaitGroup) error {
	metrics, err := discovery.CreateAndRegisterSDMetrics(m.Registerer)
	if err != nil {
		return fmt.Errorf("discovery manager: %w", err)
	}
	log := slog.New(zapslog.NewHandler(m.Logger.Core(), zapslog.WithName("discovery")))
	m.prometheus = discovery.NewManager(ctx, log, m.Registerer, metrics, discovery.Name("scrape"), discovery.Updatert(time.Second))
	if m.prometheus == nil {
		return errors.New("discovery manager: its metrics cannot be registered")
	}
	wg.Go(func() { _ = m.prometheus.Run() }) // returns when ctx ends, with its error
	wg.Go(func() {
		every := time.NewTicker(retryEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				m.retryBroken()
			case <-m.prometheus.SyncCh():
				m.Notify()
			}
		}
	})
	return nil
}

// retryBroken requests another start of the discoverers that could not be started.
func (m *Manager) retryBroken() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, of := range m.applied {
		if slices.ContainsFunc(of, (*shared).isBroken) {
			m.retry.Store(true)
			m.Notify()
			return
		}
	}
}

// Problems are what keeps a job from finding its targets at the moment, a sentence each.
func (m *Manager) Problems(job string) (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.applied[job] {
		if p := s.problem(time.Now()); p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Unanswered says which discoverers of a job have found nothing, a sentence each.
func (m *Manager) Unanswered(job string) (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.applied[job] {
		if why := s.unanswered(); why != "" {
			out = append(out, why)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Want sets all jobs of an owner. The next Apply puts their discovery into effect.
func (m *Manager) Want(owner targets.Owner, jobs []*targets.Job) {
	before, now := m.wanted[owner], map[string]*jobDiscovery{}
	for _, j := range jobs {
		configs := j.Config.ServiceDiscoveryConfigs
		if len(configs) == 0 {
			continue
		}
		jd := before[j.Name]
		if jd == nil || !reflect.DeepEqual(jd.configs, configs) {
			jd = m.newJobDiscovery(jd, configs)
			m.stale = true
		}
		now[j.Name] = jd
	}
	m.stale = m.stale || len(now) != len(before)
	if m.wanted[owner] = now; len(now) == 0 {
		delete(m.wanted, owner)
	}
}

// Apply starts and stops discoverers, so that only the wanted ones run.
func (m *Manager) Apply() {
	if retry := m.retry.Swap(false); !m.stale && !retry {
		return
	}
	m.stale = false
	configs, applied, used := map[string]discovery.Configs{}, map[string][]*shared{}, map[*shared]bool{}
	for _, jobs := range m.wanted {
		for job, jd := range jobs {
			applied[job] = jd.current
			for _, s := range jd.current {
				configs[job] = append(configs[job], s)
				used[s] = true
			}
		}
	}
	if err := m.prometheus.ApplyConfig(configs); err != nil {
		m.Logger.Error("some service discovery cannot be started", zap.NamedError("err", err))
	}
	m.shared = slices.DeleteFunc(m.shared, func(s *shared) bool { return !used[s] })
	m.mu.Lock()
	m.applied = applied
	m.mu.Unlock()
	m.Notify() // a job may be new to discoverers that have found something already
}

// Changed returns all groups of each job whose groups have changed since the previous call.
func (m *Manager) Changed() map[string][]*targetgroup.Group {
	now := time.Now()
	changed := map[*shared]bool{}
	for _, s := range m.shared {
		changed[s] = s.clearChanged()
	}
	out := map[string][]*targetgroup.Group{}
	for _, jobs := range m.wanted {
		for job, jd := range jobs {
			if groups, ok := jd.groups(now, changed); ok {
				out[job] = groups
			}
		}
	}
	return out
}
