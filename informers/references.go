package informers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"promrelay/targets"
)

const (
	refreshEvery = 10 * time.Second       // how old the values of a Secret may be
	refreshPause = 100 * time.Millisecond // at least, between two reads that nobody waits for
	readTimeout  = 10 * time.Second
	retryPause   = time.Second // until a read that failed is tried again, and between two after a refusal by a target
)

// references reads Secrets and ConfigMaps, each by its name, and reads them again and again: they are not watched, since
// that would need the right to list all of them.
type references struct {
	backend Backend
	log     *zap.Logger
	changed func(targets.Ref)
	metrics *metrics
	wake    chan struct{}

	mu      sync.Mutex
	objects map[targets.Ref]*object
	last    time.Time // when an object was read that nobody waited for
}

// object is one Secret or ConfigMap.
type object struct {
	values map[string][]byte // nil: there is none
	err    error             // why it could not be read; then values are those of before
	read   bool              // it was answered at least once, also with "forbidden"
	at     time.Time         // of the last read
	urgent bool              // read it next
}

func newReferences(b Backend, log *zap.Logger, m *metrics, changed func(targets.Ref)) *references {
	return &references{backend: b, log: log, metrics: m, changed: changed, wake: make(chan struct{}, 1), objects: map[targets.Ref]*object{}}
}

// Value implements targets.Assets: what is asked for the first time is read soon.
func (r *references) Value(ref targets.Ref) ([]byte, error) { return r.snapshot().Value(ref) }

// snapshot shows each object as it is when it is asked for first: a certificate and its key are of one version.
func (r *references) snapshot() snapshot { return snapshot{r, map[targets.Ref]object{}} }

type snapshot struct {
	of   *references
	seen map[targets.Ref]object
}

// Value implements targets.Assets.
func (s snapshot) Value(ref targets.Ref) ([]byte, error) {
	if err := validName(ref); err != nil {
		return nil, err
	}
	o, ok := s.seen[ref.Object()]
	if !ok {
		o = s.of.look(ref.Object())
		s.seen[ref.Object()] = o
	}
	return o.value(ref.Key)
}

// look returns an object as it is now. One that is new is read soon.
func (r *references) look(ref targets.Ref) object {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.objects[ref]
	if o == nil {
		o = &object{urgent: true}
		r.objects[ref] = o
		r.rouse()
	}
	return *o
}

func (o object) value(key string) ([]byte, error) {
	switch {
	case !o.read && o.err != nil:
		return nil, fmt.Errorf("%w: %w", targets.ErrPending, o.err)
	case !o.read:
		return nil, targets.ErrPending
	case o.values == nil && o.err != nil:
		return nil, o.err
	case o.values == nil:
		return nil, errors.New("there is none of this name")
	}
	v, ok := o.values[key]
	if !ok {
		return nil, fmt.Errorf("it has no such key, only %q", slices.Sorted(maps.Keys(o.values)))
	}
	return v, nil
}

// validName refuses names that no object has. Clients ask no API server for these, so that there would never be an answer.
func validName(ref targets.Ref) error {
	switch {
	case ref.Name == "":
		return errors.New("no name is given")
	case len(validation.IsDNS1123Subdomain(ref.Name)) > 0:
		return errors.New("no Secret or ConfigMap can have this name")
	}
	return nil
}

// keep forgets the objects that nobody refers to any more.
func (r *references) keep(wanted func(targets.Ref) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.objects, func(ref targets.Ref, _ *object) bool { return !wanted(ref) })
}

// hurry has an object read soon: a target refused what was in it.
func (r *references) hurry(ref targets.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.objects[ref.Object()]; o != nil {
		o.urgent = true
		r.rouse()
	}
}

func (r *references) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run reads until ctx ends.
func (r *references) run(ctx context.Context) {
	for {
		ref, wait := r.next(time.Now())
		if wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			case <-time.After(wait):
			}
			continue
		}
		r.read(ctx, ref)
		if ctx.Err() != nil {
			return
		}
	}
}

// next chooses the object to be read, or says how long there is none.
func (r *references) next(now time.Time) (ref targets.Ref, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	period := max(refreshEvery, time.Duration(len(r.objects))*refreshPause)
	wait, calm := refreshEvery, true
	for at, o := range r.objects {
		due, routine := period-refreshPause, true
		switch {
		case o.at.IsZero():
			return at, 0
		case o.urgent || !o.read:
			due, routine = retryPause, false
		}
		left := due - now.Sub(o.at)
		if routine {
			left = max(left, refreshPause-now.Sub(r.last))
		}
		if left < wait {
			ref, wait, calm = at, left, routine
		}
	}
	if wait <= 0 && calm {
		r.last = now
	}
	return ref, wait
}

// read reads one object and tells if it is not what it was.
func (r *references) read(ctx context.Context, ref targets.Ref) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	values, err := r.ask(ctx, ref, false)
	if err == nil && values == nil && !r.absent(ref) { // or the cache has not heard yet of one that was just made
		values, err = r.ask(ctx, ref, true)
	}
	if r.store(ref, values, err) {
		if err != nil {
			r.log.Warn("a Secret or ConfigMap cannot be read", zap.Stringer("object", ref), zap.Error(err))
		}
		r.changed(ref)
	}
}

func (r *references) ask(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error) {
	values, err := r.backend.Read(ctx, ref, fresh)
	r.metrics.read(err)
	return values, err
}

// absent tells whether it is known that there is no such object, so that this need not be confirmed with each read.
func (r *references) absent(ref targets.Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.objects[ref]
	return o == nil || o.read && o.values == nil && o.err == nil
}

// store keeps what was read. The values of before stay in use while the API server does not answer, or denies them.
func (r *references) store(ref targets.Ref, values map[string][]byte, err error) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.objects[ref]
	if o == nil {
		return false
	}
	before := *o
	o.at, o.urgent, o.err = time.Now(), false, err
	if err == nil {
		o.values = values
	}
	o.read = o.read || err == nil || apierrors.IsForbidden(err)
	return o.read != before.read || (o.err == nil) != (before.err == nil) || !reflect.DeepEqual(o.values, before.values)
}
