package informers

import (
	"maps"
	"sync"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// inbox collects changes until the worker takes them.
type inbox struct {
	wake chan struct{} // holds one signal while there is something to take

	mu       sync.Mutex // guards what follows
	notes    notes
	busy     bool // the worker has not finished what it took last
	complete bool // when it finished last, there was nothing left to wait for
}

// notes are changes that were not handled yet.
type notes struct {
	objects  map[note]bool
	refs     map[targets.Ref]bool
	plan     *plan // a configuration to apply; nil for none
	external bool  // other service discovery has found something
}

// note is about an object that was added, changed or deleted.
type note struct {
	resource *objects.Resource
	key      string // stateChange for a change of the resource itself
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (b *inbox) add(change func(*notes)) {
	b.mu.Lock()
	change(&b.notes)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// object notes that an object was added, changed or deleted.
func (b *inbox) object(r *objects.Resource, key string) {
	b.add(func(n *notes) {
		if n.objects == nil {
			n.objects = map[note]bool{}
		}
		n.objects[note{r, key}] = true
	})
}

// ref notes that a Secret or ConfigMap was read and has changed.
func (b *inbox) ref(ref targets.Ref) {
	b.add(func(n *notes) {
		if n.refs == nil {
			n.refs = map[targets.Ref]bool{}
		}
		n.refs[ref] = true
	})
}

// external notes that other service discovery has found something.
func (b *inbox) external() { b.add(func(n *notes) { n.external = true }) }

// plan notes a configuration to apply.
func (b *inbox) plan(p *plan) { b.add(func(n *notes) { n.plan = p }) }

// take empties the inbox. The worker is busy until it calls finish.
func (b *inbox) take() notes {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.notes
	b.notes, b.busy = notes{}, true
	return n
}

// finish notes that the worker has finished what it took. Complete means that it waits for nothing.
func (b *inbox) finish(complete bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy, b.complete = false, complete
}

// settled reports whether the inbox is empty, and the worker waits for nothing.
func (b *inbox) settled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.complete && !b.busy && b.notes.empty()
}

func (n *notes) empty() bool {
	return len(n.objects) == 0 && len(n.refs) == 0 && n.plan == nil && !n.external
}

// merge adds earlier notes.
func (n *notes) merge(earlier notes) {
	objects, refs := maps.Clone(earlier.objects), maps.Clone(earlier.refs)
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
		n.plan = earlier.plan
	}
}
