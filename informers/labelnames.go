package informers

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/util/strutil"
	"k8s.io/apimachinery/pkg/api/meta"
)

// Two labels of an object collide if discovery gives both the same name: app.kubernetes.io/name and app_kubernetes_io_name do.
// Prometheus picks one at random each time, so targets come and go. The relay always uses the first one in the order of the original
// names.

// sanitized returns the name that discovery gives a label.
func sanitized(key string) string {
	if !ascii(key) {
		return strutil.SanitizeLabelName(key)
	}
	return strings.Map(func(r rune) rune { return rune(plainByte(byte(r))) }, key)
}

// distinct returns the names of the labels that discovery uses, sorted.
func distinct(labels map[string]string) []string {
	keys := slices.Sorted(maps.Keys(labels))
	seen := make(map[string]bool, len(keys))
	return slices.DeleteFunc(keys, func(k string) bool {
		name := sanitized(k)
		was := seen[name]
		seen[name] = true
		return was
	})
}

// haveCollision reports whether two of the labels collide. It is called for each object that changes, and does not allocate for names
// in ASCII, which is what Kubernetes allows.
func haveCollision(labels map[string]string) bool {
	for a := range labels {
		for b := range labels {
			if a < b && collide(a, b) {
				return true
			}
		}
	}
	return false
}

// collide reports whether two names of labels become the same.
func collide(a, b string) bool {
	if len(a) == len(b) {
		for i := range len(a) {
			if x, y := plainByte(a[i]), plainByte(b[i]); x != y && x < 0x80 && y < 0x80 {
				return false
			}
		}
		return ascii(a) && ascii(b) || sanitized(a) == sanitized(b)
	}
	return !ascii(a) && sanitized(a) == sanitized(b) || !ascii(b) && sanitized(a) == sanitized(b)
}

// plainByte returns what a byte of a name becomes; bytes outside ASCII are left as they are.
func plainByte(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80:
		return c
	}
	return '_'
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// withoutCollisions returns the labels that discovery uses: the same map if it uses all of them.
func withoutCollisions(labels map[string]string) map[string]string {
	if !haveCollision(labels) {
		return labels
	}
	out := map[string]string{}
	for _, k := range distinct(labels) {
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
