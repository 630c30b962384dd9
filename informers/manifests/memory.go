package manifests

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
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// memoryAPI holds the objects of a directory and serves them by list and watch, as an API server does.
type memoryAPI struct {
	mu       sync.Mutex                           // guards what follows
	version  int                                  // of the last change to any object
	objects  map[string]map[string]runtime.Object // by resource and key
	watchers map[string]map[*memoryWatch]bool     // by resource
}

func newMemoryAPI() *memoryAPI {
	return &memoryAPI{objects: map[string]map[string]runtime.Object{}, watchers: map[string]map[*memoryWatch]bool{}}
}

// replace sets the objects of a resource, by key, and sends the changes to watchers.
func (a *memoryAPI) replace(r *objects.Resource, all map[string]runtime.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.objects[r.Name]
	after := map[string]runtime.Object{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		o, old := all[key], before[key]
		if old != nil && objects.SameContent(old, o) {
			after[key] = old
			continue
		}
		a.version++
		if m, err := meta.Accessor(o); err == nil {
			m.SetResourceVersion(strconv.Itoa(a.version))
		}
		after[key] = o
		kind := watch.Added
		if old != nil {
			kind = watch.Modified
		}
		a.sendLocked(r, watch.Event{Type: kind, Object: o})
	}
	for key, old := range before {
		if after[key] == nil {
			a.version++
			a.sendLocked(r, watch.Event{Type: watch.Deleted, Object: old})
		}
	}
	a.objects[r.Name] = after
}

func (a *memoryAPI) sendLocked(r *objects.Resource, e watch.Event) {
	e.Object = e.Object.DeepCopyObject() // each informer trims its own
	if m, err := meta.Accessor(e.Object); err == nil {
		m.SetResourceVersion(strconv.Itoa(a.version))
	}
	for w := range a.watchers[r.Name] {
		seen := e
		if !w.lister.has(e.Object) { // it may have been selected before
			seen.Type = watch.Deleted
		}
		select {
		case w.ch <- seen:
		default: // far behind: it lists again
			w.stopLocked()
		}
	}
}

// ListWatch lists and watches the objects of a resource in a namespace that a field selector selects; "" means all namespaces.
func (a *memoryAPI) ListWatch(r *objects.Resource, namespace string, only fields.Selector) cache.ListerWatcher {
	return &memoryLister{a, r, namespace, only}
}

// memoryLister lists and watches one resource.
type memoryLister struct {
	api       *memoryAPI
	resource  *objects.Resource
	namespace string
	only      fields.Selector
}

// IsWatchListSemanticsUnSupported makes the reflector list first.
func (l *memoryLister) IsWatchListSemanticsUnSupported() bool { return true }

func (l *memoryLister) has(o runtime.Object) bool {
	m, err := meta.Accessor(o)
	return err == nil && (l.namespace == "" || m.GetNamespace() == l.namespace) && (l.only.Empty() || l.only.Matches(objects.FieldsOf(o, m)))
}

// List implements cache.ListerWatcher.
func (l *memoryLister) List(metav1.ListOptions) (runtime.Object, error) {
	l.api.mu.Lock()
	defer l.api.mu.Unlock()
	list := &metav1.List{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(l.api.version)}}
	for _, key := range slices.Sorted(maps.Keys(l.api.objects[l.resource.Name])) {
		if o := l.api.objects[l.resource.Name][key]; l.has(o) {
			list.Items = append(list.Items, runtime.RawExtension{Object: o.DeepCopyObject()})
		}
	}
	return list, nil
}

// watchBuffer is how many changes a watch may be behind before it is ended.
const watchBuffer = 1000

// Watch implements cache.ListerWatcher. No history is kept: a client that is behind lists again.
func (l *memoryLister) Watch(o metav1.ListOptions) (watch.Interface, error) {
	l.api.mu.Lock()
	defer l.api.mu.Unlock()
	if o.ResourceVersion != strconv.Itoa(l.api.version) {
		return nil, apierrors.NewResourceExpired("the directory has changed since version " + o.ResourceVersion)
	}
	w := &memoryWatch{lister: l, ch: make(chan watch.Event, watchBuffer)}
	if l.api.watchers[l.resource.Name] == nil {
		l.api.watchers[l.resource.Name] = map[*memoryWatch]bool{}
	}
	l.api.watchers[l.resource.Name][w] = true
	return w, nil
}

// memoryWatch is one watch. (watch.Broadcaster does not fit. If a watcher is far behind, it either drops single events, which an
// informer never notices, or blocks all others. It also starts a goroutine when it is made, before anything runs.)
type memoryWatch struct {
	lister *memoryLister
	ch     chan watch.Event
}

// ResultChan implements watch.Interface.
func (w *memoryWatch) ResultChan() <-chan watch.Event { return w.ch }

// Stop implements watch.Interface.
func (w *memoryWatch) Stop() {
	w.lister.api.mu.Lock()
	defer w.lister.api.mu.Unlock()
	w.stopLocked()
}

func (w *memoryWatch) stopLocked() {
	of := w.lister.api.watchers[w.lister.resource.Name]
	if of[w] {
		delete(of, w)
		close(w.ch)
	}
}

// find returns an object, nil if there is none.
func (a *memoryAPI) find(resource, key string) runtime.Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[resource][key]
}

// all returns the objects of a resource by key. The map is the caller's.
func (a *memoryAPI) all(resource string) map[string]runtime.Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := maps.Clone(a.objects[resource])
	if out == nil {
		out = map[string]runtime.Object{}
	}
	return out
}

// Object returns an object, nil if there is none. It is read only.
func (a *memoryAPI) Object(resource, key string) metav1.Object {
	m, _ := a.find(resource, key).(metav1.Object)
	return m
}

// Serves returns true: a directory can hold objects of each resource.
func (a *memoryAPI) Serves(context.Context, *objects.Resource) (bool, error) { return true, nil }

// Read returns the values of a Secret or ConfigMap by key, nil if there is none.
func (a *memoryAPI) Read(_ context.Context, ref targets.Ref, _ bool) (map[string][]byte, error) {
	key := ref.Namespace + "/" + ref.Name
	if ref.ConfigMap {
		m, ok := a.find("configmaps", key).(*corev1.ConfigMap)
		if !ok {
			return nil, nil
		}
		return objects.Data(m), nil
	}
	secret, ok := a.find("secrets", key).(*corev1.Secret)
	if !ok {
		return nil, nil
	}
	data := map[string][]byte{}
	maps.Copy(data, secret.Data)
	for k, v := range secret.StringData { // an API server would have put it into Data
		data[k] = []byte(v)
	}
	return data, nil
}
