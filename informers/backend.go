package informers

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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"promrelay/config"
	"promrelay/targets"
)

// Backend is where objects come from: an API server or a directory.
type Backend interface {
	// listWatch lists and watches a resource in a namespace, all of them with "".
	listWatch(r *resource, namespace string) cache.ListerWatcher
	// serves tells whether the resource exists at all. It does not wait for a server that is away.
	serves(ctx context.Context, r *resource) (bool, error)
	// read returns the values of a Secret or ConfigMap, by key; nil if there is none. They may be those of a cache, which lags
	// behind by some moments, unless they are to be fresh.
	read(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error)
	// rejected leaves word on a monitor that it was rejected, where there is somebody to read it. It does not wait.
	rejected(monitor corev1.ObjectReference, reason string)
	// namespaces are those that can be read, none for all; home is the relay's own.
	namespaces() (all []string, home string)
	// run does what the backend does by itself, until ctx ends.
	run(ctx context.Context) error
}

// Cluster is the API server as a Backend.
type Cluster struct {
	core     kubernetes.Interface
	monitors map[string]rest.Interface // clients of the monitors' kinds, by group and version
	only     []string
	home     string
	host     string
	events   *eventSender
}

// NewCluster prepares clients; it does not connect. A nil log means none.
func NewCluster(c *config.Kubernetes, userAgent string, log *zap.Logger) (*Cluster, error) {
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

// monitorClients are as those of prometheus-operator's versioned clients, but for how they decode.
func monitorClients(rc *rest.Config) (map[string]rest.Interface, error) {
	out := map[string]rest.Interface{}
	for _, gv := range []schema.GroupVersion{monitoringv1.SchemeGroupVersion, monitoringv1alpha1.SchemeGroupVersion} {
		c := rest.CopyConfig(rc)
		c.GroupVersion, c.APIPath = &gv, "/apis"
		c.NegotiatedSerializer = oneByOneSerializer{rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()}
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
			return nil, "", errors.New("kubernetes: no kubeconfig is given, and this is no pod of a cluster: set kubernetes.kubeconfig")
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

func (c *Cluster) client(r *resource) rest.Interface {
	switch r.groupVersion() {
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
	return c.monitors[r.groupVersion()]
}

func (c *Cluster) listWatch(r *resource, namespace string) cache.ListerWatcher {
	return cache.NewListWatchFromClient(c.client(r), r.name, namespace, fields.Everything())
}

func (c *Cluster) serves(_ context.Context, r *resource) (bool, error) {
	list, err := c.core.Discovery().ServerResourcesForGroupVersion(r.groupVersion())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for the API %s: %w", r.groupVersion(), err)
	}
	for _, served := range list.APIResources {
		if served.Name == r.name {
			return true, nil
		}
	}
	return false, nil
}

func (c *Cluster) read(ctx context.Context, ref targets.Ref, fresh bool) (map[string][]byte, error) {
	o := metav1.GetOptions{ResourceVersion: "0"}
	if fresh {
		o.ResourceVersion = ""
	}
	if ref.ConfigMap {
		m, err := c.core.CoreV1().ConfigMaps(ref.Namespace).Get(ctx, ref.Name, o)
		if err != nil {
			return nil, readError(err)
		}
		return configMapData(m), nil
	}
	s, err := c.core.CoreV1().Secrets(ref.Namespace).Get(ctx, ref.Name, o)
	if err != nil {
		return nil, readError(err)
	}
	return nonNil(s.Data), nil
}

// forbidden tells whether an error is the API server's refusal.
func forbidden(err error) bool { return apierrors.IsForbidden(err) }

// readError makes nil of "not found", and of "forbidden" what a person can act upon.
func readError(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the relay may not read it; apply the Role promrelay-secrets of deploy/ in that namespace: %w", err)
	}
	return err
}

func configMapData(m *corev1.ConfigMap) map[string][]byte {
	out := make(map[string][]byte, len(m.Data)) // binaryData is not looked at, as the operator does not
	for k, v := range m.Data {
		out[k] = []byte(v)
	}
	return out
}

func nonNil(m map[string][]byte) map[string][]byte {
	if m == nil {
		return map[string][]byte{}
	}
	return m
}

// server is the URL of the API server.
func (c *Cluster) server() string { return c.host }

func (c *Cluster) namespaces() ([]string, string) { return c.only, c.home }

func (c *Cluster) rejected(monitor corev1.ObjectReference, reason string) {
	c.events.tell(monitor, reason)
}

func (c *Cluster) run(ctx context.Context) error {
	c.events.run(ctx)
	return nil
}

func metaOf(obj any) (metav1.Object, error) { return meta.Accessor(obj) }
