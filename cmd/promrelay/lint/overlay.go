package lint

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// overlay has the monitors of files, and the other objects of a cluster. It writes nothing to the cluster.
type overlay struct {
	informers.Backend // the cluster
	tree              *manifests.Tree
}

// ListWatch implements informers.Backend.
func (o overlay) ListWatch(r *objects.Resource, namespace string, only fields.Selector) cache.ListerWatcher {
	if r.Kind != "" {
		return o.tree.ListWatch(r, namespace, only)
	}
	return o.Backend.ListWatch(r, namespace, only)
}

// Serves implements informers.Backend.
func (o overlay) Serves(ctx context.Context, r *objects.Resource) (bool, error) {
	if r.Kind != "" {
		return true, nil
	}
	return o.Backend.Serves(ctx, r)
}

// Read returns the values of a Secret or ConfigMap: those of the files count.
func (o overlay) Read(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error) {
	if values, err := o.tree.Read(ctx, ref, fresh); err != nil || values != nil {
		return values, err
	}
	return o.Backend.Read(ctx, ref, fresh)
}

// Report does nothing: no Event is written for a monitor that the cluster may not have.
func (o overlay) Report(corev1.ObjectReference, objects.Event) {}
