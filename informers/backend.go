package informers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// Backend is where objects come from: an API server or a directory of manifests. Its methods are safe for concurrent use.
type Backend interface {
	// ListWatch lists and watches the objects of a resource in a namespace that a field selector selects; "" means all namespaces.
	ListWatch(r *objects.Resource, namespace string, only fields.Selector) cache.ListerWatcher
	// Serves reports whether the resource exists at all. It does not wait for a server that does not answer.
	Serves(ctx context.Context, r *objects.Resource) (bool, error)
	// Read returns the values of a Secret or ConfigMap by key, nil if there is none. They may come from a cache that lags behind by a
	// moment, unless fresh is set. The map is the caller's.
	Read(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error)
	// Report tells the users of a monitor what is new, if there is a way to do so. It does not wait.
	Report(monitor corev1.ObjectReference, e objects.Event)
	// Namespaces returns the namespaces that can be read (none means all) and the relay's own.
	Namespaces() (only []string, home string)
	// Run does what the backend does by itself, until ctx ends.
	Run(ctx context.Context) error
}

// directory is the Backend of a directory of manifests. It knows all of its objects at once, and who wrote them.
type directory interface {
	// Object returns an object, nil if there is none. It is read only.
	Object(resource, key string) metav1.Object
	// UnknownFields returns a sentence for each unknown field of an object.
	UnknownFields(r *objects.Resource, key string) []string
}

// directory returns the Backend if that is a directory of manifests, else nil.
func (p *parts) directory() directory {
	dir, _ := p.backend.(directory)
	return dir
}

// isDirectory reports whether objects come from a directory of manifests.
func (p *parts) isDirectory() bool { return p.directory() != nil }
