package informers

import (
	"iter"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// maxNamed is how many objects a note names.
const maxNamed = 3

// view gives explanations the objects that are known. It implements targets.Objects.
type view struct{ *parts }

var _ targets.Objects = view{}

// All implements targets.Objects.
func (d view) All(role string, namespaces []string) iter.Seq[metav1.Object] {
	of := d.watched[resourceOf[role]]
	return func(yield func(metav1.Object) bool) {
		for _, store := range of.each() {
			found := [][]any{}
			if len(namespaces) == 0 || of.ClusterScoped {
				found = append(found, store.List())
			}
			for _, ns := range namespaces {
				if inside, err := store.ByIndex(objects.ByNamespace, ns); err == nil && !of.ClusterScoped {
					found = append(found, inside)
				}
			}
			for _, list := range found {
				for _, obj := range list {
					if m, ok := obj.(metav1.Object); ok && !yield(m) {
						return
					}
				}
			}
		}
	}
}

// Get implements targets.Objects. A directory of manifests is asked for objects that nothing needed so far, too.
func (d view) Get(role, key string) metav1.Object {
	w := d.watched[resourceOf[role]]
	obj, ok, err := w.GetByKey(key)
	if m, is := obj.(metav1.Object); ok && err == nil && is {
		return m
	}
	if dir := d.directory(); dir != nil {
		return dir.Object(w.Name, key)
	}
	return nil
}

// Slices implements targets.Objects.
func (d view) Slices(service string) (out []*discoveryv1.EndpointSlice) {
	of := d.watched["endpointslices"]
	for _, key := range slices.Sorted(slices.Values(of.indexed(objects.ByService, service))) {
		if obj, ok, err := of.GetByKey(key); ok && err == nil {
			if s, is := obj.(*discoveryv1.EndpointSlice); is {
				out = append(out, s)
			}
		}
	}
	return out
}

// Matches implements targets.Objects.
func (d view) Matches(s targets.Selector, o metav1.Object) bool { return matches(s, o) }

// Unknown implements targets.Objects.
func (d view) Unknown(src targets.Source) string {
	for _, name := range resourcesOf(src) {
		w, needed := d.watched[name], name == resourceOf[src.Role] || name == "services" // others are only attached
		switch why := w.why(); {
		case needed && why != "":
			return name + " are not known: " + why
		case !w.ready():
			return name + " are not listed yet"
		}
	}
	return ""
}

// Off implements targets.Objects.
func (d view) Off(role string) string { return d.watched[resourceOf[role]].why() }

// Complete implements targets.Objects.
func (d view) Complete(role string) bool { return d.watched[resourceOf[role]].listed() }

// FromFiles implements targets.Objects.
func (d view) FromFiles() bool { return d.isDirectory() }
