// Package agent translates a PrometheusAgent or a Prometheus of prometheus-operator into blocks of the relay's configuration: global,
// monitors, scrape_configs and remote_write. It says what the blocks need beside them (files, variables of the environment), and which
// fields of the object have no counterpart.
//
// Promises: remote_write and global are what the operator's own generator writes, but for the differences that a remark tells of; no remark
// shows a secret. Not promised: that the object is valid. The loader of the configuration finds that out.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// MonitorFields are the fields of the object's spec that say which monitors are selected or how they are translated. They are the fields of
// the block monitors. All others say how an operator is to run Prometheus.
var MonitorFields = []string{
	"serviceMonitorSelector", "serviceMonitorNamespaceSelector", "podMonitorSelector", "podMonitorNamespaceSelector",
	"probeSelector", "probeNamespaceSelector", "scrapeConfigSelector", "scrapeConfigNamespaceSelector",
	"scrapeInterval", "scrapeTimeout", "scrapeProtocols", "externalLabels", "arbitraryFSAccessThroughSMs", "overrideHonorLabels",
	"overrideHonorTimestamps", "ignoreNamespaceSelectors", "enforcedNamespaceLabel", "enforcedSampleLimit", "enforcedTargetLimit",
	"enforcedLabelLimit", "enforcedLabelNameLengthLimit", "enforcedLabelValueLengthLimit", "enforcedKeepDroppedTargets",
	"enforcedBodySizeLimit", "nameValidationScheme", "nameEscapingScheme", "convertClassicHistogramsToNHCB",
	"scrapeNativeHistograms", "scrapeClassicHistograms", "excludedFromEnforcement", "podTargetLabels", "bodySizeLimit", "sampleLimit",
	"targetLimit", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit", "keepDroppedTargets", "scrapeClasses",
	"serviceDiscoveryRole", "scrapeFailureLogFile",
}

// Object is a PrometheusAgent or a Prometheus.
type Object struct {
	Kind, Namespace, Name string

	spec    map[string]any // as it is written, without unknown fields
	common  monitoringv1.CommonPrometheusFields
	mode    string   // of a PrometheusAgent
	unknown []string // paths of fields that this release does not know
}

// The kinds of objects.
const (
	KindAgent      = monitoringv1alpha1.PrometheusAgentsKind
	KindPrometheus = monitoringv1.PrometheusesKind
)

// Decode reads an object from JSON.
func Decode(text []byte) (*Object, error) {
	var written struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return nil, fmt.Errorf("decode object: %w", err)
	}
	o := &Object{Kind: written.Kind, Namespace: written.Namespace, Name: written.ObjectMeta.Name}
	if o.Kind != KindAgent && o.Kind != KindPrometheus {
		return nil, fmt.Errorf("%s %s: want a %s or a %s", o.Kind, o.Name, KindAgent, KindPrometheus)
	}
	if len(written.Spec) == 0 {
		return nil, fmt.Errorf("%s: it has no spec", o)
	}
	if err := o.decodeSpec(written.Spec); err != nil {
		return nil, fmt.Errorf("%s: spec: %w", o, err)
	}
	return o, nil
}

func (o *Object) String() string { return fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name) }

// decodeSpec reads the spec twice: as it is written, and as the type of its kind. A field that the type does not have is taken out.
func (o *Object) decodeSpec(text []byte) error {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &o.spec); err != nil {
		return err
	}
	var server monitoringv1.PrometheusSpec
	var agent monitoringv1alpha1.PrometheusAgentSpec
	typed := any(&agent)
	if o.Kind == KindPrometheus {
		typed = &server
	}
	strict, err := kjson.UnmarshalStrict(text, typed)
	if err != nil {
		return err
	}
	o.common = agent.CommonPrometheusFields
	if o.Kind == KindPrometheus {
		o.common = server.CommonPrometheusFields
	}
	if agent.Mode != nil {
		o.mode = string(*agent.Mode)
	}
	for _, e := range strict {
		var field kjson.FieldError
		if !errors.As(e, &field) {
			continue
		}
		o.unknown = append(o.unknown, field.FieldPath())
		remove(o.spec, field.FieldPath())
	}
	return nil
}

// remove takes the field at a path such as scrapeClasses[0].name out of a decoded object.
func remove(in any, path string) {
	steps := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	for i, step := range steps {
		switch v := in.(type) {
		case map[string]any:
			if i == len(steps)-1 {
				delete(v, step)
			}
			in = v[step]
		case []any:
			var n int
			if _, err := fmt.Sscan(step, &n); err != nil || n >= len(v) {
				return
			}
			in = v[n]
		}
	}
}

// selectors are the names of the selectors of monitors.
var selectors = []string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig"}

// manages reports whether the object selects monitors at all. If it does not, the operator leaves the configuration to its user.
func (o *Object) manages() bool {
	return slices.ContainsFunc(selectors, func(kind string) bool { return o.spec[kind+"Selector"] != nil })
}
