package informers

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"

	"promrelay/targets"
)

// Two labels of an object collide if discovery gives both the same name: app.kubernetes.io/name and app_kubernetes_io_name do.
// Prometheus picks one at random each time, so targets come and go. The relay always uses the first one in the order of the original
// names.

// haveCollision reports whether two of the labels collide. It is called for each object that changes, and does not allocate for names
// in ASCII, which is what Kubernetes allows.
func haveCollision(labels map[string]string) bool {
	for a := range labels {
		for b := range labels {
			if a < b && targets.NamesCollide(a, b) {
				return true
			}
		}
	}
	return false
}

// withoutCollisions returns the labels that discovery uses: the same map if it uses all of them.
func withoutCollisions(labels map[string]string) map[string]string {
	if !haveCollision(labels) {
		return labels
	}
	out := map[string]string{}
	for _, k := range targets.DistinctLabels(labels) {
		out[k] = labels[k]
	}
	return out
}

// decided returns the objects of a lookup without the labels and annotations that discovery does not use.
func decided(of lookup) lookup {
	return func(key string) (any, bool, error) {
		obj, ok, err := of(key)
		if !ok || err != nil {
			return obj, ok, err
		}
		m, err := meta.Accessor(obj)
		if err != nil {
			return nil, false, err
		}
		if !haveCollision(m.GetLabels()) && !haveCollision(m.GetAnnotations()) {
			return obj, true, nil
		}
		c := reflect.New(reflect.TypeOf(obj).Elem())
		c.Elem().Set(reflect.ValueOf(obj).Elem())
		if m, err = meta.Accessor(c.Interface()); err != nil {
			return nil, false, err
		}
		m.SetLabels(withoutCollisions(m.GetLabels()))
		m.SetAnnotations(withoutCollisions(m.GetAnnotations()))
		return c.Interface(), true, nil
	}
}
