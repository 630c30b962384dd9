package sd

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/informers/guard"
)

// restarting is a discovery.Discoverer that runs the discoverer of a mechanism, and starts another one when that panics or ends.
type restarting struct {
	*shared
	options discovery.DiscovererOptions
	first   discovery.Discoverer
}

// Run implements discovery.Discoverer.
func (r *restarting) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	for d := r.first; ctx.Err() == nil; {
		r.run(ctx, d, up)
		if ctx.Err() != nil {
			return
		}
		var err error
		if d, err = r.newDiscoverer(r.options); err != nil {
			r.setFailure("cannot be started again", err.Error())
		}
	}
}

// run runs one discoverer, nil for none, and returns when it is time for the next one.
func (r *restarting) run(ctx context.Context, d discovery.Discoverer, up chan<- []*targetgroup.Group) {
	ctx, cancel := context.WithCancel(ctx)
	var forwarding sync.WaitGroup
	defer forwarding.Wait()
	defer cancel()
	if d != nil {
		found := make(chan []*targetgroup.Group)
		forwarding.Go(func() { r.forward(ctx, found, up) })
		if err := r.guard.Call(guard.Discovery, r.Name(), func() { d.Run(ctx, found) }); err != nil {
			r.setFailure("fails", err.Error())
		}
	}
	retry := time.NewTimer(retryEvery)
	defer retry.Stop()
	select {
	case <-ctx.Done():
	case <-retry.C:
	}
}

// forward stores what one discoverer finds, and hands it on.
func (r *restarting) forward(ctx context.Context, found <-chan []*targetgroup.Group, up chan<- []*targetgroup.Group) {
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case groups, ok := <-found:
			if !ok {
				return
			}
			r.store(groups, first)
			select {
			case up <- groups:
			case <-ctx.Done():
				return
			}
		}
	}
}
