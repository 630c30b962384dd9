package targets_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	yamlv2 "go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"promrelay/targets"
)

// monitorOf makes the monitor shop/cart of a kind.
func monitorOf(t *testing.T, kind targets.Kind, spec string) runtime.Object {
	t.Helper()
	m := map[targets.Kind]runtime.Object{
		targets.ServiceMonitor: &monitoringv1.ServiceMonitor{}, targets.PodMonitor: &monitoringv1.PodMonitor{}, targets.Probe: &monitoringv1.Probe{},
	}[kind]
	if err := yaml.UnmarshalStrict([]byte("metadata: {namespace: shop, name: cart}\nspec: "+spec), m); err != nil {
		t.Fatalf("%v in %s", err, spec)
	}
	return m
}

func compileKind(t *testing.T, kind targets.Kind, spec string, fields monitoringv1.CommonPrometheusFields) targets.Result {
	t.Helper()
	if fields.ScrapeInterval == "" {
		fields.ScrapeInterval = "30s"
	}
	s, err := targets.NewSettings(fields, "prom")
	if err != nil {
		t.Fatal(err)
	}
	return s.Compile(monitorOf(t, kind, spec), someSecrets)
}

// ruleTexts are rules as a configuration file has them, one line each.
func ruleTexts(t *testing.T, rules []*relabel.Config) (out []string) {
	t.Helper()
	for _, r := range rules {
		text, err := yamlv2.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; "))
	}
	return out
}

// Rules that the operator generates, as asProm reads them.
const (
	ofService = `
- {source_labels: [__meta_kubernetes_endpointslice_address_target_kind, __meta_kubernetes_endpointslice_address_target_name], regex: Node;(.*), replacement: "${1}", target_label: node}
- {source_labels: [__meta_kubernetes_endpointslice_address_target_kind, __meta_kubernetes_endpointslice_address_target_name], regex: Pod;(.*), replacement: "${1}", target_label: pod}
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_service_name], target_label: service}
- {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- {source_labels: [__meta_kubernetes_pod_container_name], target_label: container}`
	running = `
- {action: drop, source_labels: [__meta_kubernetes_pod_phase], regex: (Failed|Succeeded)}`
	ofPod = `
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_pod_container_name], target_label: container}
- {source_labels: [__meta_kubernetes_pod_name], target_label: pod}`
	ofIngress = `
- {source_labels: [__meta_kubernetes_ingress_scheme, __address__, __meta_kubernetes_ingress_path], regex: (.+);(.+);(.+), replacement: "${1}://${2}${3}", target_label: __param_target}
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_ingress_name], target_label: ingress}
- {source_labels: [__address__], target_label: __tmp_ingress_address}
- {source_labels: [__param_target], target_label: instance}
- {target_label: __address__, replacement: "prober:9115"}`
)

// TestMonitorRules has the rules for targets of each kind, in Prometheus's words and the operator's order. The oracle has many more.
func TestMonitorRules(t *testing.T) {
	class := monitoringv1.CommonPrometheusFields{
		PodTargetLabels: []string{"zone"}, EnforcedNamespaceLabel: "tenant",
		ScrapeClasses: []monitoringv1.ScrapeClass{{Name: "c", Relabelings: []monitoringv1.RelabelConfig{{TargetLabel: "class"}}}},
	}
	for name, c := range map[string]struct {
		kind   targets.Kind
		spec   string
		fields monitoringv1.CommonPrometheusFields
		rules  string // after the one that saves the job's name
		demand string
		port   string
	}{
		"a ServiceMonitor of nothing": {kind: targets.ServiceMonitor, spec: `{selector: {}, endpoints: [{}]}`, rules: ofService + running + `
- {source_labels: [__meta_kubernetes_service_name], target_label: job, replacement: "${1}"}`},
		"a ServiceMonitor of all": {
			kind: targets.ServiceMonitor, fields: class, demand: "app", port: "__meta_kubernetes_endpointslice_port_name",
			spec: `{selector: {matchLabels: {app: web}, matchExpressions: [{key: a.b, operator: In, values: [x, z]}, {key: c, operator: NotIn, values: [z]}, {key: d, operator: Exists}, {key: e, operator: DoesNotExist}]},
  scrapeClass: c, jobLabel: app/name, targetLabels: [team], podTargetLabels: [p], endpoints: [{port: web, filterRunning: false, relabelings: [{targetLabel: own}]}]}`,
			rules: `
- {action: keep, source_labels: [__meta_kubernetes_service_label_app, __meta_kubernetes_service_labelpresent_app], regex: (web);true}
- {action: keep, source_labels: [__meta_kubernetes_service_label_a_b, __meta_kubernetes_service_labelpresent_a_b], regex: (x|z);true}
- {action: drop, source_labels: [__meta_kubernetes_service_label_c, __meta_kubernetes_service_labelpresent_c], regex: (z);true}
- {action: keep, source_labels: [__meta_kubernetes_service_labelpresent_d], regex: true}
- {action: drop, source_labels: [__meta_kubernetes_service_labelpresent_e], regex: true}
- {action: keep, source_labels: [__meta_kubernetes_endpointslice_port_name], regex: web}` + ofService + `
- {source_labels: [__meta_kubernetes_service_label_team], regex: (.+), target_label: team, replacement: "${1}"}
- {source_labels: [__meta_kubernetes_pod_label_p], regex: (.+), target_label: p, replacement: "${1}"}
- {source_labels: [__meta_kubernetes_pod_label_zone], regex: (.+), target_label: zone, replacement: "${1}"}
- {source_labels: [__meta_kubernetes_service_name], target_label: job, replacement: "${1}"}
- {source_labels: [__meta_kubernetes_service_label_app_name], regex: (.+), target_label: job, replacement: "${1}"}
- {target_label: endpoint, replacement: web}
- {target_label: class}
- {target_label: own}
- {target_label: tenant, replacement: shop}`,
		},
		"a ServiceMonitor of a number": {kind: targets.ServiceMonitor, port: "__meta_kubernetes_pod_container_port_number", spec: `{selector: {}, endpoints: [{targetPort: 8080}]}`, rules: `
- {action: keep, source_labels: [__meta_kubernetes_pod_container_port_number], regex: 8080}` + ofService + running + `
- {source_labels: [__meta_kubernetes_service_name], target_label: job, replacement: "${1}"}
- {target_label: endpoint, replacement: 8080}`},
		"a PodMonitor": {
			kind: targets.PodMonitor, demand: "app", port: "__meta_kubernetes_pod_container_port_name",
			spec: `{selector: {matchLabels: {app: web}}, jobLabel: app, podTargetLabels: [p], podMetricsEndpoints: [{port: web}]}`, rules: running + `
- {action: keep, source_labels: [__meta_kubernetes_pod_label_app, __meta_kubernetes_pod_labelpresent_app], regex: (web);true}
- {action: keep, source_labels: [__meta_kubernetes_pod_container_port_name], regex: web}` + ofPod + `
- {source_labels: [__meta_kubernetes_pod_label_p], regex: (.+), target_label: p, replacement: "${1}"}
- {target_label: job, replacement: shop/cart}
- {source_labels: [__meta_kubernetes_pod_label_app], regex: (.+), target_label: job, replacement: "${1}"}
- {target_label: endpoint, replacement: web}`,
		},
		"a PodMonitor of a number": {kind: targets.PodMonitor, port: "__meta_kubernetes_pod_container_port_number", spec: `{selector: {}, podMetricsEndpoints: [{targetPort: 80, filterRunning: false}]}`, rules: `
- {action: keep, source_labels: [__meta_kubernetes_pod_container_port_number], regex: 80}` + ofPod + `
- {target_label: job, replacement: shop/cart}
- {target_label: endpoint, replacement: 80}`},
		"a Probe of static targets": {kind: targets.Probe, spec: `{jobName: j, prober: {url: "prober:9115"}, targets: {staticConfig: {static: [a], relabelingConfigs: [{targetLabel: own}]}}}`, rules: `
- {target_label: job, replacement: j}
- {source_labels: [__address__], target_label: __param_target}
- {source_labels: [__param_target], target_label: instance}
- {target_label: __address__, replacement: "prober:9115"}
- {target_label: own}`},
		"a Probe of Ingresses": {kind: targets.Probe, demand: "app", spec: `{prober: {url: "prober:9115"}, targets: {ingress: {selector: {matchLabels: {app: web}}, relabelingConfigs: [{targetLabel: own}]}}}`, rules: `
- {action: keep, source_labels: [__meta_kubernetes_ingress_label_app, __meta_kubernetes_ingress_labelpresent_app], regex: (web);true}` + ofIngress + `
- {target_label: own}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := compileKind(t, c.kind, c.spec, c.fields)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			j := r.Jobs[0]
			want := asProm(t, "relabel_configs:\n- "+initRule+c.rules)
			if d := cmp.Diff(ruleTexts(t, want.RelabelConfigs), ruleTexts(t, j.Config.RelabelConfigs)); d != "" {
				t.Errorf("rules (-want +got):\n%s", d)
			}
			if (j.Port != nil) != (c.port != "") || j.Port != nil && (j.Port.Label != c.port || !j.Port.From.Port) {
				t.Errorf("port is %+v, want %s", j.Port, c.port)
			}
			if got := len(j.Demands); (got > 0) != (c.demand != "") || got > 0 && (j.Demands[0].Name != "app" || j.Demands[0].Value != "web") {
				t.Errorf("demands %+v", j.Demands)
			}
			if phase := j.Refuses(map[string]string{"__meta_kubernetes_pod_phase": "Failed"}); j.Ended != nil && phase != j.Ended {
				t.Errorf("a Pod that has ended is refused by %v", phase)
			}
		})
	}
}

// TestMonitorRejected has the reasons of monitors that cannot be translated, which name the field.
func TestMonitorRejected(t *testing.T) {
	const service, pod, probe = targets.ServiceMonitor, targets.PodMonitor, targets.Probe
	for spec, c := range map[string]struct {
		kind targets.Kind
		want string
	}{
		`{scrapeClass: none, selector: {}, endpoints: []}`:                                                                                          {service, `scrapeClass: "none" is not among the scrapeClasses`},
		`{selector: {matchExpressions: [{key: a, operator: In}]}, endpoints: []}`:                                                                   {service, `selector: `},
		`{selector: {}, endpoints: [{}, {interval: 1x}]}`:                                                                                           {service, `endpoints[1]: interval: `},
		`{selector: {}, endpoints: [{interval: 10s, scrapeTimeout: 20s}]}`:                                                                          {service, `endpoints[0]: scrapeTimeout "20s" greater than scrapeInterval "10s"`},
		`{selector: {}, endpoints: [{scrapeTimeout: y}]}`:                                                                                           {service, `endpoints[0]: scrapeTimeout: `},
		`{selector: {}, endpoints: [{port: "("}]}`:                                                                                                  {service, `endpoints[0]: port: `},
		`{selector: {}, endpoints: [{bearerTokenSecret: {name: s, key: none}}]}`:                                                                    {service, `endpoints[0]: bearerTokenSecret: Secret shop/s, key "none": there is none`},
		`{selector: {}, endpoints: [{tlsConfig: {ca: {configMap: {name: c, key: id}}}}]}`:                                                           {service, `endpoints[0]: tlsConfig: ca `},
		`{selector: {}, endpoints: [{oauth2: {clientId: {secret: {name: s, key: none}}, clientSecret: {name: s, key: t}, tokenUrl: "http://t/"}}]}`: {service, `endpoints[0]: oauth2: clientId: `},
		`{selector: {matchLabels: {a: "("}}, podMetricsEndpoints: [{}]}`:                                                                            {pod, `selector: `},
		`{selector: {}, sampleLimit: -1, podMetricsEndpoints: [{}]}`:                                                                                {pod, `podMetricsEndpoints[0]: sampleLimit: -1 is negative`},
		`{selector: {}, bodySizeLimit: big, podMetricsEndpoints: [{}]}`:                                                                             {pod, `podMetricsEndpoints[0]: bodySizeLimit: `},
		`{selector: {}, scrapeClass: none, podMetricsEndpoints: [{}]}`:                                                                              {pod, `scrapeClass: `},
		`{selector: {}, podMetricsEndpoints: [{metricRelabelings: [{action: odd}]}]}`:                                                               {pod, `podMetricsEndpoints[0]: metricRelabelings[0]: unknown relabel action "odd"`},
		`{selector: {}, podMetricsEndpoints: [{relabelings: [{modulus: 0, action: hashmod}]}]}`:                                                     {pod, `podMetricsEndpoints[0]: relabelings[0]: `},
		`{prober: {url: "http://p"}, targets: {staticConfig: {static: [a]}}}`:                                                                       {probe, `prober.url: "http://p": `},
		`{prober: {url: "p:99999"}, targets: {staticConfig: {static: [a]}}}`:                                                                        {probe, `prober.url: "p:99999": invalid port "99999"`},
		`{prober: {url: p}, targets: {}}`:                                                                                                           {probe, ``},
		`{prober: {url: p}, bearerTokenSecret: {name: "", key: ""}, targets: {staticConfig: {}}}`:                                                   {probe, `bearerTokenSecret: `},
		`{prober: {url: p}, targets: {staticConfig: {static: [a], labels: {"": x}}}}`:                                                               {probe, `targets.staticConfig.labels: invalid label ""`},
		`{prober: {url: p}, targets: {staticConfig: {}, ingress: {relabelingConfigs: [{action: keep, regex: "("}]}}}`:                               {probe, `targets.ingress.relabelingConfigs[0]: invalid regex "("`},
		`{prober: {url: p}, interval: 1x, targets: {staticConfig: {}}}`:                                                                             {probe, `interval: `},
	} {
		r := compileKind(t, c.kind, spec, monitoringv1.CommonPrometheusFields{})
		if r.Err == nil || !strings.Contains(r.Err.Error(), c.want) {
			t.Errorf("%s %s: reason is %v, want %s", c.kind, spec, r.Err, c.want)
		}
		if len(r.Jobs) > 0 {
			t.Errorf("%s %s: %d jobs", c.kind, spec, len(r.Jobs))
		}
	}
}

// TestOverriddenIngressRules: static targets override these rules. Errors that only Prometheus would report are ignored, because it
// never sees the rules.
func TestOverriddenIngressRules(t *testing.T) {
	for _, rule := range []string{`{action: odd}`, `{action: keep, sourceLabels: [a], modulus: -3}`, `{action: labeldrop, regex: "(.*)"}`, `{action: replace, sourceLabels: [a], targetLabel: x}`} {
		r := compileKind(t, targets.Probe, `{prober: {url: p}, targets: {staticConfig: {static: [a]}, ingress: {relabelingConfigs: [`+rule+`]}}}`, monitoringv1.CommonPrometheusFields{})
		if r.Err != nil || len(r.Jobs) != 1 || len(r.Jobs[0].Discoveries) > 0 {
			t.Errorf("%s: %v", rule, r.Err)
		}
	}
}

// TestNamespaces are where a monitor looks for its objects.
func TestNamespaces(t *testing.T) {
	ignored := monitoringv1.CommonPrometheusFields{IgnoreNamespaceSelectors: true}
	for name, c := range map[string]struct {
		selector string
		fields   monitoringv1.CommonPrometheusFields
		want     []string
	}{
		"its own":             {selector: `{}`, want: []string{"shop"}},
		"named ones":          {selector: `{matchNames: [a, b]}`, want: []string{"a", "b"}},
		"any":                 {selector: `{any: true, matchNames: [a]}`},
		"an empty name":       {selector: `{matchNames: [a, ""]}`},
		"any, but it may not": {selector: `{any: true}`, fields: ignored, want: []string{"shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := compileKind(t, targets.ServiceMonitor, `{selector: {}, namespaceSelector: `+c.selector+`, endpoints: [{}]}`, c.fields)
			if r.Err != nil || !slices.Equal(r.Jobs[0].Discoveries[0].Namespaces, c.want) {
				t.Errorf("namespaces are %v, want %v (%v)", r.Jobs[0].Discoveries[0].Namespaces, c.want, r.Err)
			}
		})
	}
}

// TestProbeParams are the module and the parameters. The field module overrides a parameter of that name.
func TestProbeParams(t *testing.T) {
	r := compileKind(t, targets.Probe, `{prober: {url: p}, module: http, params: [{name: module, values: [no]}, {name: debug, values: ["true"]}], targets: {staticConfig: {static: [a]}}}`, monitoringv1.CommonPrometheusFields{})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	var want promconfig.ScrapeConfig
	if err := yamlv2.Unmarshal([]byte("{job_name: j, params: {module: [http], debug: ['true']}}"), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Params, r.Jobs[0].Config.Params); d != "" {
		t.Errorf("parameters (-want +got):\n%s", d)
	}
}
