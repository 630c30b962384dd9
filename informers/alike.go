package informers

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/util/strutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

// Labels of an object can have one name for discovery, such as app.kubernetes.io/name and app_kubernetes_io_name. Prometheus takes one of
// them at random, each time that it looks, so that targets come and go. Here the first counts, in the order of their names, always.

// sanitized is what discovery makes of the name of a label.
func sanitized(key string) string {
	if !ascii(key) {
		return strutil.SanitizeLabelName(key)
	}
	return strings.Map(func(r rune) rune { return rune(plainByte(byte(r))) }, key)
}

// distinct returns the names of labels that count for discovery, sorted.
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

// haveAlike tells whether some names of labels are one for discovery. It looks at each object whenever that changes, and does not
// allocate where names are of ASCII, as Kubernetes demands.
func haveAlike(labels map[string]string) bool {
	for a := range labels {
		for b := range labels {
			if a < b && areAlike(a, b) {
				return true
			}
		}
	}
	return false
}

func areAlike(a, b string) bool {
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

// onlyDistinct returns the labels that count for discovery, the same map if all do.
func onlyDistinct(labels map[string]string) map[string]string {
	if !haveAlike(labels) {
		return labels
	}
	out := map[string]string{}
	for _, k := range distinct(labels) {
		out[k] = labels[k]
	}
	return out
}

// decided shows a discoverer objects of which no two labels, and no two annotations, have one name. It is called in a goroutine of the
// discoverer's, so that a panic is to be caught here: the object is not there then.
type decided struct {
	cache.Indexer
	panics *panics
}

func (s decided) GetByKey(key string) (obj any, ok bool, err error) {
	defer func() {
		if s.panics.caught(recover(), partGroup, key) {
			obj, ok, err = nil, false, nil
		}
	}()
	obj, ok, err = s.Indexer.GetByKey(key)
	if !ok || err != nil {
		return obj, ok, err
	}
	m, err := metaOf(obj)
	if err != nil || !haveAlike(m.GetLabels()) && !haveAlike(m.GetAnnotations()) {
		return obj, true, nil
	}
	c := reflect.New(reflect.TypeOf(obj).Elem())
	c.Elem().Set(reflect.ValueOf(obj).Elem())
	if m, err = metaOf(c.Interface()); err != nil {
		return obj, true, nil
	}
	m.SetLabels(onlyDistinct(m.GetLabels()))
	m.SetAnnotations(onlyDistinct(m.GetAnnotations()))
	return c.Interface(), true, nil
}

// noteAlike remembers an object with labels that are one for discovery. Gone is one that is no more.
func (w *watched) noteAlike(key string, m metav1.Object, gone bool) {
	is := !gone && w.kind == "" && haveAlike(m.GetLabels())
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !is:
		delete(w.alike, key)
	case w.alike == nil:
		w.alike = map[string]bool{key: true}
	default:
		w.alike[key] = true
	}
}

// alikeKeys returns the objects that noteAlike remembers.
func (w *watched) alikeKeys() []string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Sorted(maps.Keys(w.alike))
}

// alikeNotes tells of the objects of which a job reads a label that two have the name of.
func (d *Discovery) alikeNotes(j *targets.Job) (notes []string) {
	for _, sd := range j.Discoveries {
		for _, role := range []string{
			targets.RoleService, targets.RolePod, targets.RoleNode, targets.RoleNamespace, targets.RoleEndpoints, targets.RoleEndpointSlice, targets.RoleIngress,
		} {
			w := d.watched[resourceOf[role]]
			if !slices.Contains(resourcesOf(sd.Source), w.name) {
				continue
			}
			for _, key := range w.alikeKeys() {
				for _, note := range alikeNote(j, sd, role, w, key) {
					if !slices.Contains(notes, note) {
						notes = append(notes, note)
					}
				}
			}
		}
	}
	if more := len(notes) - mostNamed; more > 0 {
		notes = append(notes[:mostNamed:mostNamed], fmt.Sprintf("%d more objects have labels that are one to its rules", more))
	}
	return notes
}

func alikeNote(j *targets.Job, sd targets.Discovery, role string, w *watched, key string) (notes []string) {
	obj, ok, err := w.GetByKey(key)
	if !ok || err != nil {
		return nil
	}
	m, err := metaOf(obj)
	if err != nil || !w.unspaced && len(sd.Namespaces) > 0 && !slices.Contains(sd.Namespaces, m.GetNamespace()) {
		return nil
	}
	own := m.GetLabels()
	counts := map[string]string{} // the name that counts, by what discovery makes of it
	for _, k := range slices.Sorted(maps.Keys(own)) {
		name := sanitized(k)
		first, twice := counts[name]
		if !twice {
			counts[name] = k
			continue
		}
		label := "__meta_kubernetes_" + role + "_label_" + name
		found := discoveredLabels(role, obj, m)
		if !j.Reads(label) || !matters(j, role, found, label, own[k]) {
			continue
		}
		notes = append(notes, fmt.Sprintf("%s %s has the labels %s=%q and %s=%q, which have one name to rules: the first counts, always",
			kindOfRole(role), key, first, own[first], k, own[k]))
	}
	return notes
}

// matters tells whether the job takes an object by the label that counts, or would by the other one. Other objects are none of its.
func matters(j *targets.Job, role string, found map[string]string, label, other string) bool {
	selects := j.Discoveries[0].Role // that whose labels Select is about
	if selects == targets.RoleEndpoints || selects == targets.RoleEndpointSlice {
		selects = targets.RoleService
	}
	if role != selects || j.Refuses(found) == nil {
		return true
	}
	instead := maps.Clone(found)
	instead[label] = other
	return j.Refuses(instead) == nil
}

func kindOfRole(role string) string {
	switch role {
	case targets.RoleNamespace:
		return "Namespace"
	case targets.RoleEndpoints:
		return "Endpoints"
	case targets.RoleEndpointSlice:
		return "EndpointSlice"
	}
	return kindsOf[role][0]
}
