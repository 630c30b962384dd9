package main

import (
	"encoding/json"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Case is settings, and objects as an API server would return them, with apiVersion and kind.
type Case struct {
	Settings json.RawMessage   `json:"settings"` // PrometheusAgent.spec
	Home     string            `json:"home"`     // namespace of the PrometheusAgent
	Objects  []json.RawMessage `json:"objects"`
	// Name is the name of the PrometheusAgent. If it is given, the result is its configuration, and nothing else.
	Name string `json:"name,omitempty"`
}

// Result is what the operator and Prometheus make of a case.
type Result struct {
	// Error is why there is no configuration at all: the settings are invalid.
	Error string `json:"error,omitempty"`
	// Monitors has the selected monitors, by "Kind namespace/name", and why each is rejected; empty if it is not.
	Monitors map[string]string `json:"monitors"`
	Jobs     map[string]Job    `json:"jobs"`
	// ExternalLabels are those of the loaded configuration, without the two that name the Prometheus.
	ExternalLabels map[string]string `json:"externalLabels,omitempty"`
	// Configuration is what the operator writes for Prometheus, with values of Secrets in it.
	Configuration string `json:"configuration,omitempty"`
}

// Job is a scrape job.
type Job struct {
	// Settings is the scrape configuration as YAML, without rules for targets and service discovery.
	Settings string `json:"settings"`
	// Rules are the relabelling rules for targets, as YAML, without those that only sharding needs.
	Rules string `json:"rules"`
	// Discovery is the service discovery that does not ask this cluster, as YAML.
	Discovery string   `json:"discovery,omitempty"`
	Targets   []Target `json:"targets"`
	Dropped   int      `json:"dropped"`
}

// Target is what is scraped.
type Target struct {
	Labels   map[string]string `json:"labels"` // all of them, also those that begin with "__"
	URL      string            `json:"url"`
	Interval string            `json:"interval"`
	Timeout  string            `json:"timeout"`
}

// objects are the objects of a case by kind.
type objects map[string][]runtime.Object

var kinds = map[string]func() runtime.Object{
	"ServiceMonitor": func() runtime.Object { return &monitoringv1.ServiceMonitor{} },
	"PodMonitor":     func() runtime.Object { return &monitoringv1.PodMonitor{} },
	"Probe":          func() runtime.Object { return &monitoringv1.Probe{} },
	"ScrapeConfig":   func() runtime.Object { return &monitoringv1alpha1.ScrapeConfig{} },
	"Service":        func() runtime.Object { return &corev1.Service{} },
	"EndpointSlice":  func() runtime.Object { return &discoveryv1.EndpointSlice{} },
	"Endpoints":      func() runtime.Object { return &corev1.Endpoints{} }, //nolint:staticcheck // the role endpoints reads them
	"Pod":            func() runtime.Object { return &corev1.Pod{} },
	"Node":           func() runtime.Object { return &corev1.Node{} },
	"Ingress":        func() runtime.Object { return &networkingv1.Ingress{} },
	"Namespace":      func() runtime.Object { return &corev1.Namespace{} },
	"Secret":         func() runtime.Object { return &corev1.Secret{} },
	"ConfigMap":      func() runtime.Object { return &corev1.ConfigMap{} },
	"ReplicaSet":     func() runtime.Object { return &appsv1.ReplicaSet{} },
	"Job":            func() runtime.Object { return &batchv1.Job{} },
}

// decode reads the objects, with what the API server would add.
func decode(raws []json.RawMessage) (objects, error) {
	out := objects{}
	for _, raw := range raws {
		var tm metav1.TypeMeta
		if err := json.Unmarshal(raw, &tm); err != nil {
			return nil, fmt.Errorf("decode object: %w", err)
		}
		create := kinds[tm.Kind]
		if create == nil {
			return nil, fmt.Errorf("object of unknown kind %q", tm.Kind)
		}
		o := create()
		if err := json.Unmarshal(raw, o); err != nil {
			return nil, fmt.Errorf("decode %s: %w", tm.Kind, err)
		}
		switch o := o.(type) {
		case *monitoringv1.Probe:
			if o.Spec.ProberSpec.Path == "" {
				o.Spec.ProberSpec.Path = "/probe" // the default of the CRD
			}
		case *corev1.Secret:
			for k, v := range o.StringData {
				if o.Data == nil {
					o.Data = map[string][]byte{}
				}
				o.Data[k] = []byte(v)
			}
		}
		out[tm.Kind] = append(out[tm.Kind], o)
	}
	return out, nil
}
