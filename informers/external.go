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
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"promrelay/targets"
)

// external finds what the cluster does not tell, by Prometheus's discovery manager. That runs the discoverers and tells when there is
// something to look at; what each of them found is in its loan.
type external struct {
	reg  prometheus.Registerer
	log  *zap.Logger
	note func()
	// panics is set before anything is wanted.
	panics *panics

	manager *discovery.Manager // nil before start

	// What follows is the worker's.
	wanted map[targets.Owner]map[string]*wish // by job, of those that find targets so
	loans  []*loan                            // of all that is wanted
	count  int                                // of loans that ever were
	stale  bool                               // the manager was told something else than what is wanted

	again atomic.Bool // what could not be started is to be tried again

	mu    sync.Mutex
	asked map[string][]*loan // what the manager was told to look for, by job
}

// tryAgainEvery is how long a discovery that cannot be started waits to be tried again.
const tryAgainEvery = time.Minute

func newExternal(reg prometheus.Registerer, log *zap.Logger, note func()) *external {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	return &external{reg: reg, log: log, note: note, wanted: map[targets.Owner]map[string]*wish{}}
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
			case <-e.manager.SyncCh():
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
	for _, loans := range e.asked {
		if slices.ContainsFunc(loans, (*loan).isBroken) {
			e.again.Store(true)
			e.note()
			return
		}
	}
}

// why tells what keeps a job from finding its targets.
func (e *external) why(job string) (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.asked[job] {
		if p := l.problem(time.Now()); p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// wish is by what means a job finds targets.
type wish struct {
	is      discovery.Configs // as compiled; nobody changes it
	lent    []*loan           // the same
	told    bool              // the job was offered what lent and old have found
	old     []*loan           // by what it found targets before; these are kept until all of awaited is complete
	awaited []*loan           // of lent
	until   time.Time         // they are kept at most
}

// keepOld is how long the targets of a discovery that is replaced are kept while the new one finds none: its server may be away just
// when a Secret has changed.
const keepOld = 5 * time.Minute

// want notes by what means the jobs of an owner find targets, beside the cluster's objects. Only the worker calls it.
func (e *external) want(owner targets.Owner, jobs []*targets.Job) {
	before, now := e.wanted[owner], map[string]*wish{}
	for _, j := range jobs {
		sds := j.Config.ServiceDiscoveryConfigs
		if len(sds) == 0 {
			continue
		}
		w := before[j.Name]
		if w == nil || !reflect.DeepEqual(w.is, sds) {
			w = e.wish(w, sds)
			e.stale = true
		}
		now[j.Name] = w
	}
	e.stale = e.stale || len(now) != len(before)
	if e.wanted[owner] = now; len(now) == 0 {
		delete(e.wanted, owner)
	}
}

// wish makes a job's wish of its configurations and of what it wished before, which may be nil.
func (e *external) wish(before *wish, sds discovery.Configs) *wish {
	w := &wish{is: sds}
	for _, sd := range sds {
		if l := e.lend(sd); !slices.Contains(w.lent, l) {
			w.lent = append(w.lent, l)
		}
	}
	if before == nil {
		return w
	}
	for _, l := range w.lent {
		if !slices.Contains(before.lent, l) || slices.Contains(before.awaited, l) {
			w.awaited = append(w.awaited, l)
		}
	}
	for _, l := range slices.Concat(before.old, before.lent) {
		if !slices.Contains(w.lent, l) && !slices.Contains(w.old, l) {
			w.old = append(w.old, l)
		}
	}
	if w.until = before.until; len(before.old) == 0 && len(w.old) > 0 {
		w.until = time.Now().Add(keepOld)
		time.AfterFunc(keepOld, e.note)
	}
	return w
}

// lend returns the loan of a configuration.
func (e *external) lend(sd discovery.Config) *loan {
	for _, l := range e.loans {
		if reflect.DeepEqual(l.is, sd) {
			return l
		}
	}
	e.count++
	l := newLoan(e.count, sd, e.log, e.note)
	l.panics = e.panics
	e.loans = append(e.loans, l)
	return l
}

// apply makes the manager look for what is wanted. A discovery that is wanted as before goes on. Only the worker calls it.
func (e *external) apply() {
	if again := e.again.Swap(false); !e.stale && !again {
		return
	}
	e.stale = false
	configs, asked, used := map[string]discovery.Configs{}, map[string][]*loan{}, map[*loan]bool{}
	for _, jobs := range e.wanted {
		for job, w := range jobs {
			asked[job] = w.lent
			for _, l := range w.lent {
				configs[job] = append(configs[job], l)
				used[l] = true
			}
		}
	}
	if err := e.manager.ApplyConfig(configs); err != nil {
		e.log.Error("some service discovery cannot be started", zap.Error(err))
	}
	e.loans = slices.DeleteFunc(e.loans, func(l *loan) bool { return !used[l] })
	e.mu.Lock()
	e.asked = asked
	e.mu.Unlock()
	e.note() // a job may want what others have found
}

// latest returns what was found for the jobs for which that has changed. Only the worker calls it.
func (e *external) latest() map[string][]*targetgroup.Group {
	now := time.Now()
	changed := map[*loan]bool{}
	for _, l := range e.loans {
		changed[l] = l.changed()
	}
	out := map[string][]*targetgroup.Group{}
	for _, jobs := range e.wanted {
		for job, w := range jobs {
			if len(w.old) > 0 && w.settled(now) {
				w.old, w.awaited, w.told = nil, nil, false
			}
			loans := slices.Concat(w.lent, w.old)
			if w.told && !slices.ContainsFunc(loans, func(l *loan) bool { return changed[l] }) {
				continue
			}
			w.told = true
			groups := []*targetgroup.Group{}
			for _, l := range loans {
				groups = append(groups, l.found()...)
			}
			out[job] = groups
		}
	}
	return out
}

// settled tells whether what was found by old means counts no more.
func (w *wish) settled(now time.Time) bool {
	return !now.Before(w.until) || !slices.ContainsFunc(w.awaited, func(l *loan) bool { return !l.complete(now) })
}
