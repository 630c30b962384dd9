package informers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
)

// external finds what the cluster does not tell, by Prometheus's discovery manager.
type external struct {
	reg  prometheus.Registerer
	log  *zap.Logger
	note func()

	manager *discovery.Manager // nil before start

	mu     sync.Mutex
	groups map[string][]*targetgroup.Group // by job, as told last
}

func newExternal(reg prometheus.Registerer, log *zap.Logger, note func()) *external {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	return &external{reg: reg, log: log, note: note}
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
		for {
			select {
			case <-ctx.Done():
				return
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

// apply makes the manager look for these.
func (e *external) apply(c map[string]discovery.Configs) {
	if err := e.manager.ApplyConfig(c); err != nil {
		e.log.Error("some service discovery cannot be started", zap.Error(err))
	}
}

func (e *external) latest() map[string][]*targetgroup.Group {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.groups
}
