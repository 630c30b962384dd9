package agent

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.yaml.in/yaml/v3"
)

// Options say where the values of Secrets and ConfigMaps go.
type Options struct {
	// Value returns a value. It is asked for what Prometheus takes from no file and, with Inline, for everything. Nil: no value is known.
	Value func(Ref) (string, error)
	// Inline writes values into the blocks. Otherwise the blocks name files.
	Inline bool
}

// Mount is a Secret or a ConfigMap that the relay's pod needs as files.
type Mount struct {
	ConfigMap  bool
	Name, Path string
}

// Variable is a variable of the environment that the relay's pod needs.
type Variable struct {
	Name string
	Ref  Ref
}

// Remark tells of a field of the object.
type Remark struct{ Field, Text string }

// Result is what an object becomes.
type Result struct {
	// Monitors is nil if the object selects no monitors at all.
	Monitors *yaml.Node
	// Global has all but the external labels. Destinations are the items of remote_write, and Jobs those of scrape_configs; nil for none.
	Global, Runtime, Jobs, Destinations *yaml.Node
	ExternalLabels                      map[string]string
	Mounts                              []Mount
	Variables                           []Variable
	Remarks                             []Remark
}

// translation is a translation under way.
type translation struct {
	o      *Object
	inline bool
	ask    func(Ref) (string, error)
	at     string // the field that is being translated
	out    *Result
	errs   []error
}

var errNoValue = errors.New("its value is not known here")

// Translate translates an object. Its error names values that are missing.
func Translate(o *Object, options Options) (*Result, error) {
	t := &translation{o: o, inline: options.Inline, ask: options.Value, out: &Result{}}
	if t.ask == nil {
		t.ask = func(Ref) (string, error) { return "", errNoValue }
	}
	t.externalLabels()
	t.ownMounts()
	t.monitors()
	t.jobs()
	t.global()
	var destinations []*block
	for i, rw := range o.common.RemoteWrite {
		destinations = append(destinations, t.destination(i, rw))
	}
	t.out.Destinations = sequence(destinations)
	t.runtime()
	t.remarks()
	return t.out, errors.Join(t.errs...)
}

func sequence(blocks []*block) *yaml.Node {
	if len(blocks) == 0 {
		return nil
	}
	b := newBlock()
	b.list("", blocks)
	return b.node.Content[1]
}

// within says which field is being translated, until the function that it returns is called.
func (t *translation) within(field string) (end func()) {
	before := t.at
	t.at = strings.TrimPrefix(before+"."+field, ".")
	return func() { t.at = before }
}

func (t *translation) remark(field, format string, args ...any) {
	t.out.Remarks = append(t.out.Remarks, Remark{field, fmt.Sprintf(format, args...)})
}

// externalLabels are those that the operator gives to the pod with the number 0.
func (t *translation) externalLabels() {
	c := t.o.common
	labels := map[string]string{}
	name := func(given *string, byDefault string) string {
		if given != nil {
			return *given
		}
		return byDefault
	}
	if l := name(c.PrometheusExternalLabelName, "prometheus"); l != "" {
		labels[l] = t.o.Namespace + "/" + t.o.Name
		t.remark("prometheusExternalLabelName", "external label %s stays %q, so that series go on; leave it out if nothing asks for it", l, labels[l])
	}
	if l := name(c.ReplicaExternalLabelName, "prometheus_replica"); l != "" {
		labels[l] = t.podName()
		t.remark("replicaExternalLabelName", "external label %s is that of the first pod, %q, so that its series go on. While both run, give it another value; then leave it out if the receiver removes it",
			l, labels[l])
	}
	for k, v := range c.ExternalLabels {
		if _, reserved := labels[k]; reserved {
			t.remark("externalLabels", "%s has no effect, as with the operator: it is the label of the Prometheus", k)
			continue
		}
		labels[k] = v
	}
	t.out.ExternalLabels = labels
}

// podName is the name of the first pod that the operator makes.
func (t *translation) podName() string {
	if t.o.Kind == KindAgent {
		return "prom-agent-" + t.o.Name + "-0"
	}
	return "prometheus-" + t.o.Name + "-0"
}

// ownMounts keeps the Secrets and ConfigMaps that the object itself mounts at their paths, since other fields may name them.
func (t *translation) ownMounts() {
	for _, name := range t.o.common.Secrets {
		t.out.Mounts = append(t.out.Mounts, Mount{Name: name, Path: "/etc/prometheus/secrets/" + name})
	}
	for _, name := range t.o.common.ConfigMaps {
		t.out.Mounts = append(t.out.Mounts, Mount{ConfigMap: true, Name: name, Path: "/etc/prometheus/configmaps/" + name})
	}
}

// monitors copies the fields of the block, and writes down what a selector that is left out means.
func (t *translation) monitors() {
	if !t.o.manages() {
		t.remark("spec", "it has no selector of monitors, so the operator leaves the configuration to you: it is in a Secret prometheus-%s or prom-agent-%[1]s that you made. Take it as the configuration file", t.o.Name)
		return
	}
	b := newBlock()
	for _, kind := range selectors {
		selector, namespaces := t.o.spec[kind+"Selector"], t.o.spec[kind+"NamespaceSelector"]
		if t.o.mode == "DaemonSet" && kind != "podMonitor" {
			selector, namespaces = nil, nil
		}
		if selector != nil && namespaces == nil { // the namespace of the object, wherever the relay runs
			namespaces = map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": t.o.Namespace}}
		}
		b.set(kind+"Selector", selector)
		if namespaces != nil {
			b.set(kind+"NamespaceSelector", namespaces)
		}
	}
	for _, field := range MonitorFields {
		if v, ok := t.o.spec[field]; ok && v != nil && field != "externalLabels" && !strings.HasSuffix(field, "Selector") {
			b.set(field, v)
		}
	}
	t.out.Monitors = &b.node
}

// jobs takes over additionalScrapeConfigs.
func (t *translation) jobs() {
	s := t.o.common.AdditionalScrapeConfigs
	if s == nil {
		return
	}
	ref := secretRef(*s)
	text, err := t.ask(ref)
	if err != nil && !t.inline {
		t.remark("additionalScrapeConfigs", "%s is not here. Add the Secret to the file, or write what it holds as scrape_configs: kubectl -n %s get secret %s -o go-template='{{index .data %q | base64decode}}'",
			ref, t.o.Namespace, ref.Name, ref.Key)
		return
	}
	var doc yaml.Node
	if err == nil {
		err = yaml.Unmarshal([]byte(text), &doc)
	}
	switch {
	case err != nil:
		t.errs = append(t.errs, fmt.Errorf("additionalScrapeConfigs: %s: %w", ref, err))
	case len(doc.Content) == 0:
	case doc.Content[0].Kind != yaml.SequenceNode:
		t.errs = append(t.errs, fmt.Errorf("additionalScrapeConfigs: %s: want a list of scrape configurations", ref))
	default:
		t.out.Jobs = doc.Content[0]
	}
}

// global has what scrape_configs take from it. Monitors have their own fields for all of it.
func (t *translation) global() {
	c, b := t.o.common, newBlock()
	if t.out.Jobs != nil {
		b.set("scrape_interval", cmp.Or(c.ScrapeInterval, "30s"))
		b.given("scrape_timeout", c.ScrapeTimeout)
		b.given("scrape_protocols", c.ScrapeProtocols)
		b.given("body_size_limit", size(c.BodySizeLimit, c.EnforcedBodySizeLimit))
		b.given("sample_limit", limit(c.SampleLimit, c.EnforcedSampleLimit))
		b.given("target_limit", limit(c.TargetLimit, c.EnforcedTargetLimit))
		b.given("label_limit", limit(c.LabelLimit, c.EnforcedLabelLimit))
		b.given("label_name_length_limit", limit(c.LabelNameLengthLimit, c.EnforcedLabelNameLengthLimit))
		b.given("label_value_length_limit", limit(c.LabelValueLengthLimit, c.EnforcedLabelValueLengthLimit))
		b.given("keep_dropped_targets", limit(c.KeepDroppedTargets, c.EnforcedKeepDroppedTargets))
		b.given("scrape_failure_log_file", c.ScrapeFailureLogFile)
		if s := c.NameValidationScheme; s != nil {
			b.set("metric_name_validation_scheme", strings.ToLower(string(*s)))
		}
		if s := c.NameEscapingScheme; s != nil {
			b.given("metric_name_escaping_scheme", escapings[*s])
		}
		b.given("convert_classic_histograms_to_nhcb", c.ConvertClassicHistogramsToNHCB)
		b.given("always_scrape_classic_histograms", c.ScrapeClassicHistograms)
		b.given("scrape_native_histograms", c.ScrapeNativeHistograms)
	}
	if slices.Contains(c.EnableFeatures, "extra-scrape-metrics") {
		b.set("extra_scrape_metrics", true)
	}
	t.out.Global = &b.node
}

var escapings = map[monitoringv1.NameEscapingSchemeOptions]string{
	monitoringv1.AllowUTF8NameEscapingScheme: "allow-utf-8", monitoringv1.UnderscoresNameEscapingScheme: "underscores",
	monitoringv1.DotsNameEscapingScheme: "dots", monitoringv1.ValuesNameEscapingScheme: "values",
}

func size(given *monitoringv1.ByteSize, enforced monitoringv1.ByteSize) monitoringv1.ByteSize {
	if given != nil {
		return *given
	}
	return enforced
}

// limit is the lower one of two limits. 0 and nil mean none.
func limit(given, enforced *int64) int64 {
	of := func(p *int64) int64 {
		if p == nil {
			return 0
		}
		return max(*p, 0)
	}
	g, e := of(given), of(enforced)
	if g > 0 && e > 0 {
		return min(g, e)
	}
	return max(g, e)
}

func (t *translation) runtime() {
	if r := t.o.common.Runtime; r != nil && r.GoGC != nil {
		b := newBlock()
		b.set("gogc", *r.GoGC)
		t.out.Runtime = &b.node
	}
}

// YAML is the configuration file that the result makes.
func (r *Result) YAML() ([]byte, error) {
	global := newBlock()
	if len(r.ExternalLabels) > 0 {
		labels := newBlock()
		for _, name := range slices.Sorted(maps.Keys(r.ExternalLabels)) {
			labels.set(name, r.ExternalLabels[name])
		}
		global.set("external_labels", labels)
	}
	global.node.Content = append(global.node.Content, r.Global.Content...)
	wal := newBlock()
	wal.set("dir", "/var/lib/promrelay/wal") // of deploy/
	var parts [][]byte
	for _, part := range []struct {
		key  string
		node *yaml.Node
	}{{"global", &global.node}, {"runtime", r.Runtime}, {"monitors", r.Monitors}, {"scrape_configs", r.jobsWithOwn()}, {"wal", &wal.node}, {"remote_write", r.Destinations}} {
		if part.node == nil || len(part.node.Content) == 0 {
			continue
		}
		b := newBlock()
		b.set(part.key, part.node)
		text, err := b.yaml()
		if err != nil {
			return nil, err
		}
		parts = append(parts, text)
	}
	return bytes.Join(parts, []byte("\n")), nil
}
