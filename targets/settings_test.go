package targets

import (
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// fieldsOf reads the block monitors with the keys of a PrometheusAgent.
func fieldsOf(t *testing.T, text string) (f monitoringv1.CommonPrometheusFields) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &f); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if f.ScrapeInterval == "" {
		f.ScrapeInterval = "30s"
	}
	return f
}

// TestSettingsRejected has what is wrong with the block monitors.
func TestSettingsRejected(t *testing.T) {
	for text, want := range map[string]string{
		`scrapeInterval: often`:                                                                     `monitors: `,
		`serviceDiscoveryRole: Pods`:                                                                `serviceDiscoveryRole: "Pods": want Endpoints or EndpointSlice`,
		`{scrapeClasses: [{name: a}, {name: a}]}`:                                                   `scrapeClasses: a: is defined twice`,
		`scrapeClasses: [{name: a, relabelings: [{action: odd}]}]`:                                  `scrapeClasses: a: relabelings: [0]: unknown relabel action "odd"`,
		`scrapeClasses: [{name: a, metricRelabelings: [{regex: "("}]}]`:                             `scrapeClasses: a: metricRelabelings: [0]: invalid regex "("`,
		`scrapeClasses: [{name: a, tlsConfig: {cert: {secret: {name: s, key: k}}, certFile: /c}}]`:  `scrapeClasses: a: tlsConfig: `,
		`scrapeClasses: [{name: a, authorization: {type: Basic}}]`:                                  `scrapeClasses: a: authorization: `,
		`excludedFromEnforcement: [{resource: pods, namespace: n}]`:                                 `excludedFromEnforcement[0]: resource "pods" is none of servicemonitors, `,
		`podMonitorSelector: {matchExpressions: [{key: a, operator: Near}]}`:                        `selector of PodMonitor: `,
		`{probeSelector: {}, probeNamespaceSelector: {matchExpressions: [{key: a, operator: In}]}}`: `namespace selector of Probe: `,
	} {
		_, err := NewSettings(fieldsOf(t, text), "prom")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
}

// TestUnwanted says which monitors are not selected, and by which field.
func TestUnwanted(t *testing.T) {
	for name, c := range map[string]struct {
		fields     string
		namespace  string
		labels     map[string]string
		namespaces map[string]string // the labels of the namespace, nil where they are not known
		want       string
		needs      bool
	}{
		"all":                       {`{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {}}`, "shop", nil, nil, "", false},
		"no selector":               {`{serviceMonitorNamespaceSelector: {}}`, "shop", nil, nil, `its labels do not match monitors.serviceMonitorSelector "", which selects nothing`, false},
		"the own namespace":         {`{serviceMonitorSelector: {}}`, "prom", nil, nil, "", false},
		"another namespace":         {`{serviceMonitorSelector: {}}`, "shop", nil, nil, `it is not in namespace "prom", and no monitors.serviceMonitorNamespaceSelector is given`, false},
		"labels":                    {`{serviceMonitorSelector: {matchLabels: {team: a}}, serviceMonitorNamespaceSelector: {}}`, "shop", map[string]string{"team": "a"}, nil, "", false},
		"other labels":              {`{serviceMonitorSelector: {matchLabels: {team: a}}, serviceMonitorNamespaceSelector: {}}`, "shop", map[string]string{"team": "b"}, nil, `its labels do not match monitors.serviceMonitorSelector "team=a": it has team=b`, false},
		"a namespace":               {`{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {matchLabels: {env: "1"}}}`, "shop", nil, map[string]string{"env": "1"}, "", true},
		"another one":               {`{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {matchLabels: {env: "1"}}}`, "shop", nil, map[string]string{}, `the labels of namespace shop do not match monitors.serviceMonitorNamespaceSelector "env=1": it has no label env`, true},
		"a namespace nobody knows":  {`{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {matchLabels: {env: "1"}}}`, "shop", nil, nil, `the labels of namespace shop are not known, which monitors.serviceMonitorNamespaceSelector needs`, true},
		"the labels first, if both": {`{serviceMonitorNamespaceSelector: {matchLabels: {env: "1"}}}`, "shop", nil, nil, `its labels do not match monitors.serviceMonitorSelector "", which selects nothing`, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSettings(fieldsOf(t, c.fields), "prom")
			if err != nil {
				t.Fatal(err)
			}
			if got, mend := s.Unwanted(Owner{ServiceMonitor, c.namespace, "x"}, c.labels, c.namespaces); got != c.want || (mend == "") != (got == "") {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if s.NeedsNamespaces() != c.needs {
				t.Errorf("needs the labels of namespaces: %t", s.NeedsNamespaces())
			}
		})
	}
}

// TestGlobalLimits are the lower of a limit and the enforced one, where the limit is given.
func TestGlobalLimits(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		want   uint
		body   string
	}{
		"none":             {`{}`, 0, "0B"},
		"a limit":          {`{sampleLimit: 5, bodySizeLimit: 1KB}`, 5, "1KiB"},
		"an enforced one":  {`{enforcedSampleLimit: 7, enforcedBodySizeLimit: 2KB}`, 7, "2KiB"},
		"the lower of two": {`{sampleLimit: 5, enforcedSampleLimit: 7, bodySizeLimit: 1KB, enforcedBodySizeLimit: 2KB}`, 5, "1KiB"},
		"the enforced":     {`{sampleLimit: 9, enforcedSampleLimit: 7}`, 7, "0B"},
		"a limit below 0":  {`{sampleLimit: -1, enforcedSampleLimit: 7}`, 7, "0B"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSettings(fieldsOf(t, c.fields), "prom")
			if err != nil {
				t.Fatal(err)
			}
			if s.global.SampleLimit != c.want || s.global.BodySizeLimit.String() != c.body {
				t.Errorf("limits are %d and %s, want %d and %s", s.global.SampleLimit, s.global.BodySizeLimit, c.want, c.body)
			}
		})
	}
}

// TestGlobalConfig: the fields get Prometheus's names.
func TestGlobalConfig(t *testing.T) {
	s, err := NewSettings(fieldsOf(t, `{scrapeInterval: 20s, scrapeTimeout: 5s, scrapeProtocols: [PrometheusProto], nameValidationScheme: Legacy, nameEscapingScheme: Dots,
  scrapeClassicHistograms: true, scrapeNativeHistograms: true, convertClassicHistogramsToNHCB: true, ignoreNamespaceSelectors: true}`), "prom")
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	s.SetExtraScrapeMetrics(&yes)
	g := s.global
	if g.ScrapeInterval != model.Duration(20e9) || g.ScrapeTimeout != model.Duration(5e9) || len(g.ScrapeProtocols) != 1 || !*g.ExtraScrapeMetrics ||
		g.MetricNameValidationScheme != model.LegacyValidation || g.MetricNameEscapingScheme != model.EscapeDots ||
		!g.AlwaysScrapeClassicHistograms || !*g.ScrapeNativeHistograms || !g.ConvertClassicHistogramsToNHCB || !s.IgnoresNamespaceSelectors() {
		t.Errorf("the section global is %+v", g)
	}
}

// TestEnforcedNamespaceLabel does not apply to excluded monitors.
func TestEnforcedNamespaceLabel(t *testing.T) {
	cart := Owner{ServiceMonitor, "shop", "cart"}
	for excluded, want := range map[string]bool{
		`[]`: true,
		`[{resource: servicemonitors, namespace: shop}]`:                                           false,
		`[{resource: servicemonitors, namespace: shop, name: cart, group: monitoring.coreos.com}]`: false,
		`[{resource: servicemonitors, namespace: shop, name: other}]`:                              true,
		`[{resource: servicemonitors, namespace: other}]`:                                          true,
		`[{resource: podmonitors, namespace: shop}]`:                                               true,
		`[{resource: servicemonitors, namespace: shop, group: example.com}]`:                       true,
		`[{resource: prometheusrules, namespace: shop}]`:                                           true,
		`[{resource: probes, namespace: shop}, {resource: servicemonitors, namespace: shop}]`:      false,
	} {
		s, err := NewSettings(fieldsOf(t, `{enforcedNamespaceLabel: tenant, excludedFromEnforcement: `+excluded+`}`), "prom")
		if err != nil {
			t.Fatal(err)
		}
		rule := s.enforcedNamespaceLabel(cart)
		if (len(rule) == 1) != want || want && (rule[0].TargetLabel != "tenant" || *rule[0].Replacement != "shop") {
			t.Errorf("%s: rule is %+v", excluded, rule)
		}
	}
}

// TestDefaultClass is that of monitors which name none.
func TestDefaultClass(t *testing.T) {
	s, err := NewSettings(fieldsOf(t, `{scrapeClasses: [{name: a}, {name: b, default: true}]}`), "prom")
	if err != nil {
		t.Fatal(err)
	}
	a, none, empty := "a", "none", ""
	for want, name := range map[string]*string{"a": &a, "b": &empty} {
		if c, err := s.class(name); err != nil || c.Name != want {
			t.Errorf("class of %q is %q (%v)", *name, c.Name, err)
		}
	}
	if c, err := s.class(nil); err != nil || c.Name != "b" {
		t.Errorf("the default class is %q (%v)", c.Name, err)
	}
	if _, err := s.class(&none); err == nil {
		t.Error("a class that is not there is taken")
	}
}

// TestOwners are named as people and configuration files name them.
func TestOwners(t *testing.T) {
	for _, c := range []struct {
		owner           Owner
		name, key, want string
	}{
		{Owner{ServiceMonitor, "shop", "cart"}, "ServiceMonitor shop/cart", "scrape_interval", "scrapeInterval"},
		{Owner{PodMonitor, "shop", "cart"}, "PodMonitor shop/cart", "tls_config.ca_file", "tlsConfig.ca"},
		{Owner{Kind: ScrapeConfigBlock, Name: "node"}, "scrape_config node", "tls_config.ca_file", "tls_config.ca_file"},
		{Owner{Kind: NodesBlock}, "nodes", "scrape_interval", "scrape_interval"},
	} {
		if got := c.owner.String(); got != c.name {
			t.Errorf("the owner is %s, want %s", got, c.name)
		}
		if got := c.owner.Key(c.key); got != c.want {
			t.Errorf("%s: %s is called %s, want %s", c.owner, c.key, got, c.want)
		}
	}
}

// TestRefs are named with their key, or without it as an object.
func TestRefs(t *testing.T) {
	ref := Ref{Namespace: "shop", Name: "cart", Key: "token"}
	if got := ref.String(); got != `Secret shop/cart, key "token"` {
		t.Error(got)
	}
	ref.ConfigMap = true
	if got := ref.Object().String(); got != "ConfigMap shop/cart" {
		t.Error(got)
	}
}

// TestSelectorOfNobody: a selector that cannot be read has no text.
func TestSelectorOfNobody(t *testing.T) {
	if got := selectorText(metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}); got != "" {
		t.Errorf("its text is %q", got)
	}
}
