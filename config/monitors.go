package config

import (
	"math"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/units"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/config/agent"
)

var monitorsType = reflect.TypeFor[Monitors]()

// serverFields are the fields of Prometheus.spec that PrometheusAgent.spec does not have. They configure features that an agent does not
// have.
var serverFields = func() []string {
	server, agent := keysOf(reflect.TypeFor[monitoringv1.PrometheusSpec](), jsonTags), keysOf(monitorsType, jsonTags)
	return slices.DeleteFunc(names(server), func(name string) bool { return agent.find(name) != nil })
}()

// monitorFields are the fields of the block that have an effect. The other fields of PrometheusAgent.spec say how an operator is to run
// Prometheus.
var monitorFields = append(slices.Clone(agent.MonitorFields), "lastGoodDirectory")

// instead holds fields of PrometheusAgent.spec that have a replacement in the file.
var instead = map[string]string{
	"additionalScrapeConfigs":     "write its jobs as scrape_configs",
	"remoteWrite":                 "write remote_write",
	"prometheusExternalLabelName": "there is no Prometheus; write the label as one of externalLabels, if something asks for it",
	"replicaExternalLabelName":    "there are no replicas; write the label as one of externalLabels, if something asks for it",
	"shards":                      "one relay scrapes everything",
	"version":                     "monitors are translated for the Prometheus that the relay is built with",
	"apiserverConfig":             "write kubernetes.kubeconfig, which says how the API server is reached",
	"mode":                        "one relay scrapes the whole cluster; there is none on each node",
	"shardingStrategy":            "one relay scrapes everything",
	"enableFeatures":              "what the relay has of them are keys: global.extra_scrape_metrics for extra-scrape-metrics, scrapeNativeHistograms for native-histograms",
}

// warnIdleFields warns of fields of the block that have no effect.
func (l *loader) warnIdleFields() {
	block := resolved(find(l.doc.root, "monitors"))
	if block == nil || block.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(block.Content); i += 2 {
		key := block.Content[i]
		why, ok := instead[key.Value]
		switch {
		case slices.Contains(monitorFields, key.Value) || key.ShortTag() == "!!merge":
			continue
		case !ok && slices.Contains(serverFields, key.Value):
			why = "it is for a Prometheus server, which evaluates rules and answers queries; the relay does neither"
		case !ok:
			why = "it does not say how monitors are translated"
		}
		l.warn(key.Line, "monitors.%s has no effect: %s", key.Value, why)
	}
}

// fallBack copies limits and schemes that the block leaves out from global. Written is the global block as it is in the file.
func (m *Monitors) fallBack(global promconfig.GlobalConfig, written *yaml.Node) {
	has := func(key string) bool { n := find(written, key); return n != nil && !isNull(n) }
	number := func(key string, to **int64, n uint) {
		if *to == nil && has(key) {
			v := int64(min(n, math.MaxInt64))
			*to = &v
		}
	}
	number("sample_limit", &m.SampleLimit, global.SampleLimit)
	number("target_limit", &m.TargetLimit, global.TargetLimit)
	number("label_limit", &m.LabelLimit, global.LabelLimit)
	number("label_name_length_limit", &m.LabelNameLengthLimit, global.LabelNameLengthLimit)
	number("label_value_length_limit", &m.LabelValueLengthLimit, global.LabelValueLengthLimit)
	number("keep_dropped_targets", &m.KeepDroppedTargets, global.KeepDroppedTargets)
	if m.BodySizeLimit == nil && has("body_size_limit") {
		size := monitoringv1.ByteSize(global.BodySizeLimit.String())
		m.BodySizeLimit = &size
	}
	if m.ScrapeProtocols == nil && has("scrape_protocols") {
		for _, p := range global.ScrapeProtocols {
			m.ScrapeProtocols = append(m.ScrapeProtocols, monitoringv1.ScrapeProtocol(p))
		}
	}
	flag := func(key string, to **bool, on bool) {
		if *to == nil && has(key) {
			*to = &on
		}
	}
	flag("scrape_native_histograms", &m.ScrapeNativeHistograms, global.ScrapeNativeHistograms != nil && *global.ScrapeNativeHistograms)
	flag("always_scrape_classic_histograms", &m.ScrapeClassicHistograms, global.AlwaysScrapeClassicHistograms)
	flag("convert_classic_histograms_to_nhcb", &m.ConvertClassicHistogramsToNHCB, global.ConvertClassicHistogramsToNHCB)
	if m.NameValidationScheme == nil && has("metric_name_validation_scheme") {
		scheme := monitoringv1.UTF8NameValidationScheme
		if global.MetricNameValidationScheme == model.LegacyValidation {
			scheme = monitoringv1.LegacyNameValidationScheme
		}
		m.NameValidationScheme = &scheme
	}
	if scheme, ok := escapings[global.MetricNameEscapingScheme]; ok && m.NameEscapingScheme == nil && has("metric_name_escaping_scheme") {
		m.NameEscapingScheme = &scheme
	}
	if m.ScrapeFailureLogFile == nil && has("scrape_failure_log_file") {
		m.ScrapeFailureLogFile = &global.ScrapeFailureLogFile
	}
}

// escapings maps Prometheus's names of escaping schemes to those of prometheus-operator.
var escapings = map[string]monitoringv1.NameEscapingSchemeOptions{
	model.AllowUTF8:         monitoringv1.AllowUTF8NameEscapingScheme,
	model.EscapeUnderscores: monitoringv1.UnderscoresNameEscapingScheme,
	model.EscapeDots:        monitoringv1.DotsNameEscapingScheme,
	model.EscapeValues:      monitoringv1.ValuesNameEscapingScheme,
}

// unset returns the variables in a label's value that the environment lacks.
func unset(value string) (out []string) {
	os.Expand(value, func(name string) string {
		if name != "$" && os.Getenv(name) == "" {
			out = append(out, name)
		}
		return ""
	})
	return out
}

// warnUnset warns of external labels that are empty, in whole or in part, because a variable is missing.
func (l *loader) warnUnset(path ...string) {
	block := resolved(l.doc.value(path...))
	if block == nil || block.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(block.Content); i += 2 {
		for _, name := range unset(resolved(block.Content[i+1]).Value) {
			l.warn(block.Content[i].Line, "%s.%s: the environment has no variable %s, so its place stays empty: series then cannot be told from those of other clusters",
				strings.Join(path, "."), block.Content[i].Value, name)
		}
	}
}

// addExternalLabels adds the external labels of the monitors block to the global ones.
func (l *loader) addExternalLabels() {
	c, bad := l.c, l.refuse
	if c.Monitors == nil || len(c.Monitors.ExternalLabels) == 0 {
		return
	}
	block := map[string]any{"external_labels": c.Monitors.ExternalLabels}
	if s := c.Monitors.NameValidationScheme; s != nil {
		block["metric_name_validation_scheme"] = strings.ToLower(string(*s))
	}
	text, err := yaml.Marshal(map[string]any{"global": block})
	if err != nil {
		bad("monitors.externalLabels", "%v", err)
		return
	}
	own, err := promconfig.Load(string(text), promslog.NewNopLogger()) // it expands variables of the environment
	if err != nil {
		bad("monitors.externalLabels", "%v", readable(err))
		return
	}
	global := &c.Prometheus.GlobalConfig.ExternalLabels
	b := labels.NewBuilder(*global)
	own.GlobalConfig.ExternalLabels.Range(func(l labels.Label) {
		if had := global.Get(l.Name); had != "" && had != l.Value {
			bad("monitors.externalLabels", "%s is %q, which global.external_labels says is %q", l.Name, l.Value, had)
		}
		b.Set(l.Name, l.Value)
	})
	*global = b.Labels()
}

func (m *Monitors) validate(bad bad) {
	spec := reflect.ValueOf(m.CommonPrometheusFields)
	for i := range spec.NumField() {
		name, _, _ := strings.Cut(spec.Type().Field(i).Tag.Get("json"), ",")
		switch v := spec.Field(i).Interface().(type) {
		case *labelSelector:
			if _, err := metav1.LabelSelectorAsSelector(v); err != nil {
				bad("monitors."+name, "%v", err)
			}
		case *int64:
			if v != nil && *v < 0 && slices.Contains(monitorFields, name) {
				bad("monitors."+name, "%d is negative; 0 means no limit", *v)
			}
		case monitoringv1.ByteSize:
			validateSize(bad, name, &v)
		case *monitoringv1.ByteSize:
			validateSize(bad, name, v)
		}
	}
	for _, p := range m.ScrapeProtocols {
		if err := promconfig.ScrapeProtocol(p).Validate(); err != nil {
			bad("monitors.scrapeProtocols", "%v", err)
		}
	}
	interval, err := model.ParseDuration(string(m.ScrapeInterval))
	if err != nil || interval == 0 {
		bad("monitors.scrapeInterval", "%q: want a duration such as 30s", m.ScrapeInterval)
	}
	if m.ScrapeTimeout != "" {
		switch timeout, err := model.ParseDuration(string(m.ScrapeTimeout)); {
		case err != nil:
			bad("monitors.scrapeTimeout", "%q: want a duration such as 10s", m.ScrapeTimeout)
		case timeout > interval:
			bad("monitors.scrapeTimeout", "%s is longer than scrapeInterval, %s", timeout, interval)
		}
	}
	defaults := 0
	for _, c := range m.ScrapeClasses {
		if c.Default != nil && *c.Default {
			defaults++
		}
	}
	if defaults > 1 {
		bad("monitors.scrapeClasses", "%d of them are the default; one can be", defaults)
	}
}

func validateSize(bad bad, name string, size *monitoringv1.ByteSize) {
	if size == nil || *size == "" || !slices.Contains(monitorFields, name) {
		return
	}
	if n, err := units.ParseBase2Bytes(string(*size)); err != nil || n < 0 {
		bad("monitors."+name, "%q is no size: want one such as 50MB", *size)
	}
}
