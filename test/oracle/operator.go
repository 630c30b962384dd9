package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus-operator/prometheus-operator/pkg/operator"
	promop "github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/prometheus/config"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

var silent = slog.New(slog.DiscardHandler)

// selection is what the operator accepts, by namespace/name.
type selection struct {
	services map[string]*monitoringv1.ServiceMonitor
	pods     map[string]*monitoringv1.PodMonitor
	probes   map[string]*monitoringv1.Probe
	configs  map[string]*monitoringv1alpha1.ScrapeConfig
}

// theOperator does what the controller of PrometheusAgents does in one reconciliation.
type theOperator struct {
	agent *monitoringv1alpha1.PrometheusAgent
	store *assets.StoreBuilder
	all   objects
	// external are the external labels of the last configuration that was loaded, without those that the operator adds.
	external map[string]string
}

// newOperator sets the defaults of the API server and of the relay's settings.
func newOperator(c *Case, all objects) (*theOperator, error) {
	o := &theOperator{agent: &monitoringv1alpha1.PrometheusAgent{
		TypeMeta:   metav1.TypeMeta{APIVersion: monitoringv1alpha1.SchemeGroupVersion.String(), Kind: monitoringv1alpha1.PrometheusAgentsKind},
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Home, Name: "relay"},
	}, all: all}
	if err := json.Unmarshal(c.Settings, &o.agent.Spec); err != nil {
		return nil, fmt.Errorf("oracle: settings: %w", err)
	}
	spec := &o.agent.Spec.CommonPrometheusFields
	if spec.ScrapeInterval == "" {
		spec.ScrapeInterval = "30s"
	}
	if spec.ServiceDiscoveryRole == nil {
		role := monitoringv1.EndpointSliceRole
		spec.ServiceDiscoveryRole = &role
	}
	client := fake.NewClientset(append(slices.Clone(all["Secret"]), all["ConfigMap"]...)...)
	o.store = assets.NewStoreBuilder(client.CoreV1(), client.CoreV1())
	return o, nil
}

// namespaces shows the Namespaces as an informer does.
type namespaces struct {
	cache.SharedIndexInformer // nil: nothing else is called
	store                     cache.Store
}

func (n namespaces) GetStore() cache.Store { return n.store }

// list returns the objects of a kind, as informers do.
func (o *theOperator) list(kind string) promop.ListAllByNamespaceFn {
	return func(namespace string, selector labels.Selector, add cache.AppendFunc) error {
		for _, obj := range o.all[kind] {
			m := obj.(metav1.Object)
			if m.GetNamespace() == namespace && selector.Matches(labels.Set(m.GetLabels())) {
				add(obj)
			}
		}
		return nil
	}
}

// selects returns the monitors that are accepted. Reasons has an entry for each that is selected.
func (o *theOperator) selects(ctx context.Context) (s selection, reasons map[string]string, err error) {
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	for _, ns := range o.all["Namespace"] {
		if err := store.Add(ns); err != nil {
			return s, nil, err
		}
	}
	rs, err := promop.NewResourceSelector(silent, o.agent, o.store, namespaces{store: store}, operator.NewMetrics(prometheus.NewRegistry()), operator.NewFakeRecorder(1000, o.agent))
	if err != nil {
		return s, nil, err
	}
	reasons = map[string]string{}
	services, err := rs.SelectServiceMonitors(ctx, o.list("ServiceMonitor"))
	if err != nil {
		return s, nil, err
	}
	pods, err := rs.SelectPodMonitors(ctx, o.list("PodMonitor"))
	if err != nil {
		return s, nil, err
	}
	probes, err := rs.SelectProbes(ctx, o.list("Probe"))
	if err != nil {
		return s, nil, err
	}
	configs, err := rs.SelectScrapeConfigs(ctx, o.list("ScrapeConfig"))
	if err != nil {
		return s, nil, err
	}
	note(reasons, "ServiceMonitor", services)
	note(reasons, "PodMonitor", pods)
	note(reasons, "Probe", probes)
	note(reasons, "ScrapeConfig", configs)
	if err := promop.AddScrapeClassesToStore(ctx, o.store, o.agent.Namespace, o.agent.Spec.ScrapeClasses); err != nil {
		return s, nil, err
	}
	s = selection{services.ValidResources(), pods.ValidResources(), probes.ValidResources(), configs.ValidResources()}
	return s, reasons, o.refuse(s, reasons)
}

func note[T operator.ConfigurationResource](reasons map[string]string, kind string, found operator.TypedResourcesSelection[T]) {
	for key, r := range found {
		reason := ""
		for _, c := range r.Conditions() {
			if c.Status != monitoringv1.ConditionTrue {
				reason = c.Message
			}
		}
		reasons[kind+" "+key] = reason
	}
}

// load generates a configuration and has Prometheus load it, and notes the external labels.
func (o *theOperator) load(s selection) ([]*promconfig.ScrapeConfig, error) {
	cg, err := promop.NewConfigGenerator(silent, o.agent, promop.WithEndpointSliceSupport(), promop.WithPrometheusTopologySharding(), promop.WithInlineTLSConfig())
	if err != nil {
		return nil, err
	}
	s = s.clone() // the generator changes what it is given
	text, err := cg.GenerateAgentConfiguration(s.services, s.pods, s.probes, s.configs, o.store, nil)
	if err != nil {
		return nil, err
	}
	c, err := promconfig.Load(strings.ReplaceAll(string(text), "$(SHARD)", "0"), silent)
	if err != nil {
		return nil, refusal{err}
	}
	scs, err := c.GetScrapeConfigs()
	if err != nil {
		return nil, refusal{err}
	}
	o.external = c.GlobalConfig.ExternalLabels.Map()
	delete(o.external, "prometheus")
	delete(o.external, "prometheus_replica")
	maps.DeleteFunc(o.external, func(_, v string) bool { return v == "" }) // as good as none
	return scs, nil
}

// refusal is an error of Prometheus about a configuration of the operator.
type refusal struct{ error }

func copies[T runtime.Object](m map[string]T) map[string]T {
	out := make(map[string]T, len(m))
	for k, v := range m {
		out[k] = v.DeepCopyObject().(T)
	}
	return out
}

func (s selection) clone() selection {
	return selection{copies(s.services), copies(s.pods), copies(s.probes), copies(s.configs)}
}

// each returns selections of one monitor, by "Kind namespace/name".
func (s selection) each() map[string]selection {
	out := map[string]selection{}
	for k, m := range s.services {
		out["ServiceMonitor "+k] = selection{services: map[string]*monitoringv1.ServiceMonitor{k: m}}
	}
	for k, m := range s.pods {
		out["PodMonitor "+k] = selection{pods: map[string]*monitoringv1.PodMonitor{k: m}}
	}
	for k, m := range s.probes {
		out["Probe "+k] = selection{probes: map[string]*monitoringv1.Probe{k: m}}
	}
	for k, m := range s.configs {
		out["ScrapeConfig "+k] = selection{configs: map[string]*monitoringv1alpha1.ScrapeConfig{k: m}}
	}
	return out
}

// run returns the result of a case.
func run(c *Case) *Result {
	r := &Result{Monitors: map[string]string{}, Jobs: map[string]Job{}}
	all, err := decode(c.Objects)
	if err != nil {
		r.Error = "oracle: " + err.Error()
		return r
	}
	o, err := newOperator(c, all)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if c.Name != "" {
		o.agent.Name = c.Name
		if r.Configuration, err = o.configuration(ctx); err != nil {
			r.Error = err.Error()
		}
		return r
	}
	s, reasons, err := o.selects(ctx)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Monitors = reasons
	configs, err := o.load(s)
	if err != nil {
		if configs, err = o.loadEach(s, reasons); err != nil {
			r.Error = err.Error()
			r.Monitors = map[string]string{}
			return r
		}
	}
	r.ExternalLabels = o.external
	cluster := newCluster(ctx, all, c.Home)
	for _, sc := range configs {
		j, err := cluster.job(sc)
		if err != nil {
			r.Error = "oracle: " + sc.JobName + ": " + err.Error()
			return r
		}
		r.Jobs[sc.JobName] = j
	}
	return r
}

// loadEach finds the monitors for which Prometheus refuses the configuration or the operator cannot write it, and loads the
// configuration with the others. It returns an error only if that error does not come from a monitor.
func (o *theOperator) loadEach(s selection, reasons map[string]string) ([]*promconfig.ScrapeConfig, error) {
	if _, err := o.load(selection{}); err != nil {
		return nil, err
	}
	each := s.each()
	var out []*promconfig.ScrapeConfig
	for _, name := range slices.Sorted(maps.Keys(each)) {
		scs, err := o.load(each[name])
		switch err.(type) { //nolint:errorlint // it is returned as it is
		case nil:
			out = append(out, scs...)
		case refusal:
			reasons[name] = "refused by Prometheus: " + err.Error()
		default:
			reasons[name] = "not to be written by the operator: " + err.Error()
		}
	}
	return out, nil
}
