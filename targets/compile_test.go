package targets_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/targets"
)

// TestReasonNamesTheField has a bad regular expression in every place where a monitor may have rules.
func TestReasonNamesTheField(t *testing.T) {
	own := metav1.ObjectMeta{Namespace: "shop", Name: "cart"}
	bad := []monitoringv1.RelabelConfig{{TargetLabel: "fine"}, {TargetLabel: "x", Regex: "("}}
	probe := func(to monitoringv1.ProbeTargets) *monitoringv1.Probe {
		return &monitoringv1.Probe{ObjectMeta: own, Spec: monitoringv1.ProbeSpec{ProberSpec: monitoringv1.ProberSpec{URL: "prober"}, Targets: to}}
	}
	for want, monitor := range map[string]runtime.Object{
		"endpoints[0]: relabelings[1]: ": &monitoringv1.ServiceMonitor{ObjectMeta: own, Spec: monitoringv1.ServiceMonitorSpec{
			Endpoints: []monitoringv1.Endpoint{{RelabelConfigs: bad}},
		}},
		"endpoints[0]: metricRelabelings[1]: ": &monitoringv1.ServiceMonitor{ObjectMeta: own, Spec: monitoringv1.ServiceMonitorSpec{
			Endpoints: []monitoringv1.Endpoint{{MetricRelabelConfigs: bad}},
		}},
		"podMetricsEndpoints[0]: relabelings[1]: ": &monitoringv1.PodMonitor{ObjectMeta: own, Spec: monitoringv1.PodMonitorSpec{
			PodMetricsEndpoints: []monitoringv1.PodMetricsEndpoint{{RelabelConfigs: bad}},
		}},
		"targets.staticConfig.relabelingConfigs[1]: ": probe(monitoringv1.ProbeTargets{
			StaticConfig: &monitoringv1.ProbeTargetStaticConfig{Targets: []string{"a"}, RelabelConfigs: bad},
		}),
		"targets.ingress.relabelingConfigs[1]: ": probe(monitoringv1.ProbeTargets{
			Ingress: &monitoringv1.ProbeTargetIngress{RelabelConfigs: bad},
		}),
	} {
		t.Run(want, func(t *testing.T) {
			s, err := targets.NewSettings(monitoringv1.CommonPrometheusFields{ScrapeInterval: "30s"}, "")
			if err != nil {
				t.Fatal(err)
			}
			r := s.Compile(monitor, nil)
			if r.Err == nil || !strings.HasPrefix(r.Err.Error(), want+`invalid regex "("`) {
				t.Errorf("reason is %v, want it to begin with %s", r.Err, want)
			}
			if len(r.Jobs) > 0 {
				t.Errorf("%d jobs of a monitor that is rejected", len(r.Jobs))
			}
		})
	}
}

// wrong is Assets that panic.
type wrong struct{}

func (wrong) Value(targets.Ref) ([]byte, error) { panic("out of order") }

// TestPanicRejects: the monitor that caused it is rejected, and its references are returned, because they may
// change.
func TestPanicRejects(t *testing.T) {
	r := compile(t, basic, monitoringv1.CommonPrometheusFields{}, wrong{})
	p := (*targets.PanicError)(nil)
	if !errors.As(r.Err, &p) || r.Err.Error() != "panic: out of order" || !strings.Contains(string(p.Stack), "wrong.Value") {
		t.Errorf("reason is %v", r.Err)
	}
	if want := (targets.Ref{Namespace: "shop", Name: "s"}); len(r.Jobs) > 0 || !slices.Equal(r.Refs, []targets.Ref{want}) || r.Owner.Name != "cart" {
		t.Errorf("owner %v, %d jobs, refers to %v", r.Owner, len(r.Jobs), r.Refs)
	}
}
