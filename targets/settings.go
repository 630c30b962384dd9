package targets

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Settings are the settings of the monitors block, which apply to all monitors.
type Settings struct {
	spec    monitoringv1.CommonPrometheusFields
	global  promconfig.GlobalConfig
	classes map[string]monitoringv1.ScrapeClass
	def     monitoringv1.ScrapeClass // the default class, zero if there is none
	own     string                   // the relay's namespace, which a missing namespace selector means
	kinds   map[Kind]selection
	// roleGiven says that the configuration sets the role of ServiceMonitors.
	roleGiven bool
	halves    map[Kind]Half
	getenv    func(string) string // nil: the environment is empty
}

// selection says which monitors of a kind are selected.
type selection struct {
	objects    k8slabels.Selector
	namespaces k8slabels.Selector // nil: the own namespace
}

// NewSettings validates the fields of PrometheusAgent.spec. Own is the relay's namespace.
func NewSettings(spec monitoringv1.CommonPrometheusFields, own string) (*Settings, error) {
	s := &Settings{spec: spec, classes: map[string]monitoringv1.ScrapeClass{}, own: own, kinds: map[Kind]selection{}, halves: map[Kind]Half{}, roleGiven: spec.ServiceDiscoveryRole != nil}
	var err error
	if s.global, err = globalConfig(spec); err != nil {
		return nil, err
	}
	switch role := value(spec.ServiceDiscoveryRole); role {
	case monitoringv1.EndpointsRole, monitoringv1.EndpointSliceRole:
	case "":
		role = monitoringv1.EndpointSliceRole
		s.spec.ServiceDiscoveryRole = &role
	default:
		return nil, fmt.Errorf("serviceDiscoveryRole: %q: want %s or %s", role, monitoringv1.EndpointsRole, monitoringv1.EndpointSliceRole)
	}
	for kind, pair := range map[Kind][2]*metav1.LabelSelector{
		ServiceMonitor: {spec.ServiceMonitorSelector, spec.ServiceMonitorNamespaceSelector},
		PodMonitor:     {spec.PodMonitorSelector, spec.PodMonitorNamespaceSelector},
		Probe:          {spec.ProbeSelector, spec.ProbeNamespaceSelector},
		ScrapeConfig:   {spec.ScrapeConfigSelector, spec.ScrapeConfigNamespaceSelector},
	} {
		var sel selection
		if sel.objects, err = metav1.LabelSelectorAsSelector(pair[0]); err != nil {
			return nil, fmt.Errorf("selector of %s: %w", kind, err)
		}
		if pair[1] != nil {
			if sel.namespaces, err = metav1.LabelSelectorAsSelector(pair[1]); err != nil {
				return nil, fmt.Errorf("namespace selector of %s: %w", kind, err)
			}
		}
		s.kinds[kind] = sel
	}
	for i, r := range spec.ExcludedFromEnforcement {
		if kindOf[r.Resource] == "" {
			return nil, fmt.Errorf("excludedFromEnforcement[%d]: resource %q is none of servicemonitors, podmonitors, probes, scrapeconfigs", i, r.Resource)
		}
	}
	for _, c := range spec.ScrapeClasses {
		if err := s.addClass(c); err != nil {
			return nil, fmt.Errorf("scrapeClasses: %s: %w", c.Name, err)
		}
	}
	return s, nil
}

// SetExtraScrapeMetrics sets extra_scrape_metrics, which PrometheusAgent.spec has no field for: it is in the section global of
// Prometheus's configuration.
func (s *Settings) SetExtraScrapeMetrics(on *bool) { s.global.ExtraScrapeMetrics = on }

// SetHalf sets which targets of a kind of monitor are scraped here, where node mode shares the work.
func (s *Settings) SetHalf(kind Kind, h Half) { s.halves[kind] = h }

// SetEnvironment sets how to read the relay's environment, as os.Getenv does. Without it the environment is empty.
func (s *Settings) SetEnvironment(getenv func(string) string) { s.getenv = getenv }

func (s *Settings) addClass(c monitoringv1.ScrapeClass) error {
	if _, ok := s.classes[c.Name]; ok {
		return errors.New("is defined twice")
	}
	if _, err := rules(c.Relabelings); err != nil {
		return fmt.Errorf("relabelings: %w", err)
	}
	if _, err := rules(c.MetricRelabelings); err != nil {
		return fmt.Errorf("metricRelabelings: %w", err)
	}
	if err := c.TLSConfig.Validate(); err != nil {
		return fmt.Errorf("tlsConfig: %w", err)
	}
	if err := c.Authorization.Validate(); err != nil {
		return fmt.Errorf("authorization: %w", err)
	}
	s.classes[c.Name] = c
	if c.Default != nil && *c.Default {
		s.def = c
	}
	return nil
}

// NeedsNamespaces reports whether Unwanted reads labels of namespaces.
func (s *Settings) NeedsNamespaces() bool {
	for _, sel := range s.kinds {
		if sel.namespaces != nil && !sel.namespaces.Empty() {
			return true
		}
	}
	return false
}

// IgnoresNamespaceSelectors reports whether monitors find objects only in their own namespace.
func (s *Settings) IgnoresNamespaceSelectors() bool { return s.spec.IgnoreNamespaceSelectors }

// class returns the scrape class of a name, the default class without one.
func (s *Settings) class(name *string) (monitoringv1.ScrapeClass, error) {
	if name == nil || *name == "" {
		return s.def, nil
	}
	c, ok := s.classes[*name]
	if !ok {
		return c, fmt.Errorf("scrapeClass: %w", s.noClass(*name))
	}
	return c, nil
}

// noClass is the error about a scrape class that there is not.
func (s *Settings) noClass(name string) error {
	known := sortedKeys(s.classes)
	one := "name " + oneOf(known)
	switch near := nearest(name, known); {
	case len(known) == 0:
		one = "remove $FIELD"
	case near != "" && len(known) > 1:
		one += " (did you mean " + near + "?)"
	}
	if len(known) > 0 {
		one += " in $FIELD"
	}
	return mendable{
		fmt.Errorf("%q is not among the scrapeClasses of monitors", name),
		fmt.Sprintf("%s, or add a class %s to monitors.scrapeClasses of the relay's configuration", one, name),
	}
}

// globalConfig returns the section global that the operator would write (buildGlobalConfig).
func globalConfig(spec monitoringv1.CommonPrometheusFields) (promconfig.GlobalConfig, error) {
	m := map[string]any{"scrape_interval": spec.ScrapeInterval}
	set := func(key string, v any, given bool) {
		if given {
			m[key] = v
		}
	}
	set("scrape_timeout", spec.ScrapeTimeout, spec.ScrapeTimeout != "")
	set("scrape_protocols", spec.ScrapeProtocols, len(spec.ScrapeProtocols) > 0)
	if spec.BodySizeLimit != nil {
		m["body_size_limit"] = *spec.BodySizeLimit
	} else {
		set("body_size_limit", spec.EnforcedBodySizeLimit, spec.EnforcedBodySizeLimit != "")
	}
	for key, limits := range map[string][2]*int64{
		"sample_limit":             {spec.SampleLimit, spec.EnforcedSampleLimit},
		"target_limit":             {spec.TargetLimit, spec.EnforcedTargetLimit},
		"label_limit":              {spec.LabelLimit, spec.EnforcedLabelLimit},
		"label_name_length_limit":  {spec.LabelNameLengthLimit, spec.EnforcedLabelNameLengthLimit},
		"label_value_length_limit": {spec.LabelValueLengthLimit, spec.EnforcedLabelValueLengthLimit},
		"keep_dropped_targets":     {spec.KeepDroppedTargets, spec.EnforcedKeepDroppedTargets},
	} {
		user, enforced := value(limits[0]), value(limits[1])
		if user <= 0 || enforced > 0 && enforced < user {
			user = enforced
		}
		set(key, user, user > 0)
	}
	set("scrape_failure_log_file", spec.ScrapeFailureLogFile, spec.ScrapeFailureLogFile != nil)
	if spec.NameValidationScheme != nil {
		m["metric_name_validation_scheme"] = strings.ToLower(string(*spec.NameValidationScheme))
	}
	if spec.NameEscapingScheme != nil {
		m["metric_name_escaping_scheme"] = escapingSchemes[*spec.NameEscapingScheme]
	}
	set("convert_classic_histograms_to_nhcb", spec.ConvertClassicHistogramsToNHCB, spec.ConvertClassicHistogramsToNHCB != nil)
	set("always_scrape_classic_histograms", spec.ScrapeClassicHistograms, spec.ScrapeClassicHistograms != nil)
	set("scrape_native_histograms", spec.ScrapeNativeHistograms, spec.ScrapeNativeHistograms != nil)
	text, err := yaml.Marshal(map[string]any{"global": m})
	if err != nil {
		return promconfig.GlobalConfig{}, fmt.Errorf("monitors: %w", err)
	}
	c, err := promconfig.Load(string(text), promslog.NewNopLogger())
	if err != nil {
		return promconfig.GlobalConfig{}, fmt.Errorf("monitors: %w", err)
	}
	return c.GlobalConfig, nil
}

var escapingSchemes = map[monitoringv1.NameEscapingSchemeOptions]string{
	monitoringv1.AllowUTF8NameEscapingScheme:   model.AllowUTF8,
	monitoringv1.UnderscoresNameEscapingScheme: model.EscapeUnderscores,
	monitoringv1.DotsNameEscapingScheme:        model.EscapeDots,
	monitoringv1.ValuesNameEscapingScheme:      model.EscapeValues,
}

// value returns what p points to, or zero.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// enforcedLabel is the Field of rules of enforcedNamespaceLabel.
const enforcedLabel = "enforcedNamespaceLabel"

// kindOf are the kinds of monitors by their resources. (The relay has no use for PrometheusRules, but the list may name them.)
var kindOf = map[string]Kind{
	"servicemonitors": ServiceMonitor, "podmonitors": PodMonitor, "probes": Probe, "scrapeconfigs": ScrapeConfig, "prometheusrules": "PrometheusRule",
}

// enforcedNamespaceLabel returns the rule that sets the enforced label of a monitor's targets and samples to its namespace; none if no
// label is enforced or the monitor is excluded (package namespacelabeler of the operator).
func (s *Settings) enforcedNamespaceLabel(o Owner) []monitoringv1.RelabelConfig {
	label := s.spec.EnforcedNamespaceLabel
	if label == "" || slices.ContainsFunc(s.spec.ExcludedFromEnforcement, func(r monitoringv1.ObjectReference) bool {
		return r.Namespace == o.Namespace && (r.Name == "" || r.Name == o.Name) && kindOf[r.Resource] == o.Kind &&
			(r.Group == "" || r.Group == "monitoring.coreos.com")
	}) {
		return nil
	}
	return []monitoringv1.RelabelConfig{{TargetLabel: label, Replacement: &o.Namespace}}
}
