package informers

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/cluster"
	"promrelay/informers/guard"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// watched is a resource with its informers: one, or one for each namespace that the relay is confined to.
type watched struct {
	*objects.Resource
	log  *zap.Logger
	note func(r *objects.Resource, key string) // called when an object was added, changed or deleted; it does not block
	only fields.Selector                       // of the objects that are watched
	// guard and outage are set before the first watch; nil in tests.
	guard  *guard.Guard
	outage *cluster.Outage

	mu         sync.RWMutex // guards these
	parts      []*part
	off        string          // why the resource is not watched at all, empty if it is
	state      offState        // of off
	collisions map[string]bool // keys of objects whose labels collide
	shown      targets.WatchState
	since      time.Time // when shown changed

	complained atomic.Int64 // when an interrupted watch was last logged, in seconds since the epoch

	// The worker alone uses these.
	stop context.CancelFunc // nil if nothing wants the resource
	done chan struct{}      // closed when the last watch has ended; nil if there was none
}

// part is one informer of a resource. The resource's mu guards refused, silent and away.
type part struct {
	store   cache.Indexer
	synced  cache.InformerSynced
	refused string // why the API server refuses a watch, empty if it does not
	silent  string // why changes do not arrive at the moment, empty if they do
	away    bool   // silent because the API server does not answer
}

// offState is the kind of reason why a resource is not watched at all.
type offState int

const (
	offByDesign offState = iota // it has no objects for the relay
	offAbsent                   // its CRD is not installed
	offFailed                   // the API server answers with an error
	offAway                     // it does not answer
)

// notBegun is why a resource that nothing wants is not watched.
const notBegun = "nothing needs it"

// begin watches until ctx ends or end is called.
func (w *watched) begin(ctx context.Context, b Backend, wg *sync.WaitGroup) {
	ctx, w.stop = context.WithCancel(ctx)
	before, done := w.done, make(chan struct{})
	w.done = done
	wg.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		w.run(ctx, b)
	})
}

// end ends the watch of a resource that nothing wants any more.
func (w *watched) end() {
	w.stop()
	w.stop = nil
}

// wanted reports whether something wants the resource. Only the worker may ask.
func (w *watched) wanted() bool { return w.stop != nil }

// newWatched returns a resource that is not watched yet.
func newWatched(r *objects.Resource, log *zap.Logger, note func(*objects.Resource, string)) *watched {
	return &watched{Resource: r, log: log.With(zap.String("resource", r.Name)), note: note, only: fields.Everything(), off: notBegun, shown: targets.WatchUnneeded, since: time.Now()}
}

// How often the API server is asked whether it has a kind of monitor: while it has no such CRD, and while it does not answer.
const (
	absentEvery = 10 * time.Second
	awayEvery   = time.Second
)

// run watches until ctx ends. It waits while a kind of monitor does not exist, also if the kind was removed.
func (w *watched) run(ctx context.Context, b Backend) {
	for ctx.Err() == nil {
		if w.Kind != "" && !w.await(ctx, b) {
			return
		}
		w.watch(ctx, b)
	}
}

// await returns true when the resource exists, false when ctx ends.
func (w *watched) await(ctx context.Context, b Backend) bool {
	for {
		pause := absentEvery
		ok, err := b.Serves(ctx, w.Resource)
		switch {
		case err != nil:
			pause = awayEvery
			if isAway := cluster.Unreachable(err); isAway && ctx.Err() == nil {
				w.outage.Begin(w, err)
				w.turnOff("the API server does not answer: "+cluster.Cause(err), offAway)
				break
			}
			w.outage.End(w, false)
			w.turnOff("the API server does not answer: "+err.Error(), offFailed)
		case ok:
			w.outage.End(w, true)
			return true
		default:
			w.outage.End(w, true)
			w.turnOff("the CRD "+w.Name+"."+w.Group+" is not installed", offAbsent)
		}
		select {
		case <-ctx.Done():
			w.outage.End(w, false)
			return false
		case <-time.After(pause):
		}
	}
}

// turnOff notes why there are no objects, and logs it once. (An API server that does not answer is logged by Outage.)
func (w *watched) turnOff(why string, state offState) {
	w.mu.Lock()
	news := w.off != why
	w.off, w.state = why, state
	w.noteStateLocked()
	w.mu.Unlock()
	if news {
		if state != offAway {
			w.log.Warn("not watched", zap.String("reason", why))
		}
		w.note(w.Resource, stateChange)
	}
}

// stateChange is noted in place of a key when the resource was listed, or is not watched any more.
const stateChange = ""

// watch runs the informers until ctx ends or the resource is gone.
func (w *watched) watch(ctx context.Context, b Backend) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	only, _ := b.Namespaces()
	if len(only) == 0 {
		only = []string{""}
	} else if w.ClusterScoped {
		w.turnOff("the relay is confined to namespaces (kubernetes.namespaces)", offByDesign)
		<-ctx.Done()
		return
	}
	var informers []cache.SharedIndexInformer
	var parts []*part
	var synced []cache.InformerSynced
	expected := w.Example
	if w.Kind != "" {
		expected = nil // an objects.Undecoded may replace it
	}
	for _, ns := range only {
		p := &part{}
		inf := cache.NewSharedIndexInformerWithOptions(w.retrying(p, b.ListWatch(w.Resource, ns, w.only)), expected,
			cache.SharedIndexInformerOptions{Indexers: w.Indexers, ObjectDescription: w.Name})
		w.prepare(p, inf, cancel)
		p.store, p.synced = inf.GetIndexer(), inf.HasSynced
		informers, parts, synced = append(informers, inf), append(parts, p), append(synced, inf.HasSynced)
	}
	w.mu.Lock()
	w.parts, w.off, w.state = parts, "", offByDesign
	w.noteStateLocked()
	w.mu.Unlock()
	var wg sync.WaitGroup
	for _, inf := range informers {
		wg.Go(func() { inf.RunWithContext(ctx) })
	}
	wg.Go(func() {
		if cache.WaitForCacheSync(ctx.Done(), synced...) {
			w.noteState()
			w.note(w.Resource, stateChange)
		}
	})
	wg.Wait()
	w.forget()
}

// prepare makes the informer note changes and failures. It calls gone when the resource does not exist any more.
func (w *watched) prepare(p *part, inf cache.SharedIndexInformer, gone func()) {
	// None of these can fail on an informer that has not run.
	_ = inf.SetTransform(func(obj any) (any, error) {
		_ = w.guard.Call(guard.Handler, w.Name, func() {
			if o, ok := obj.(runtime.Object); ok {
				w.Transform(o)
			}
		})
		return obj, nil
	})
	_ = inf.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		switch {
		case ctx.Err() != nil:
		case w.Kind != "" && apierrors.IsNotFound(err):
			gone()
		case apierrors.IsForbidden(err):
			w.refuse(p, "the relay may not list and watch it; apply the ClusterRole of deploy/: "+err.Error())
		case apierrors.IsResourceExpired(err) || apierrors.IsGone(err): // the informer lists again by itself
		default:
			w.interrupt(p, err)
		}
	})
	tell := func(obj any) {
		if m, err := meta.Accessor(obj); err == nil {
			w.noteCollision(objects.Key(m), m, false)
			w.note(w.Resource, objects.Key(m))
		}
	}
	safely := func(f func()) { _ = w.guard.Call(guard.Handler, w.Name, f) }
	_, _ = inf.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { safely(func() { tell(obj) }) },
		UpdateFunc: func(old, obj any) {
			safely(func() {
				if !objects.SameContent(old, obj) {
					tell(obj)
				}
			})
		},
		DeleteFunc: func(obj any) { safely(func() { w.gone(obj) }) },
	})
}

// gone notes that an object is deleted.
func (w *watched) gone(obj any) {
	lost, ok := obj.(cache.DeletedFinalStateUnknown)
	if !ok {
		m, err := meta.Accessor(obj)
		if err != nil {
			return
		}
		lost.Key = objects.Key(m)
	}
	w.noteCollision(lost.Key, nil, true)
	w.note(w.Resource, lost.Key)
}

// forget notes that all objects are gone.
func (w *watched) forget() {
	w.mu.Lock()
	parts := w.parts
	w.parts, w.collisions = nil, nil
	if w.off == "" {
		w.off, w.state = notBegun, offByDesign
	}
	w.noteStateLocked()
	w.mu.Unlock()
	for _, p := range parts {
		w.outage.End(p, false)
		for _, key := range p.store.ListKeys() {
			w.note(w.Resource, key)
		}
	}
}
