package conformance

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// leaves are the types that count as one value.
var leaves = []reflect.Type{
	reflect.TypeFor[corev1.SecretKeySelector](), reflect.TypeFor[corev1.ConfigMapKeySelector](),
	reflect.TypeFor[resource.Quantity](), reflect.TypeFor[intstr.IntOrString](),
}

// settings are the fields of the block monitors that change how monitors are translated. The other fields of a PrometheusAgent are about
// its pods.
var settings = []string{
	"serviceMonitorSelector", "serviceMonitorNamespaceSelector", "podMonitorSelector", "podMonitorNamespaceSelector", "probeSelector",
	"probeNamespaceSelector", "scrapeConfigSelector", "scrapeConfigNamespaceSelector", "scrapeInterval", "scrapeTimeout", "scrapeClasses",
	"enforcedNamespaceLabel", "enforcedSampleLimit", "enforcedTargetLimit", "enforcedLabelLimit", "enforcedLabelNameLengthLimit",
	"enforcedLabelValueLengthLimit", "enforcedKeepDroppedTargets", "enforcedBodySizeLimit", "sampleLimit", "targetLimit", "labelLimit",
	"labelNameLengthLimit", "labelValueLengthLimit", "keepDroppedTargets", "bodySizeLimit", "excludedFromEnforcement", "ignoreNamespaceSelectors",
	"overrideHonorLabels", "overrideHonorTimestamps", "arbitraryFSAccessThroughSMs", "podTargetLabels", "scrapeProtocols", "serviceDiscoveryRole",
	"nameValidationScheme", "nameEscapingScheme", "convertClassicHistogramsToNHCB", "scrapeNativeHistograms", "scrapeClassicHistograms",
	"scrapeFailureLogFile", "externalLabels",
}

// allFields are the fields of all kinds of monitors and those of settings, as paths: "PodMonitor.podMetricsEndpoints[].port".
var allFields = func() []string {
	all := map[string]bool{}
	for kind, t := range specTypes {
		walk(t, kind, all)
	}
	own := map[string]bool{}
	walk(reflect.TypeFor[monitoringv1.CommonPrometheusFields](), "monitors", own)
	for path := range own {
		of := strings.FieldsFunc(strings.TrimPrefix(path, "monitors."), func(r rune) bool { return r == '.' || r == '[' })
		all[path] = slices.Contains(settings, of[0])
	}
	maps.DeleteFunc(all, func(_ string, wanted bool) bool { return !wanted })
	return slices.Sorted(maps.Keys(all))
}()

func walk(t reflect.Type, at string, out map[string]bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case slices.Contains(leaves, t):
		out[at] = true
	case t.Kind() == reflect.Struct && t.NumField() > 0:
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "-" || !f.IsExported():
			case name == "" && f.Anonymous:
				walk(f.Type, at, out)
			default:
				walk(f.Type, at+"."+name, out)
			}
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		walk(t.Elem(), at+"[]", out)
	default:
		out[at] = true
	}
}

// without returns the case without a field, in all monitors of its kind; false if it is not there.
func (c *testCase) without(field string) (*testCase, bool) {
	kind, path, _ := strings.Cut(field, ".")
	out, found := c.clone(), false
	if kind == "monitors" {
		found = remove(out.Settings, strings.Split(path, "."))
	}
	for _, o := range out.Objects {
		if spec, ok := o["spec"].(dict); ok && o.kind() == kind {
			found = remove(spec, strings.Split(path, ".")) || found
		}
	}
	return out, found
}

func remove(in dict, path []string) (found bool) {
	key, list := strings.CutSuffix(path[0], "[]")
	v, ok := in[key]
	switch {
	case !ok:
		return false
	case len(path) == 1:
		delete(in, key)
		return true
	case list:
		items, _ := v.([]any)
		for _, item := range items {
			if m, ok := item.(dict); ok {
				found = remove(m, path[1:]) || found
			}
		}
		return found
	}
	m, ok := v.(dict)
	return ok && remove(m, path[1:])
}

// coverage counts for each field in how many cases it was there, and in how many the result was another without it.
type coverage struct {
	tried, changed map[string]int
}

// dead returns the fields that have changed no result and are not exceptions.
func (c *coverage) dead() (out []string) {
	for _, f := range allFields {
		if _, known := withoutEffect[f]; c.changed[f] == 0 && !known {
			out = append(out, f)
		}
	}
	return out
}

// report returns a line for each field.
func (c *coverage) report() string {
	var b strings.Builder
	for _, f := range allFields {
		fmt.Fprintf(&b, "%s\t%d\t%d", f, c.tried[f], c.changed[f])
		if why, ok := withoutEffect[f]; ok {
			fmt.Fprintf(&b, "\t%s", why)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// withoutEffect are fields that have no effect, and why.
var withoutEffect = map[string]string{
	"monitors.excludedFromEnforcement[].group":                   "has one possible value, which is also the default",
	"monitors.scrapeClasses[].authorization.credentials":         "the operator does not read them; see classSecret in testdata",
	"ScrapeConfig.azureSDConfigs[].followRedirects":              notEmitted,
	"ScrapeConfig.azureSDConfigs[].enableHTTP2":                  notEmitted,
	"ScrapeConfig.azureSDConfigs[].tlsConfig.ca.secret":          notEmitted,
	"ScrapeConfig.azureSDConfigs[].tlsConfig.ca.configMap":       notEmitted,
	"ScrapeConfig.azureSDConfigs[].tlsConfig.insecureSkipVerify": notEmitted,
	"ScrapeConfig.azureSDConfigs[].tlsConfig.maxVersion":         notEmitted,
	"ScrapeConfig.azureSDConfigs[].tlsConfig.minVersion":         notEmitted,
	"ScrapeConfig.azureSDConfigs[].tlsConfig.serverName":         notEmitted,
}

const notEmitted = "the operator reads it and does not write it"
