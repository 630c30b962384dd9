// Package informers finds targets. It watches an API server, or a directory of manifests, through client-go's informers: one for each
// resource, however many monitors there are. Package targets compiles the monitors, and Prometheus's own discoverers make target groups of
// objects. One worker does all this: keys of objects in, changes of targets out. Its sub-packages know where objects come from (cluster,
// manifests), which kinds there are (objects), what other service discovery finds (sd), and the last good versions of monitors (lastgood).
//
// Promises: the cost of a change depends only on what it touches; an unreachable API server changes nothing; a kind is off until its CRD is
// installed; a monitor that does not decode is rejected alone; Secrets and ConfigMaps are read by name, never listed. Not promised: that
// each change is passed on separately; changes that come together are handled together.
package informers

import (
	"context"
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
	// Offline leaves out what needs more than the cluster or the manifests: other service discovery is not asked, and the
	// directory of last good monitors is not used.
	Offline bool
	// Node is the name of the Node whose targets the relay scrapes, in node mode; empty for a central relay.
	Node       string
	Logger     *zap.Logger           // nil means none
	Registerer prometheus.Registerer // nil means none
}

// Discovery finds the targets that the cluster and the configuration describe. Its worker changes the state; its methods read it.
type Discovery struct {
	*parts
	worker  *worker
	reasons reasonCache
}

// parts are what Discovery is made of. New sets the fields, and nothing changes them.
type parts struct {
	backend  Backend // nil: no cluster and no manifests
	offline  bool    // external is not asked, and good not opened
	node     string  // in node mode, else empty
	log      *zap.Logger
	metrics  *metrics
	guard    *guard.Guard
	inbox    *inbox
	state    *state
	first    *firstLists
	outage   *cluster.Outage
	watched  map[string]*watched // by resource
	refs     *references
	external *sd.Manager
	good     *lastgood.Store
	events   *events
}

// state is what is known of monitors and targets. The worker alone changes it, with mu locked; others read it with mu read-locked.
type state struct {
	mu       sync.RWMutex
	set      *targets.Set
	settings *targets.Settings // nil: no monitors are wanted
	monitors map[targets.Owner]*monitorState
	byRef    map[targets.Ref]map[targets.Owner]bool // monitors by the Secrets and ConfigMaps that they name
	blocks   map[targets.Owner]bool                 // owners that are not monitors
	ownNode  string                                 // why node mode does not cover the relay's own Node, empty if it does

	batches atomic.Uint64 // how many batches of changes were handled; not guarded by mu
}

// New returns a Discovery that finds nothing until Apply and Run.
func New(o Options) (*Discovery, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	log, m := o.Logger.Named("informers"), newMetrics(o.Registerer)
	p := &parts{
		backend: o.Backend, offline: o.Offline, node: o.Node, log: log, metrics: m, guard: guard.New(log, m.panics), inbox: newInbox(), first: &firstLists{},
		state: &state{
			set: targets.NewSet(), monitors: map[targets.Owner]*monitorState{}, byRef: map[targets.Ref]map[targets.Owner]bool{}, blocks: map[targets.Owner]bool{},
		},
		outage: cluster.NewOutage(serverOf(o.Backend), log), watched: map[string]*watched{}, good: lastgood.New(log),
		events: &events{backend: o.Backend, told: map[targets.Owner]*told{}},
	}
	p.refs = newReferences(o.Backend, log, m, p.inbox.ref)
	if o.Node != "" {
		p.refs.every = refreshOnNodes
	}
	p.external = sd.New(sd.Options{Notify: p.inbox.external, Guard: p.guard, Logger: log, Registerer: o.Registerer})
	for _, r := range objects.All() {
		if r.ByNameOnly {
			continue
		}
		w := newWatched(r, log, p.inbox.object)
		w.guard, w.outage = p.guard, p.outage
		if only := ofNode(r.Name, o.Node); o.Node != "" && only != nil {
			w.only = only
		}
		p.watched[r.Name] = w
	}
	d := &Discovery{parts: p, worker: newWorker(p)}
	d.register(o.Registerer)
	return d, nil
}

// serverOf returns the URL of the API server, empty if the Backend is not one.
func serverOf(b Backend) string {
	if c, ok := b.(interface{ Server() string }); ok {
		return c.Server()
	}
	return ""
}

// Apply prepares a configuration and puts it in force. It returns the errors that Check returns.
func (d *Discovery) Apply(c *config.Config) error {
	commit, err := d.Prepare(c)
	if err == nil {
		commit()
	}
	return err
}

// Prepare compiles a configuration, and changes nothing. Commit then puts it in force soon.
func (d *Discovery) Prepare(c *config.Config) (commit func(), err error) {
	p, err := newPlan(c, d.home(), d.node)
	if err != nil {
		return nil, err
	}
	if p.settings != nil && !d.offline { // offline the environment is not that of the relay
		p.settings.SetEnvironment(os.Getenv)
	}
	return func() { d.inbox.plan(p) }, nil
}

// Check returns the errors of a configuration that concern discovery.
func Check(c *config.Config) error {
	_, err := newPlan(c, "", "")
	return err
}

func (d *Discovery) home() string {
	if d.backend == nil {
		return ""
	}
	_, home := d.backend.Namespaces()
	return home
}

// Hurry requests an early read of the Secrets and ConfigMaps of a target's monitor, because the target refused their values.
func (d *Discovery) Hurry(t *targets.Target) {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	if m := d.state.monitors[t.Job.Owner]; m != nil {
		for _, ref := range m.refs {
			d.refs.hurry(ref)
		}
	}
}

// Run finds targets until ctx ends. It returns an error that ends discovery. Sink gets the changes of targets, one call after the other. It
// must not block for long, and may be nil.
func (d *Discovery) Run(ctx context.Context, sink func([]targets.Change)) error {
	d.first.start()
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	errs := make(chan error, 1)
	if d.backend != nil {
		running.Go(func() {
			if err := d.backend.Run(ctx); err != nil {
				errs <- err
			}
		})
		running.Go(func() { d.refs.run(ctx) })
		if d.node == "" && !d.offline { // the central relay reports for all Nodes
			running.Go(func() { d.report(ctx) })
		}
	}
	running.Go(func() { d.good.Run(ctx) })
	if !d.offline {
		if err := d.external.Start(ctx, &running); err != nil {
			return err
		}
	}
	running.Go(func() { d.worker.run(ctx, sink) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-errs:
		return err
	}
}

// Turned returns when the worker advanced last: it handled changes, or found nothing to do. It is zero before Run.
func (d *Discovery) Turned() time.Time {
	if at := d.worker.turned.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Targets returns the targets of a job as they are now. The slice is the caller's.
func (d *Discovery) Targets(job string) []*targets.Target {
	d.state.mu.RLock()
	defer d.state.mu.RUnlock()
	return d.state.set.Targets(job)
}

// Settled reports whether everything that existed when Run began was handled: objects are listed, Secrets are read, and the sink has the
// targets. Other service discovery may not be finished yet.
func (d *Discovery) Settled() bool { return d.inbox.settled() }
