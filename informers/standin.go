package informers

import (
	"context"
	"errors"
	"time"

	"k8s.io/client-go/tools/cache"

	"promrelay/informers/guard"
)

// lookup returns an object by its key, and whether there is one.
type lookup func(key string) (obj any, ok bool, err error)

// guarded is a lookup that catches panics: then the object is not found. Discoverers look up objects in their own goroutines, where
// nobody else can recover.
func guarded(g *guard.Guard, of lookup) lookup {
	return func(key string) (obj any, ok bool, err error) {
		if g.Call(guard.Group, key, func() { obj, ok, err = of(key) }) != nil {
			return nil, false, nil
		}
		return obj, ok, err
	}
}

// informer is what a discoverer gets in place of a shared informer. Its objects are those that find returns. It is always in sync,
// since builder asks for groups only when the objects are known, and reports no events: builder calls the handler. It is its own
// cache.ResourceEventHandlerRegistration.
type informer struct {
	objects store
	handler cache.ResourceEventHandler // the first that the discoverer added; it builds the group of each object that it gets
}

var _ cache.SharedIndexInformer = (*informer)(nil)

func newInformer(find lookup) *informer { return &informer{objects: store{find}} }

// errReadOnly is the error of calls that would change a stand-in.
var errReadOnly = errors.New("the informers of promrelay cannot be changed by a discoverer")

func (i *informer) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	if i.handler == nil {
		i.handler = h
	}
	return i, nil
}

func (i *informer) AddEventHandlerWithResyncPeriod(h cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(h)
}

func (i *informer) AddEventHandlerWithOptions(h cache.ResourceEventHandler, _ cache.HandlerOptions) (cache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(h)
}

func (i *informer) RemoveEventHandler(cache.ResourceEventHandlerRegistration) error { return nil }
func (i *informer) GetStore() cache.Store                                           { return i.objects }

func (i *informer) GetIndexer() cache.Indexer           { return i.objects }
func (i *informer) GetController() cache.Controller     { return i }
func (i *informer) HasSynced() bool                     { return true }
func (i *informer) HasSyncedChecker() cache.DoneChecker { return synced{} }
func (i *informer) LastSyncResourceVersion() string     { return "" }
func (i *informer) IsStopped() bool                     { return false }
func (i *informer) Run(stop <-chan struct{})            { <-stop }
func (i *informer) RunWithContext(ctx context.Context)  { <-ctx.Done() }
func (i *informer) AddIndexers(cache.Indexers) error    { return errReadOnly }

func (i *informer) SetTransform(cache.TransformFunc) error { return errReadOnly }

func (i *informer) SetWatchErrorHandler(cache.WatchErrorHandler) error { return errReadOnly }

func (i *informer) SetWatchErrorHandlerWithContext(cache.WatchErrorHandlerWithContext) error {
	return errReadOnly
}

// synced is a cache.DoneChecker of what is in sync from the start.
type synced struct{}

func (synced) Name() string { return "promrelay" }

func (synced) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// store is the store of an informer. Discoverers look up keys only, while no event comes: lists and indexes are empty.
type store struct{ find lookup }

var _ cache.Indexer = store{}

func (s store) GetByKey(key string) (any, bool, error) { return s.find(key) }

func (s store) Get(obj any) (any, bool, error) {
	key, err := cache.MetaNamespaceKeyFunc(obj)
	if err != nil {
		return nil, false, err
	}
	return s.find(key)
}

func (store) List() []any                                { return nil }
func (store) ListKeys() []string                         { return nil }
func (store) Index(string, any) ([]any, error)           { return nil, nil }
func (store) IndexKeys(string, string) ([]string, error) { return nil, nil }
func (store) ByIndex(string, string) ([]any, error)      { return nil, nil }
func (store) ListIndexFuncValues(string) []string        { return nil }
func (store) GetIndexers() cache.Indexers                { return nil }
func (store) LastStoreSyncResourceVersion() string       { return "" }
func (store) Bookmark(string)                            {}
func (store) Resync() error                              { return nil }
func (store) AddIndexers(cache.Indexers) error           { return errReadOnly }
func (store) Add(any) error                              { return errReadOnly }
func (store) Update(any) error                           { return errReadOnly }
func (store) Delete(any) error                           { return errReadOnly }
func (store) Replace([]any, string) error                { return errReadOnly }
