package cluster

import (
	"context"
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// agents returns the client for a PrometheusAgent or a Prometheus, and the name of its resource.
func (c *Cluster) agents(kind string) (client rest.Interface, resource string) {
	if kind == monitoringv1.PrometheusesKind {
		return c.monitors[monitoringv1.SchemeGroupVersion.String()], monitoringv1.PrometheusName
	}
	return c.monitors[monitoringv1alpha1.SchemeGroupVersion.String()], monitoringv1alpha1.PrometheusAgentName
}

// Agent returns a PrometheusAgent or a Prometheus as JSON.
func (c *Cluster) Agent(ctx context.Context, kind, namespace, name string) ([]byte, error) {
	client, resource := c.agents(kind)
	text, err := client.Get().Namespace(namespace).Resource(resource).Name(name).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the cluster has no %s %s/%s: %w", kind, namespace, name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", strings.ToLower(kind), err)
	}
	return text, nil
}
