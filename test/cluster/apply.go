//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
)

// fieldManager owns what Apply sets.
const fieldManager = "promrelay-test"

func newMapper(client kubernetes.Interface) *restmapper.DeferredDiscoveryRESTMapper {
	return restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
}

// Apply applies manifests on the server's side, in their order: it creates or changes objects.
// Each string may hold several YAML documents. A namespaced object without a namespace goes to "default"; a missing
// Namespace is an error, as with kubectl.
func (c *Cluster) Apply(t testing.TB, manifests ...string) {
	t.Helper()
	c.each(t, manifests, func(ctx context.Context, r dynamic.ResourceInterface, o *unstructured.Unstructured) error {
		_, err := r.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		return err
	})
}

// ApplyFiles applies the manifests of files.
func (c *Cluster) ApplyFiles(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		manifest, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("read manifest: %v", err)
		}
		c.Apply(t, string(manifest))
	}
}

// Delete deletes the objects that manifests name. Objects that do not exist are skipped.
func (c *Cluster) Delete(t testing.TB, manifests ...string) {
	t.Helper()
	c.each(t, manifests, func(ctx context.Context, r dynamic.ResourceInterface, o *unstructured.Unstructured) error {
		err := r.Delete(ctx, o.GetName(), metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

type verb func(context.Context, dynamic.ResourceInterface, *unstructured.Unstructured) error

func (c *Cluster) each(t testing.TB, manifests []string, do verb) {
	t.Helper()
	for _, manifest := range manifests {
		objects, err := parse([]byte(manifest))
		if err != nil {
			t.Fatalf("parse manifest: %v\n%s", err, manifest)
		}
		for _, o := range objects {
			if err := c.one(o, do); err != nil {
				t.Fatalf("%s %s/%s: %v", o.GetKind(), o.GetNamespace(), o.GetName(), err)
			}
		}
	}
}

func (c *Cluster) one(o *unstructured.Unstructured, do verb) error {
	ctx, cancel := callContext()
	defer cancel()
	resource, err := c.resource(o)
	if err != nil {
		return err
	}
	return do(ctx, resource, o)
}

// resource returns the client for the kind of an object. If the kind is not known it asks the server again, since the CRD may be new.
func (c *Cluster) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset()
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("find resource of %s: %w", kind, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.dynamic.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}

// parse reads YAML or JSON documents. Of a List it returns the items.
func parse(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		switch {
		case len(o.Object) == 0: // an empty document
		case o.IsList():
			err := o.EachListItem(func(item runtime.Object) error {
				objects = append(objects, item.(*unstructured.Unstructured))
				return nil
			})
			if err != nil {
				return nil, err
			}
		default:
			objects = append(objects, o)
		}
	}
}

// Validate has the API server look at a manifest as if its objects were new, and refuse unknown fields. Nothing is stored.
func (c *Cluster) Validate(manifest string) error {
	objects, err := parse([]byte(manifest))
	if err != nil {
		return fmt.Errorf("parse manifest: %w", err)
	}
	var errs []error
	strict := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	for _, o := range objects {
		err := c.one(o, func(ctx context.Context, r dynamic.ResourceInterface, o *unstructured.Unstructured) error {
			_, err := r.Create(ctx, o, strict)
			if apierrors.IsAlreadyExists(err) { // that is found out last
				return nil
			}
			return err
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err))
		}
	}
	return errors.Join(errs...)
}
