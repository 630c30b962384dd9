package informers

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/targets"
)

// noteCollision remembers an object whose labels collide. Gone means that the object is deleted.
func (w *watched) noteCollision(key string, m metav1.Object, gone bool) {
	is := !gone && w.Kind == "" && haveCollision(m.GetLabels())
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !is:
		delete(w.collisions, key)
	case w.collisions == nil:
		w.collisions = map[string]bool{key: true}
	default:
		w.collisions[key] = true
	}
}

// collisionKeys returns the keys of the objects whose labels collide.
func (w *watched) collisionKeys() []string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Sorted(maps.Keys(w.collisions))
}

// collisionNotes names the objects that have two labels with the same name in discovery, if the job reads that name.
func (d *Discovery) collisionNotes(j *targets.Job) (notes []string) {
	for _, sd := range j.Discoveries {
		for _, role := range []string{
			targets.RoleService, targets.RolePod, targets.RoleNode, targets.RoleNamespace, targets.RoleEndpoints, targets.RoleEndpointSlice, targets.RoleIngress,
		} {
			w := d.watched[resourceOf[role]]
			if !slices.Contains(resourcesOf(sd.Source), w.Name) {
				continue
			}
			for _, key := range w.collisionKeys() {
				for _, note := range collisionNote(j, sd, role, w, key) {
					if !slices.Contains(notes, note) {
						notes = append(notes, note)
					}
				}
			}
		}
	}
	if more := len(notes) - maxNamed; more > 0 {
		notes = append(notes[:maxNamed:maxNamed], fmt.Sprintf("%d more objects have labels that are one to its rules", more))
	}
	return notes
}

func collisionNote(j *targets.Job, sd targets.Discovery, role string, w *watched, key string) (notes []string) {
	obj, ok, err := w.GetByKey(key)
	if !ok || err != nil {
		return nil
	}
	m, err := meta.Accessor(obj)
	if err != nil || !w.ClusterScoped && len(sd.Namespaces) > 0 && !slices.Contains(sd.Namespaces, m.GetNamespace()) {
		return nil
	}
	own := m.GetLabels()
	counts := map[string]string{} // the name that is used, by its name in discovery
	for _, k := range slices.Sorted(maps.Keys(own)) {
		name := targets.DiscoveryName(k)
		first, twice := counts[name]
		if !twice {
			counts[name] = k
			continue
		}
		label := "__meta_kubernetes_" + role + "_label_" + name
		found := targets.ObjectLabels(role, m)
		if !j.Reads(label) || !matters(j, role, found, label, own[k]) {
			continue
		}
		notes = append(notes, fmt.Sprintf("%s %s has the labels %s=%q and %s=%q, which have one name to rules: the first counts, always",
			kindOfRole(role), key, first, own[first], k, own[k]))
	}
	return notes
}

// matters reports whether the job selects an object with the label that is used, or would select it with the other one. Other objects
// do not concern the job.
func matters(j *targets.Job, role string, found map[string]string, label, other string) bool {
	if role != j.Discoveries[0].Selects() || j.Refuses(found) == nil {
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
	return targets.KindOfRole(role)
}
