package targets

import (
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"sigs.k8s.io/yaml"

	"promrelay/config"
)

// TestReasons names the field that a rule comes from, whichever kind the job is of, and what the rule looked at.
func TestReasons(t *testing.T) {
	const keep = "{action: keep, sourceLabels: [a], regex: x}"
	class := monitoringv1.ScrapeClass{Name: "c"}
	if err := yaml.UnmarshalStrict([]byte("[{targetLabel: b}, "+keep+"]"), &class.Relabelings); err != nil {
		t.Fatal(err)
	}
	settings, err := NewSettings(monitoringv1.CommonPrometheusFields{ScrapeInterval: "30s", ScrapeClasses: []monitoringv1.ScrapeClass{class}}, "")
	if err != nil {
		t.Fatal(err)
	}
	monitor := func(into any, text string) *Job {
		if err := yaml.UnmarshalStrict([]byte("metadata: {namespace: n, name: m}\nspec: "+text), into); err != nil {
			t.Fatal(err)
		}
		r := settings.Compile(into, nil)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, j := range r.Jobs {
			if len(j.Origins) != len(j.Config.RelabelConfigs) {
				t.Errorf("%s has %d rules and %d origins", j.Name, len(j.Config.RelabelConfigs), len(j.Origins))
			}
		}
		return r.Jobs[len(r.Jobs)-1]
	}
	service := func(text string) *Job { return monitor(&monitoringv1.ServiceMonitor{}, text) }
	pod := func(text string) *Job { return monitor(&monitoringv1.PodMonitor{}, text) }
	prom, err := promconfig.Load("scrape_configs: [{job_name: b, relabel_configs: [{source_labels: [a], regex: x, action: keep}]}]", promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	block, err := BlockJob(prom.ScrapeConfigs[0], "")
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := NodeJobs(&config.Nodes{KubeProxy: config.NodeJob{Enabled: true, Port: 10249, ScrapeInterval: 30e9, ScrapeTimeout: 10e9, RelabelConfigs: prom.ScrapeConfigs[0].RelabelConfigs}}, prom.GlobalConfig)
	if err != nil {
		t.Fatal(err)
	}
	const rest = `: keep where a matches "x"; source value is "y"`
	for name, c := range map[string]struct {
		job    *Job
		labels string // of discovery
		want   string
	}{
		"relabeling":            {service("{selector: {matchLabels: {app: a}}, jobLabel: j, endpoints: [{}, {port: p, relabelings: [{targetLabel: b}, " + keep + "]}]}"), "__meta_kubernetes_endpointslice_port_name: p", "endpoints[1].relabelings[1]" + rest},
		"relabeling of a Pod":   {pod("{selector: {}, podMetricsEndpoints: [{relabelings: [" + keep + "]}]}"), "", "podMetricsEndpoints[0].relabelings[0]" + rest},
		"of static targets":     {monitor(&monitoringv1.Probe{}, "{prober: {url: p}, targets: {staticConfig: {static: [a], relabelingConfigs: ["+keep+"]}}}"), "", "targets.staticConfig.relabelingConfigs[0]" + rest},
		"of Ingresses":          {monitor(&monitoringv1.Probe{}, "{prober: {url: p}, targets: {ingress: {relabelingConfigs: ["+keep+"]}}}"), "", "targets.ingress.relabelingConfigs[0]" + rest},
		"of a ScrapeConfig":     {monitor(&monitoringv1alpha1.ScrapeConfig{}, "{jobName: j, relabelings: ["+keep+"]}"), "", "relabelings[0]" + rest},
		"of a scrape class":     {service("{selector: {}, scrapeClass: c, endpoints: [{}]}"), "", "relabelings[1] of the scrape class c" + rest},
		"of a block":            {block, "", "relabel_configs[0]" + rest},
		"of a node job":         {nodes[0], "", "nodes.kube_proxy.relabel_configs[0]" + rest},
		"what rules made":       {service("{selector: {}, endpoints: [{relabelings: [{targetLabel: a, replacement: z}, " + keep + "]}]}"), "", strings.Replace("endpoints[0].relabelings[1]"+rest, `"y"`, `"z"`, 1)},
		"a secret":              {service("{selector: {}, endpoints: [{relabelings: [{action: keep, sourceLabels: [__param_token], regex: x}]}]}"), "__param_token: hush", `endpoints[0].relabelings[0]: keep where __param_token matches "x"; source value is "<secret>"`},
		"what is to be equal":   {service("{selector: {}, endpoints: [{relabelings: [{action: KeepEqual, sourceLabels: [a], targetLabel: job}]}]}"), "__meta_kubernetes_service_name: s", `endpoints[0].relabelings[0]: keepequal where a and job are equal; they are "y" and "s"`},
		"what is to be unequal": {service("{selector: {}, endpoints: [{relabelings: [{action: DropEqual, sourceLabels: [a], targetLabel: job}]}]}"), `__meta_kubernetes_service_name: "y"`, `endpoints[0].relabelings[0]: dropequal where a and job are equal; source value is "y"`},
		"filterRunning":         {service("{selector: {}, endpoints: [{}]}"), "__meta_kubernetes_pod_phase: Failed", `endpoints[0].filterRunning is true: drop where __meta_kubernetes_pod_phase matches "(Failed|Succeeded)"; source value is "Failed"`},
		"port":                  {service("{selector: {}, endpoints: [{port: p}]}"), "__meta_kubernetes_endpointslice_port_name: q", `endpoints[0].port is "p", and this port is called "q"`},
		"port without a name":   {service("{selector: {}, serviceDiscoveryRole: Endpoints, endpoints: [{port: p}]}"), "", `endpoints[0].port is "p", and this port has no name`},
		"targetPort":            {service("{selector: {}, endpoints: [{targetPort: p}]}"), "__meta_kubernetes_pod_container_port_name: q", `endpoints[0].targetPort is "p", and this container port is called "q"`},
		"targetPort, no name":   {service("{selector: {}, endpoints: [{targetPort: p}]}"), "", `endpoints[0].targetPort is "p", and no container gives this port a name`},
		"targetPort, a number":  {service("{selector: {}, endpoints: [{targetPort: 1}]}"), `__meta_kubernetes_pod_container_port_number: "2"`, `endpoints[0].targetPort is "1", and this container port is 2`},
		"targetPort, no number": {service("{selector: {}, endpoints: [{targetPort: 1}]}"), "", `endpoints[0].targetPort is "1", and no container declares this port`},
		"port of a Pod":         {pod("{selector: {}, podMetricsEndpoints: [{port: p}]}"), "__meta_kubernetes_pod_container_port_name: q", `podMetricsEndpoints[0].port is "p", and this container port is called "q"`},
		"portNumber of a Pod":   {pod("{selector: {}, podMetricsEndpoints: [{portNumber: 1}]}"), `__meta_kubernetes_pod_container_port_number: "2"`, `podMetricsEndpoints[0].portNumber is "1", and this container port is 2`},
		"targetPort of a Pod":   {pod("{selector: {}, podMetricsEndpoints: [{targetPort: 1}]}"), "", `podMetricsEndpoints[0].targetPort is "1", and no container declares this port`},
	} {
		found := model.LabelSet{"__address__": "10.0.0.1:80", "a": "y"}
		more := map[string]string{}
		if err := yaml.UnmarshalStrict([]byte("{"+c.labels+"}"), &more); err != nil {
			t.Fatal(name, err)
		}
		for n, v := range more {
			found[model.LabelName(n)] = model.LabelValue(v)
		}
		gs := NewSet().populate(c.job, &targetgroup.Group{Source: "g", Targets: []model.LabelSet{found}, Labels: model.LabelSet{"__meta_kubernetes_service_label_app": "a", "__meta_kubernetes_service_labelpresent_app": "true"}})
		if gs == nil || len(gs.dropped) != 1 {
			t.Errorf("%s: nothing was dropped: %+v", name, gs)
			continue
		}
		if got := gs.dropped[0].Reason(c.job); got != c.want {
			t.Errorf("%s: got %s\nwant %s", name, got, c.want)
		}
		if got, want := gs.dropped[0].ByPort(c.job), strings.Contains(strings.ToLower(name), "port"); got != want {
			t.Errorf("%s: by port is %t", name, got)
		}
	}
}

// TestOriginsOfMetricRules are the class's, the monitor's and what is enforced.
func TestOriginsOfMetricRules(t *testing.T) {
	rule := []monitoringv1.RelabelConfig{{TargetLabel: "a"}, {TargetLabel: "b"}}
	class := "c"
	settings, err := NewSettings(monitoringv1.CommonPrometheusFields{
		ScrapeInterval: "30s", EnforcedNamespaceLabel: "ns", ScrapeClasses: []monitoringv1.ScrapeClass{{Name: class, MetricRelabelings: rule}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	service, pod, probe, scrape := &monitoringv1.ServiceMonitor{}, &monitoringv1.PodMonitor{}, &monitoringv1.Probe{}, &monitoringv1alpha1.ScrapeConfig{}
	service.Spec = monitoringv1.ServiceMonitorSpec{ScrapeClassName: &class, Endpoints: []monitoringv1.Endpoint{{MetricRelabelConfigs: rule}}}
	pod.Spec = monitoringv1.PodMonitorSpec{ScrapeClassName: &class, PodMetricsEndpoints: []monitoringv1.PodMetricsEndpoint{{MetricRelabelConfigs: rule}}}
	probe.Spec = monitoringv1.ProbeSpec{
		ScrapeClassName: &class, MetricRelabelConfigs: rule, ProberSpec: monitoringv1.ProberSpec{URL: "p"},
		Targets: monitoringv1.ProbeTargets{StaticConfig: &monitoringv1.ProbeTargetStaticConfig{}},
	}
	scrape.Spec = monitoringv1alpha1.ScrapeConfigSpec{ScrapeClassName: &class, MetricRelabelConfigs: rule}
	for m, at := range map[any]string{service: "endpoints[0].", pod: "podMetricsEndpoints[0].", probe: "", scrape: ""} {
		r := settings.Compile(m, nil)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		j := r.Jobs[0]
		want := []string{
			"metricRelabelings[0] of the scrape class c", "metricRelabelings[1] of the scrape class c",
			at + "metricRelabelings[0]", at + "metricRelabelings[1]", "enforcedNamespaceLabel",
		}
		if len(j.Config.MetricRelabelConfigs) != len(want) || len(j.MetricOrigins) != len(want) {
			t.Fatalf("%T: %d rules and %d origins", m, len(j.Config.MetricRelabelConfigs), len(j.MetricOrigins))
		}
		for i := range want {
			if got := j.MetricOrigin(i).Field; got != want[i] {
				t.Errorf("%T: rule %d is %s, want %s", m, i, got, want[i])
			}
		}
	}
}

// TestSameRulesOfAnotherField make another job: its reasons are others.
func TestSameRulesOfAnotherField(t *testing.T) {
	s := NewSet()
	for i, want := range []bool{true, false, true} {
		cfg := promconfig.DefaultScrapeConfig
		j := &Job{Name: "j", Config: &cfg, Origins: []Origin{{Field: []string{"a", "a", "b"}[i]}}}
		s.Replace(Owner{}, []*Job{j})
		if got := s.jobs["j"].job == j; got != want {
			t.Errorf("version %d is taken: %t", i, got)
		}
	}
}
