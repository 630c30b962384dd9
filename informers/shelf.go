package informers

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// shelf holds the objects of a directory and serves them as an API server would: by list and watch.
type shelf struct {
	mu       sync.Mutex
	version  int // of the last change to anything
	objects  map[string]map[string]runtime.Object
	watchers map[string]map[*shelfWatch]bool // by resource
}

func newShelf() *shelf {
	return &shelf{objects: map[string]map[string]runtime.Object{}, watchers: map[string]map[*shelfWatch]bool{}}
}

// replace makes the objects of a resource these, by namespace/name, and tells watchers of what differs.
func (s *shelf) replace(r *resource, objects map[string]runtime.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.objects[r.name]
	after := map[string]runtime.Object{}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		o, old := objects[key], before[key]
		if old != nil && sameButVersion(old, o) {
			after[key] = old
			continue
		}
		s.version++
		if m, err := meta.Accessor(o); err == nil {
			m.SetResourceVersion(strconv.Itoa(s.version))
		}
		after[key] = o
		kind := watch.Added
		if old != nil {
			kind = watch.Modified
		}
		s.tell(r, watch.Event{Type: kind, Object: o})
	}
	for key, old := range before {
		if after[key] == nil {
			s.version++
			s.tell(r, watch.Event{Type: watch.Deleted, Object: old})
		}
	}
	s.objects[r.name] = after
}

func (s *shelf) tell(r *resource, e watch.Event) {
	e.Object = e.Object.DeepCopyObject() // each informer trims its own
	if m, err := meta.Accessor(e.Object); err == nil {
		m.SetResourceVersion(strconv.Itoa(s.version))
	}
	for w := range s.watchers[r.name] {
		select {
		case w.ch <- e:
		default: // far behind: it lists anew
			w.stopLocked()
		}
	}
}

// listWatch implements part of Backend.
func (s *shelf) listWatch(r *resource, namespace string) cache.ListerWatcher {
	return &shelfLister{s, r, namespace}
}

// shelfLister lists and watches one resource.
type shelfLister struct {
	shelf     *shelf
	resource  *resource
	namespace string
}

// IsWatchListSemanticsUnSupported tells the reflector to list first.
func (l *shelfLister) IsWatchListSemanticsUnSupported() bool { return true }

func (l *shelfLister) has(o runtime.Object) bool {
	m, err := meta.Accessor(o)
	return err == nil && (l.namespace == "" || m.GetNamespace() == l.namespace)
}

// List implements cache.ListerWatcher.
func (l *shelfLister) List(metav1.ListOptions) (runtime.Object, error) {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	list := &metav1.List{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(l.shelf.version)}}
	for _, key := range slices.Sorted(maps.Keys(l.shelf.objects[l.resource.name])) {
		if o := l.shelf.objects[l.resource.name][key]; l.has(o) {
			list.Items = append(list.Items, runtime.RawExtension{Object: o.DeepCopyObject()})
		}
	}
	return list, nil
}

// Watch implements cache.ListerWatcher. History is not kept: who is behind lists anew.
func (l *shelfLister) Watch(o metav1.ListOptions) (watch.Interface, error) {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	if o.ResourceVersion != strconv.Itoa(l.shelf.version) {
		return nil, apierrors.NewResourceExpired("the directory has changed since version " + o.ResourceVersion)
	}
	w := &shelfWatch{lister: l, ch: make(chan watch.Event, 1000)}
	if l.shelf.watchers[l.resource.name] == nil {
		l.shelf.watchers[l.resource.name] = map[*shelfWatch]bool{}
	}
	l.shelf.watchers[l.resource.name][w] = true
	return w, nil
}

// shelfWatch is one watch.
type shelfWatch struct {
	lister *shelfLister
	ch     chan watch.Event
}

// ResultChan implements watch.Interface.
func (w *shelfWatch) ResultChan() <-chan watch.Event { return w.ch }

// Stop implements watch.Interface.
func (w *shelfWatch) Stop() {
	w.lister.shelf.mu.Lock()
	defer w.lister.shelf.mu.Unlock()
	w.stopLocked()
}

func (w *shelfWatch) stopLocked() {
	of := w.lister.shelf.watchers[w.lister.resource.name]
	if of[w] {
		delete(of, w)
		close(w.ch)
	}
}

// find returns an object, nil if there is none.
func (s *shelf) find(resource, key string) runtime.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[resource][key]
}

// has tells whether there is an object.
func (s *shelf) has(resource, key string) bool { return s.find(resource, key) != nil }

// serves implements part of Backend.
func (s *shelf) serves(context.Context, *resource) (bool, error) { return true, nil }

// read implements part of Backend.
func (s *shelf) read(_ context.Context, ref targets.Ref, _ bool) (map[string][]byte, error) {
	key := ref.Namespace + "/" + ref.Name
	if ref.ConfigMap {
		m, ok := s.find("configmaps", key).(*corev1.ConfigMap)
		if !ok {
			return nil, nil
		}
		return configMapData(m), nil
	}
	secret, ok := s.find("secrets", key).(*corev1.Secret)
	if !ok {
		return nil, nil
	}
	data := map[string][]byte{}
	maps.Copy(data, secret.Data)
	for k, v := range secret.StringData { // the API server would have put it into Data
		data[k] = []byte(v)
	}
	return data, nil
}
