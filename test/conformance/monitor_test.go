package conformance

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
)

// testCase makes settings, a cluster, and monitors.
func (g *gen) testCase() *testCase {
	c := &testCase{Home: home, Objects: g.cluster()}
	classes := g.chance(0.4)
	kinds := []string{"ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig"}
	for i := range 1 + g.IntN(4) {
		kind := pick(g, kinds...)
		if of, _, _ := strings.Cut(g.must, "."); i == 0 && specTypes[of] != nil {
			kind = of
		}
		if i == 0 && strings.HasPrefix(g.must, classNode) {
			kind = "PodMonitor"
		}
		c.Objects = append(c.Objects, g.monitor(kind, i))
	}
	c.Settings = g.settings(classes)
	if c = c.clone(); g.chance(0.25) {
		g.mutate(c)
	}
	return c.clone()
}

// classNode is a field that shows only where monitors have targets and do not say it themselves.
const classNode = "monitors.scrapeClasses[].attachMetadata"

var specTypes = map[string]reflect.Type{
	"ServiceMonitor": reflect.TypeFor[monitoringv1.ServiceMonitorSpec](),
	"PodMonitor":     reflect.TypeFor[monitoringv1.PodMonitorSpec](),
	"Probe":          reflect.TypeFor[monitoringv1.ProbeSpec](),
	"ScrapeConfig":   reflect.TypeFor[monitoringv1alpha1.ScrapeConfigSpec](),
}

// monitor makes one of a kind: all of its fields by their types and names, and then what keeps them plausible together.
func (g *gen) monitor(kind string, i int) object {
	version := "monitoring.coreos.com/v1"
	if kind == "ScrapeConfig" {
		version = "monitoring.coreos.com/v1alpha1"
	}
	ns := pick(g, namespaceNames...)
	if strings.HasPrefix(g.must, "monitors.scrapeClasses[].tlsConfig.") {
		ns = home // the operator knows Secrets of classes in its own namespace only
	}
	o := meta(kind, version, ns, fmt.Sprintf("m%d", i))
	o["metadata"].(dict)["labels"] = dict{"team": pick(g, "a", "b")}
	spec := g.object(specTypes[kind], kind)
	switch kind {
	case "Probe":
		g.plausibleProbe(spec)
	case "ScrapeConfig":
		g.plausibleScrapeConfig(spec)
	}
	g.plausible(spec)
	for _, list := range []string{"endpoints", "podMetricsEndpoints"} {
		if spec[list] != nil && g.chance(0.01) {
			spec[list] = []any{}
		}
	}
	o["spec"] = spec
	return o
}

// object makes a struct of a type. Fields that are not optional are always there.
func (g *gen) object(t reflect.Type, at string) dict {
	out := dict{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && f.Anonymous:
			maps.Copy(out, g.object(deref(f.Type), at))
		case !strings.Contains(options, "omit") || g.wanted(f.Type, at+"."+name):
			if v := g.value(deref(f.Type), at+"."+name); v != nil {
				out[name] = v
			}
		}
	}
	return out
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// wanted decides whether an optional field is there. Some are more likely, since they matter.
func (g *gen) wanted(t reflect.Type, at string) bool {
	parent, field, _ := cutLast(at)
	_, parent, _ = cutLast(parent)
	switch {
	case g.leadsTo(at):
		return true
	case strings.HasPrefix(g.must, classNode) && slices.Contains([]string{"port", "portNumber", "targetPort", "attachMetadata", "scrapeClass"}, field):
		return false
	case g.must != "" && (field == "scrapeClass" || field == "fallbackScrapeProtocol"):
		return g.chance(0.1)
	case strings.HasSuffix(field, "SDConfigs"), field == "staticConfigs":
		return false // plausibleScrapeConfig chooses
	case field == "endpoints", field == "podMetricsEndpoints", field == "targets", field == "prober", strings.HasPrefix(at, "Probe.targets"), strings.HasPrefix(at, "Probe.prober.url"):
		return true
	case field == "port" && !strings.Contains(at, "SDConfigs"):
		return g.chance(0.5)
	case field == "targetPort", field == "portNumber":
		return g.chance(0.25)
	case field == "relabelings", field == "metricRelabelings", field == "relabelingConfigs":
		return g.chance(0.3) || strings.HasSuffix(g.must, "attachMetadata.node")
	case field == "namespaceSelector":
		return g.chance(0.6) || g.must == "monitors.ignoreNamespaceSelectors"
	case field == "jobLabel", field == "targetLabels", field == "podTargetLabels":
		return g.chance(max(g.p, 0.2))
	case field == "scrapeClass":
		return g.chance(0.1)
	}
	if slices.Contains([]string{"authorization", "basicAuth", "oauth2", "tlsConfig"}, parent) {
		return g.chance(max(g.p, 0.4))
	}
	return g.chance(g.p)
}

// leadsTo tells whether the field that must be there is at a path, or below it. Paths have no brackets here.
func (g *gen) leadsTo(at string) bool {
	must := strings.ReplaceAll(g.must, "[]", "")
	return must == at || strings.HasPrefix(must, at+".")
}

func cutLast(s string) (string, string, bool) {
	i := strings.LastIndex(s, ".")
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// value makes a value of a type for a field; nil for none.
func (g *gen) value(t reflect.Type, at string) any {
	_, field, _ := cutLast(at)
	if v, ok := g.special(t, field, at); ok {
		return v
	}
	switch t.Kind() {
	case reflect.Struct:
		return g.object(t, at)
	case reflect.Slice:
		n := 1 + g.IntN(2)
		out := []any{}
		for range n {
			out = append(out, g.value(deref(t.Elem()), at))
		}
		return out
	case reflect.Map:
		if t.Elem().Kind() == reflect.Slice {
			return dict{pick(g, "k1", "module"): []any{"v1", "v2"}, "k2": []any{g.text(field)}}
		}
		return dict{pick(g, "k1", "k2"): g.text(field)}
	case reflect.Bool:
		if g.leadsTo(at) { // not the default
			return !slices.Contains([]string{"filterRunning", "honorTimestamps", "followRedirects", "enableHttp2", "enableHTTP2", "enableCompression", "allowStale", "matchFirstNetwork"}, field)
		}
		return g.chance(0.5)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n := g.number(field); n != 0 || !g.leadsTo(at) {
			return n
		}
		return 7
	case reflect.String:
		return g.text(field)
	}
	panic(fmt.Sprintf("no value for %s of type %s", at, t))
}
