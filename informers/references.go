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
	refreshEvery   = 10 * time.Second       // the greatest age of the values of a Secret
	refreshOnNodes = 5 * time.Minute        // the same in node mode, where each Node's relay reads it
	refreshPause   = 100 * time.Millisecond // the least time between two routine reads
	readTimeout    = 10 * time.Second
	retryPause     = time.Second // until a failed read is tried again, and between two reads after refusals by targets
)

// references reads Secrets and ConfigMaps by name, again and again. It does not watch them: that would need the right to list all of
// them.
type references struct {
	backend Backend
	log     *zap.Logger
	changed func(targets.Ref)
	metrics *metrics
	wake    chan struct{}
	every   time.Duration // the greatest age of values

	mu      sync.Mutex // guards these
	objects map[targets.Ref]*object
	last    time.Time // of the last routine read
}

// object is one Secret or ConfigMap.
type object struct {
	values map[string][]byte // nil: it does not exist
	err    error             // why the last read failed; then values are older
	read   bool              // there was an answer at least once, or a refusal
	at     time.Time         // of the last read
	urgent bool              // read it next
}

func newReferences(b Backend, log *zap.Logger, m *metrics, changed func(targets.Ref)) *references {
	return &references{backend: b, log: log, metrics: m, changed: changed, wake: make(chan struct{}, 1), every: refreshEvery, objects: map[targets.Ref]*object{}}
}

// Value implements targets.Assets. An object that was not asked for before is read soon.
func (r *references) Value(ref targets.Ref) ([]byte, error) { return r.snapshot().Value(ref) }

// snapshot returns Assets that do not change: a certificate and its key come from one version of their Secret.
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

// look returns an object as it is now. A new one is read soon.
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
		return nil, targets.ErrNoObject
	}
	v, ok := o.values[key]
	if !ok {
		return nil, targets.NoKeyError{Keys: slices.Sorted(maps.Keys(o.values))}
	}
	return v, nil
}

// validName refuses names that no object can have. Clients do not send requests with such names, so there would never be an answer.
func validName(ref targets.Ref) error {
	switch {
	case ref.Name == "":
		return errors.New("no name is given")
	case len(validation.IsDNS1123Subdomain(ref.Name)) > 0:
		return errors.New("no Secret or ConfigMap can have this name")
	}
	return nil
}

// keep forgets the objects that no monitor names any more.
func (r *references) keep(wanted func(targets.Ref) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.objects, func(ref targets.Ref, _ *object) bool { return !wanted(ref) })
}

// hurry requests an early read of an object, because a target refused its values.
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

// next returns the object to read now, or how long to wait for one.
func (r *references) next(now time.Time) (ref targets.Ref, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	period := max(r.every, time.Duration(len(r.objects))*refreshPause)
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

// read reads one object, and reports a change.
func (r *references) read(ctx context.Context, ref targets.Ref) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	values, err := r.ask(ctx, ref, false)
	if err == nil && values == nil && !r.absent(ref) { // the cache may not know a new object yet
		values, err = r.ask(ctx, ref, true)
	}
	if r.store(ref, values, err) {
		if err != nil {
			r.log.Warn("a Secret or ConfigMap cannot be read", zap.Stringer("object", ref), zap.NamedError("err", err))
		}
		r.changed(ref)
	}
}

func (r *references) ask(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error) {
	values, err := r.backend.Read(ctx, ref, fresh)
	r.metrics.read(err)
	return values, err
}

// absent reports whether it is known that the object does not exist. If so, a read that finds nothing needs no confirmation.
func (r *references) absent(ref targets.Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.objects[ref]
	return o == nil || o.read && o.values == nil && o.err == nil
}

// store keeps what was read, and returns whether it changed. Earlier values stay in use while the API server does not answer, or
// refuses.
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
