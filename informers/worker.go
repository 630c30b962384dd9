package informers

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	k8slabels "k8s.io/apimachinery/pkg/labels"

	"promrelay/informers/guard"
	"promrelay/targets"
)

// worker handles changes: keys of objects in, changes of targets out. It is one goroutine, and nobody else touches its fields.
// (It changes the state of parts, which others read.)
type worker struct {
	*parts
	turned atomic.Pointer[time.Time] // when run advanced last, nil before run; others read it, too

	applied  bool                  // a configuration was applied
	selector k8slabels.Selector    // of the Nodes that node mode covers; nil without node mode
	loaded   map[targets.Kind]bool // kinds whose monitors were all compiled since settings changed
	sources  map[targets.Source]*source
	// unreachable are the Nodes that the log says have no address to use.
	unreachable map[string]bool
	running     sync.WaitGroup // watches and discoverers
}

func newWorker(p *parts) *worker {
	return &worker{parts: p, loaded: map[targets.Kind]bool{}, sources: map[targets.Source]*source{}, unreachable: map[string]bool{}}
}

const (
	gatherFor  = 20 * time.Millisecond // from a first change until its batch begins, to include changes that come with it
	retryBatch = time.Minute           // from a panic until the batch is tried again
	beatEvery  = time.Minute           // how often an idle worker shows that it is alive
)

// run handles batches until ctx ends. A batch that panics is tried again later, as a whole.
func (w *worker) run(ctx context.Context, sink func([]targets.Change)) {
	defer func() {
		for _, s := range w.sources {
			s.end()
		}
		w.running.Wait()
	}()
	retry := time.NewTimer(retryBatch)
	retry.Stop()
	defer retry.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var failed notes // until retry fires
	for {
		now := time.Now()
		w.turned.Store(&now)
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			continue
		case <-retry.C:
			w.inbox.add(func(n *notes) { n.merge(failed) })
			failed = notes{}
			continue
		case <-w.inbox.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gatherFor):
		}
		n := w.inbox.take()
		if w.workGuarded(ctx, n, sink) {
			if n.plan != nil {
				failed.plan = nil // a newer one is in force
			}
			continue
		}
		if failed.empty() {
			retry.Reset(retryBatch)
		}
		n.merge(failed)
		failed = n
	}
}

// workGuarded is work. It returns false after a panic: then all groups of targets are made again with the next batch.
func (w *worker) workGuarded(ctx context.Context, n notes, sink func([]targets.Change)) (ok bool) {
	start := time.Now()
	defer func() { w.metrics.work.Observe(time.Since(start).Seconds()) }()
	if w.guard.Call(guard.Batch, "", func() { w.work(ctx, n, sink) }) == nil {
		return true
	}
	for _, s := range w.sources {
		s.built = false
	}
	w.finish()
	return false
}

// finish notes that the batch is done, and whether the worker waits for anything.
func (w *worker) finish() {
	complete := w.applied
	for _, r := range w.watched {
		complete = complete && (!r.wanted() || r.ready())
	}
	if w.state.settings != nil { // a kind may be listed by now, and may not have been when it was looked at
		for _, kind := range w.kinds() {
			complete = complete && w.loaded[kind]
		}
	}
	for _, s := range w.sources {
		complete = complete && (s.builder == nil || s.built)
	}
	for _, m := range w.state.monitors {
		complete = complete && m.state != targets.Pending
	}
	w.first.set(w.unlisted())
	w.inbox.finish(complete)
}

// lookup returns the objects of a resource.
func (w *worker) lookup(resource string) lookup { return w.watched[resource].GetByKey }
