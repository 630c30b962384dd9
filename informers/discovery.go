// Package informers finds out what there is to scrape. It watches an API server, or a directory of manifests, through
// client-go's informers, one for each resource however many monitors there are; it lets the room targets compile monitors,
// makes target groups of objects by Prometheus's own discoverers, and hands on what targets came and went. What
// scrape_configs find by other means comes in through Prometheus's discovery manager.
//
// Promises: an event costs what it touches; an API server that is away changes nothing; a kind whose CRD is not installed
// is off until it is; a monitor that does not decode is rejected alone; Secrets and ConfigMaps are read by name, never
// listed. Not promised: that the cluster tells of all its changes at once; what is told together is worked off together.
package informers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/informers/cluster"
	"promrelay/informers/guard"
	"promrelay/informers/lastgood"
	"promrelay/informers/objects"
	"promrelay/informers/sd"
	"promrelay/targets"
)

// Options are what a Discovery needs.
type Options struct {
	Backend Backend // nil: no cluster and no manifests
	// Sink is told of changes, one call after the other. It must not block for long.
	Sink func([]targets.Change)
	// Offline leaves out what needs more than the cluster or the manifests: other service discovery is not asked, and the
	// directory of last good monitors is not used.
	Offline    bool
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
}

// Discovery keeps a targets.Set as the cluster and the configuration say.
type Discovery struct {
	backend  Backend
	sink     func([]targets.Change)
	log      *zap.Logger
	metrics  *metrics
	guard    *guard.Guard
	refs     *references
	external *sd.Manager
	offline  bool // external is not asked, and good not opened
	good     *lastgood.Store
	wake     chan struct{}

	// These three are guarded by notesMu.
	notesMu  sync.Mutex
	notes    notes // since the worker took them last
	busy     bool  // the worker has not worked off what it took
	complete bool  // nothing was waited for when the worker had done so last

	// What follows belongs to the worker, which changes it with mu locked; others read it with mu read-locked.
	mu       sync.RWMutex
	set      *targets.Set
	applied  bool              // a configuration
	settings *targets.Settings // nil: no monitors are wanted
	monitors map[targets.Owner]*monitorState
	byRef    map[targets.Ref]map[targets.Owner]bool
	blocks   map[targets.Owner]bool // owners that are not monitors
	watched  map[string]*watched
	kinds    map[targets.Kind]bool // all monitors of the kind were compiled since settings changed
	sources  map[targets.Source]*source
	running  sync.WaitGroup
	// unreachable are the Nodes that were told to have no address to use.
	unreachable map[string]bool

	outage  *cluster.Outage
	first   firstLists
	batches atomic.Uint64 // of changes that were worked off
	whys    whyMemory
}

// notes are what has changed and was not worked off.
type notes struct {
	objects  map[note]bool
	refs     map[targets.Ref]bool
	plan     *plan // a configuration that is to be applied
	external bool  // the discovery manager has told something
}

// note is an object that came, changed or went.
type note struct {
	resource *objects.Resource
	key      string
}

// New returns a Discovery that finds nothing until Apply and Run.
func New(o Options) (*Discovery, error) {
	if o.Sink == nil {
		return nil, fmt.Errorf("discovery: Sink must be given")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	d := &Discovery{
		backend: o.Backend, sink: o.Sink, offline: o.Offline, log: o.Logger.Named("informers"), metrics: newMetrics(o.Registerer), wake: make(chan struct{}, 1),
		set: targets.NewSet(), monitors: map[targets.Owner]*monitorState{}, byRef: map[targets.Ref]map[targets.Owner]bool{},
		blocks: map[targets.Owner]bool{}, watched: map[string]*watched{}, kinds: map[targets.Kind]bool{}, sources: map[targets.Source]*source{},
		unreachable: map[string]bool{},
	}
	if server, ok := o.Backend.(interface{ Server() string }); ok {
		d.outage = cluster.NewOutage(server.Server(), d.log)
	} else {
		d.outage = cluster.NewOutage("", d.log)
	}
	d.guard = guard.New(d.log, d.metrics.panics)
	d.refs = newReferences(o.Backend, d.log, d.metrics, d.noteRef)
	d.external = sd.New(sd.Options{Notify: d.noteExternal, Guard: d.guard, Logger: d.log, Registerer: o.Registerer})
	d.good = lastgood.New(d.log)
	for _, r := range objects.All() {
		if r.ByNameOnly {
			continue
		}
		w := newWatched(r, d.log, d.noteObject)
		w.guard, w.outage = d.guard, d.outage
		d.watched[r.Name] = w
	}
	d.register(o.Registerer)
	return d, nil
}

// Apply makes the configuration count, soon. It is one that Check has passed.
func (d *Discovery) Apply(c *config.Config) error {
	p, err := newPlan(c, d.home())
	if err != nil {
		return err
	}
	if p.settings != nil && !d.offline { // offline the environment is not that of the relay
		p.settings.SetEnvironment(os.Getenv)
	}
	d.tell(func(n *notes) { n.plan = p })
	return nil
}

// Check tells what Apply would refuse.
func Check(c *config.Config) error {
	_, err := newPlan(c, "")
	return err
}

func (d *Discovery) home() string {
	if d.backend == nil {
		return ""
	}
	_, home := d.backend.Namespaces()
	return home
}

// Hurry has the Secrets and ConfigMaps of a target's monitor read soon: the target refused what they hold.
func (d *Discovery) Hurry(t *targets.Target) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if m := d.monitors[t.Job.Owner]; m != nil {
		for _, ref := range m.refs {
			d.refs.hurry(ref)
		}
	}
}

func (d *Discovery) tell(f func(*notes)) {
	d.notesMu.Lock()
	f(&d.notes)
	d.notesMu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *Discovery) noteObject(r *objects.Resource, key string) {
	d.tell(func(n *notes) {
		if n.objects == nil {
			n.objects = map[note]bool{}
		}
		n.objects[note{r, key}] = true
	})
}

func (d *Discovery) noteRef(ref targets.Ref) {
	d.tell(func(n *notes) {
		if n.refs == nil {
			n.refs = map[targets.Ref]bool{}
		}
		n.refs[ref] = true
	})
}

func (d *Discovery) noteExternal() { d.tell(func(n *notes) { n.external = true }) }

func (d *Discovery) take() notes {
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	n := d.notes
	d.notes, d.busy = notes{}, true
	return n
}

// gather is how long, after a first change, others are waited for that come with it.
const gather = 20 * time.Millisecond

// Run finds targets until ctx ends.
func (d *Discovery) Run(ctx context.Context) error {
	d.first.start()
	ctx, cancel := context.WithCancel(ctx)
	defer d.running.Wait()
	defer cancel()
	errs := make(chan error, 1)
	if d.backend != nil {
		d.running.Go(func() {
			if err := d.backend.Run(ctx); err != nil {
				errs <- err
			}
		})
		d.running.Go(func() { d.refs.run(ctx) })
	}
	d.running.Go(func() { d.good.Run(ctx) })
	if !d.offline {
		if err := d.external.Start(ctx, &d.running); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-errs:
			return err
		case <-d.wake:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(gather):
		}
		start := time.Now()
		d.workAlone(ctx)
		d.metrics.work.Observe(time.Since(start).Seconds())
	}
}

// retryBatch is how long a batch of changes waits to be worked off again after a panic.
const retryBatch = time.Minute

// workAlone is work. After a panic, all of the batch is worked off again later.
func (d *Discovery) workAlone(ctx context.Context) {
	n := d.take()
	if d.guard.Call(guard.Batch, "", func() { d.work(ctx, n) }) == nil {
		return
	}
	for _, s := range d.sources {
		s.built = false
	}
	time.AfterFunc(retryBatch, func() { d.tell(func(now *notes) { now.add(n) }) })
	d.finish()
}

// add notes what was noted before.
func (n *notes) add(before notes) {
	objects, refs := maps.Clone(before.objects), maps.Clone(before.refs)
	if objects == nil {
		objects = map[note]bool{}
	}
	if refs == nil {
		refs = map[targets.Ref]bool{}
	}
	maps.Copy(objects, n.objects)
	maps.Copy(refs, n.refs)
	n.objects, n.refs, n.external = objects, refs, true
	if n.plan == nil {
		n.plan = before.plan
	}
}

// lookup returns the objects of a resource.
func (d *Discovery) lookup(resource string) lookup { return d.watched[resource].GetByKey }
