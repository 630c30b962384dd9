//go:build linux

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The CRDs are the operator's own, read from its module in Go's module cache. The module is not in go.mod, because
// nothing of it is imported; its sum is held here instead.
const (
	operatorModule = "github.com/prometheus-operator/prometheus-operator@v0.93.1"
	operatorSum    = "h1:4Juk8v93RdG1DSGD/mGp+SeQKPmnlLIj2iq3blLZgFY="
	monitorGroup   = "monitoring.coreos.com"
)

// MonitorCRDs names the four monitor kinds that the relay reads, as InstallCRDs wants them.
var MonitorCRDs = []string{"servicemonitors", "podmonitors", "probes", "scrapeconfigs"}

// CRDFile returns the manifest of a CRD of prometheus-operator by its plural name.
func CRDFile(name string) ([]byte, error) {
	dir, err := operatorDir()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "example", "prometheus-operator-crd", monitorGroup+"_"+name+".yaml"))
}

var crds = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// InstallCRDs installs CRDs of prometheus-operator by their plural names, and waits until the kinds are served. One
// that is installed already stays as it is.
func (c *Cluster) InstallCRDs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := c.installCRD(name); err != nil {
			t.Fatalf("install CRD %s: %v", name, err)
		}
	}
	c.AwaitCRDs(t, names...)
}

// AwaitCRDs waits until the kinds of CRDs are served.
func (c *Cluster) AwaitCRDs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		WaitFor(t, "CRD "+name, startLimit, func() error { return c.served(name) })
	}
}

// RemoveCRDs removes CRDs, and with each all of its objects, and waits until they are gone.
func (c *Cluster) RemoveCRDs(t testing.TB, names ...string) {
	t.Helper()
	ctx, cancel := callContext()
	defer cancel()
	for _, name := range names {
		err := c.dynamic.Resource(crds).Delete(ctx, name+"."+monitorGroup, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatalf("remove CRD %s: %v", name, err)
		}
	}
	for _, name := range names {
		WaitFor(t, "CRD "+name+" to go", startLimit, func() error { return c.gone(ctx, name) })
	}
}

func (c *Cluster) gone(ctx context.Context, name string) error {
	_, err := c.dynamic.Resource(crds).Get(ctx, name+"."+monitorGroup, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return errors.Join(errors.New("still there"), err)
	}
	if c.discovered(name) {
		return errors.New("still discovered")
	}
	return nil
}

// discovered tells whether discovery of the API server has the kind. It changes some time after the server begins or ceases to serve
// the kind.
func (c *Cluster) discovered(name string) bool {
	c.mapper.Reset()
	_, err := c.mapper.KindFor(schema.GroupVersionResource{Group: monitorGroup, Resource: name})
	return err == nil
}

func (c *Cluster) installCRD(name string) error {
	manifest, err := CRDFile(name)
	if err != nil {
		return err
	}
	objects, err := parse(manifest)
	if err != nil {
		return err
	}
	ctx, cancel := callContext()
	defer cancel()
	for _, o := range objects {
		_, err := c.dynamic.Resource(crds).Create(ctx, o, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// served lists the objects of a CRD in its stored version, and looks whether discovery knows it.
func (c *Cluster) served(name string) error {
	ctx, cancel := callContext()
	defer cancel()
	crd, err := c.dynamic.Resource(crds).Get(ctx, name+"."+monitorGroup, metav1.GetOptions{})
	if err != nil {
		return err
	}
	stored, _, err := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
	if err != nil || len(stored) == 0 {
		return fmt.Errorf("no stored version (%w)", err)
	}
	resource := schema.GroupVersionResource{Group: monitorGroup, Version: stored[0], Resource: name}
	if _, err = c.dynamic.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return err
	}
	if !c.discovered(name) {
		return errors.New("not discovered")
	}
	return nil
}

// operatorDir is the operator's module in the module cache, fetched when it is missing and checked against its sum.
var operatorDir = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", operatorModule)
	cmd.Dir = os.TempDir() // outside of any module, so that no go.sum is written
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, runErr := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if err := json.Unmarshal(output, &module); err != nil || module.Error != "" || runErr != nil {
		return "", fmt.Errorf("download %s: %w: %s%s", operatorModule, errors.Join(runErr, err), module.Error, stderr.String())
	}
	if module.Sum != operatorSum {
		return "", fmt.Errorf("download %s: sum is %s, want %s", operatorModule, module.Sum, operatorSum)
	}
	return module.Dir, nil
})
