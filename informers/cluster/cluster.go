// Package cluster uses an API server as a source of objects: lists and watches, single Secrets and ConfigMaps, and Events for
// monitors. It knows since when the API server has not answered.
//
// Promises: New does not connect; Secrets and ConfigMaps are read by name, never listed; a monitor that does not decode affects no
// other one; nothing waits for an Event. Not promised: that each Event is written.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"promrelay/config"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// Cluster is an API server.
type Cluster struct {
	core     kubernetes.Interface
	monitors map[string]rest.Interface // clients for monitors, by group and version
	only     []string                  // namespaces; none means all
	home     string                    // the relay's own namespace
	host     string                    // URL of the API server
	events   *eventSender
}

// New prepares clients; it does not connect. A nil log means none.
func New(c *config.Kubernetes, userAgent string, log *zap.Logger) (*Cluster, error) {
	if log == nil {
		log = zap.NewNop()
	}
	rc, home, err := restConfig(c)
	if err != nil {
		return nil, err
	}
	rc.UserAgent = userAgent
	rc.QPS, rc.Burst = 50, 100
	crs := rest.CopyConfig(rc)
	rc.ContentType = "application/vnd.kubernetes.protobuf"
	rc.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	core, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	monitors, err := monitorClients(crs)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	return &Cluster{
		core: core, monitors: monitors, only: c.Namespaces, home: home, host: rc.Host,
		events: newEventSender(func(namespace string) eventWriter { return core.EventsV1().Events(namespace) }, log.Named("informers")),
	}, nil
}

// monitorClients makes the same clients as prometheus-operator's versioned ones, but with lenient decoders.
func monitorClients(rc *rest.Config) (map[string]rest.Interface, error) {
	out := map[string]rest.Interface{}
	for _, gv := range []schema.GroupVersion{monitoringv1.SchemeGroupVersion, monitoringv1alpha1.SchemeGroupVersion} {
		c := rest.CopyConfig(rc)
		c.GroupVersion, c.APIPath = &gv, "/apis"
		c.NegotiatedSerializer = objects.LenientSerializer{NegotiatedSerializer: rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()}
		client, err := rest.RESTClientFor(c)
		if err != nil {
			return nil, err
		}
		out[gv.String()] = client
	}
	return out, nil
}

const homeFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func restConfig(c *config.Kubernetes) (rc *rest.Config, home string, err error) {
	if c.Kubeconfig == "" {
		rc, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", errors.New("kubernetes: no kubeconfig is given, and this is not a pod of a cluster: set kubernetes.kubeconfig")
		}
		if err != nil {
			return nil, "", fmt.Errorf("kubernetes: %w", err)
		}
		b, err := os.ReadFile(homeFile)
		if err != nil {
			return nil, "", fmt.Errorf("kubernetes: %w", err)
		}
		return rc, strings.TrimSpace(string(b)), nil
	}
	cc := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: c.Context})
	if rc, err = cc.ClientConfig(); err != nil {
		return nil, "", fmt.Errorf("kubernetes.kubeconfig %s: %w", c.Kubeconfig, err)
	}
	home, _, err = cc.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("kubernetes.kubeconfig %s: %w", c.Kubeconfig, err)
	}
	return rc, home, nil
}

func (c *Cluster) client(r *objects.Resource) rest.Interface {
	switch r.GroupVersion() {
	case "discovery.k8s.io/v1":
		return c.core.DiscoveryV1().RESTClient()
	case "networking.k8s.io/v1":
		return c.core.NetworkingV1().RESTClient()
	case "apps/v1":
		return c.core.AppsV1().RESTClient()
	case "batch/v1":
		return c.core.BatchV1().RESTClient()
	case "v1":
		return c.core.CoreV1().RESTClient()
	}
	return c.monitors[r.GroupVersion()]
}

// ListWatch lists and watches the objects of a resource in a namespace that a field selector selects; "" means all namespaces.
func (c *Cluster) ListWatch(r *objects.Resource, namespace string, only fields.Selector) cache.ListerWatcher {
	return cache.NewListWatchFromClient(c.client(r), r.Name, namespace, only)
}

// Serves reports whether the API server has the resource. It does not wait for one that does not answer.
func (c *Cluster) Serves(_ context.Context, r *objects.Resource) (bool, error) {
	list, err := c.core.Discovery().ServerResourcesForGroupVersion(r.GroupVersion())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for the API %s: %w", r.GroupVersion(), err)
	}
	for _, served := range list.APIResources {
		if served.Name == r.Name {
			return true, nil
		}
	}
	return false, nil
}

// Read returns the values of a Secret or ConfigMap by key, nil if there is none. They may come from the API server's cache, which
// lags behind by a moment, unless fresh is set.
func (c *Cluster) Read(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error) {
	o := metav1.GetOptions{ResourceVersion: "0"}
	if fresh {
		o.ResourceVersion = ""
	}
	if ref.ConfigMap {
		m, err := c.core.CoreV1().ConfigMaps(ref.Namespace).Get(ctx, ref.Name, o)
		if err != nil {
			return nil, readError(err)
		}
		return objects.Data(m), nil
	}
	s, err := c.core.CoreV1().Secrets(ref.Namespace).Get(ctx, ref.Name, o)
	if err != nil {
		return nil, readError(err)
	}
	return nonNil(s.Data), nil
}

// readError turns "not found" into nil, and adds to "forbidden" what a person can do about it.
func readError(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the relay may not read it; apply the Role promrelay-secrets of deploy/ in that namespace: %w", err)
	}
	return err
}

func nonNil(m map[string][]byte) map[string][]byte {
	if m == nil {
		return map[string][]byte{}
	}
	return m
}

// Server returns the URL of the API server.
func (c *Cluster) Server() string { return c.host }

// Namespaces returns the namespaces that the relay is confined to (none means all) and its own.
func (c *Cluster) Namespaces() ([]string, string) { return c.only, c.home }

// Report queues an Event for a monitor. It does not wait.
func (c *Cluster) Report(monitor corev1.ObjectReference, e objects.Event) {
	c.events.add(monitor, e)
}

// Run writes Events until ctx ends.
func (c *Cluster) Run(ctx context.Context) error {
	c.events.run(ctx)
	return nil
}
