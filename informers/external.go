package informers

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"promrelay/targets"
)

// external finds what the cluster does not tell, by Prometheus's discovery manager.
type external struct {
	reg  prometheus.Registerer
	log  *zap.Logger
	note func()

	manager *discovery.Manager // nil before start

	// What follows is the worker's.
	wanted  map[targets.Owner]map[string]wish // by job, of those that find targets so
	asked   map[string]discovery.Configs      // what the manager was told to look for, by job
	stale   bool                              // that is not what is wanted
	failing map[string][]string               // by job, what cannot be started and why

	again atomic.Bool // what could not be started is to be tried again

	mu     sync.Mutex
	groups map[string][]*targetgroup.Group // by job, as told last
	failed map[string][]string             // failing, after the last apply
}

// tryAgainEvery is how long a discovery that cannot be started waits to be tried again.
const tryAgainEvery = time.Minute

func newExternal(reg prometheus.Registerer, log *zap.Logger, note func()) *external {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	return &external{reg: reg, log: log, note: note, wanted: map[targets.Owner]map[string]wish{}}
}

// start runs the manager until ctx ends.
func (e *external) start(ctx context.Context, wg *sync.WaitGroup) error {
	m, err := discovery.CreateAndRegisterSDMetrics(e.reg)
	if err != nil {
		return fmt.Errorf("discovery manager: %w", err)
	}
	log := slog.New(zapslog.NewHandler(e.log.Core(), zapslog.WithName("discovery")))
	e.manager = discovery.NewManager(ctx, log, e.reg, m, discovery.Name("scrape"), discovery.Updatert(time.Second))
	if e.manager == nil {
		return fmt.Errorf("discovery manager: its metrics cannot be registered")
	}
	wg.Go(func() { _ = e.manager.Run() }) // returns when ctx ends, with its error
	wg.Go(func() {
		every := time.NewTicker(tryAgainEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				e.tryAgain()
			case groups := <-e.manager.SyncCh():
				e.mu.Lock()
				e.groups = groups
				e.mu.Unlock()
				e.note()
			}
		}
	})
	return nil
}

// tryAgain has everything started that could not be.
func (e *external) tryAgain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.failed) > 0 {
		e.again.Store(true)
		e.note()
	}
}

// loan is a discovery that is lent to the manager. It tells if it cannot be started.
type loan struct {
	discovery.Config
	by *external
}

func (l loan) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	d, err := l.Config.NewDiscoverer(o)
	if err != nil {
		l.by.failing[o.SetName] = append(l.by.failing[o.SetName], fmt.Sprintf("%s_sd_configs cannot be started: %v", l.Name(), err))
	}
	return d, err
}

// why tells what keeps a job from looking for its targets.
func (e *external) why(job string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed[job]
}

// wish is by what means a job finds targets.
type wish struct {
	is   discovery.Configs // as compiled; nobody changes it
	lent discovery.Configs // the same for the manager, whose clients note things in it
}

// want notes by what means the jobs of an owner find targets, beside the cluster's objects. Only the worker calls it.
func (e *external) want(owner targets.Owner, jobs []*targets.Job) {
	before, now := e.wanted[owner], map[string]wish{}
	for _, j := range jobs {
		sds := j.Config.ServiceDiscoveryConfigs
		if len(sds) == 0 {
			continue
		}
		w, ok := before[j.Name]
		if !ok || !reflect.DeepEqual(w.is, sds) {
			w = wish{is: sds, lent: e.lend(sds)}
			e.stale = true
		}
		now[j.Name] = w
	}
	e.stale = e.stale || len(now) != len(before)
	if e.wanted[owner] = now; len(now) == 0 {
		delete(e.wanted, owner)
	}
}

// lend copies what an HTTP client changes: the way through a proxy to an OAuth2 server is noted when it is used first.
func (e *external) lend(sds discovery.Configs) discovery.Configs {
	out := slices.Clone(sds)
	for i, sd := range out {
		out[i] = loan{sd, e}
		v := reflect.ValueOf(sd)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
			continue
		}
		c := reflect.New(v.Elem().Type())
		c.Elem().Set(v.Elem())
		if f := c.Elem().FieldByName("HTTPClientConfig"); f.IsValid() {
			if client, ok := f.Addr().Interface().(*config_util.HTTPClientConfig); ok && client.OAuth2 != nil {
				o := *client.OAuth2
				client.OAuth2 = &o
			}
		}
		out[i] = loan{c.Interface().(discovery.Config), e}
	}
	return out
}

// apply makes the manager look for what is wanted. A discovery that is wanted as before goes on. Only the worker calls it.
func (e *external) apply() {
	if again := e.again.Swap(false); !e.stale && !again {
		return
	}
	e.stale = false
	e.asked, e.failing = map[string]discovery.Configs{}, map[string][]string{}
	for _, jobs := range e.wanted {
		for job, w := range jobs {
			e.asked[job] = w.lent
		}
	}
	if err := e.manager.ApplyConfig(e.asked); err != nil {
		e.log.Error("some service discovery cannot be started", zap.Error(err))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed = e.failing
}

// latest returns what was found for the jobs that find targets so. What the manager found before it was told of a change may be
// among it; it tells what is right soon. Only the worker calls it.
func (e *external) latest() map[string][]*targetgroup.Group {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string][]*targetgroup.Group{}
	for job, groups := range e.groups {
		if _, ok := e.asked[job]; ok {
			out[job] = groups
		}
	}
	return out
}
