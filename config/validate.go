package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// monitorFields are the fields of PrometheusAgent.spec that say which monitors are taken or how they are translated.
// The others tell an operator how to run Prometheus.
var monitorFields = []string{
	"serviceMonitorSelector", "serviceMonitorNamespaceSelector", "podMonitorSelector", "podMonitorNamespaceSelector",
	"probeSelector", "probeNamespaceSelector", "scrapeConfigSelector", "scrapeConfigNamespaceSelector",
	"scrapeInterval", "scrapeTimeout", "scrapeProtocols", "externalLabels", "arbitraryFSAccessThroughSMs", "overrideHonorLabels",
	"overrideHonorTimestamps", "ignoreNamespaceSelectors", "enforcedNamespaceLabel", "enforcedSampleLimit", "enforcedTargetLimit",
	"enforcedLabelLimit", "enforcedLabelNameLengthLimit", "enforcedLabelValueLengthLimit", "enforcedKeepDroppedTargets",
	"enforcedBodySizeLimit", "nameValidationScheme", "nameEscapingScheme", "convertClassicHistogramsToNHCB",
	"scrapeNativeHistograms", "scrapeClassicHistograms", "excludedFromEnforcement", "podTargetLabels", "bodySizeLimit", "sampleLimit",
	"targetLimit", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit", "keepDroppedTargets", "scrapeClasses",
	"serviceDiscoveryRole", "scrapeFailureLogFile",
	"lastGoodDirectory", // ours
}

// meaningless are options of Prometheus that the relay accepts and has no use for, with the reason.
var meaningless = []struct {
	path   string // keys, * for each item of a list
	reason string
}{
	{"global.evaluation_interval", "no rules are evaluated"},
	{"global.rule_query_offset", "no rules are evaluated"},
	{"global.query_log_file", "no queries are answered"},
	{"runtime.log_level", "the level of logs is that of --log.level"},
	{"storage", "samples are kept in the WAL, see the wal block"},
	{"tracing", "nothing is traced"},
	{"otlp", "OTLP is not received"},
	{"remote_write.*.queue_config.capacity", "what waits to be sent stays in the WAL, not in memory"},
	{"remote_write.*.queue_config.retry_on_http_429", "429 is always tried again"},
	{"remote_write.*.failed_request_logging", "refused requests are logged in any case"},
}

// instead are fields of PrometheusAgent.spec whose meaning has another place in the file.
var instead = map[string]string{
	"additionalScrapeConfigs":     "write its jobs as scrape_configs",
	"remoteWrite":                 "write remote_write",
	"prometheusExternalLabelName": "there is no Prometheus; write the label as one of externalLabels, if something asks for it",
	"replicaExternalLabelName":    "there are no replicas; write the label as one of externalLabels, if something asks for it",
	"shards":                      "one relay scrapes everything",
	"version":                     "monitors are translated for the Prometheus that the relay is built with",
}

// refused are blocks that an agent has no use for and a user may miss.
var refused = map[string]string{
	"alerting":    "the relay sends no alerts",
	"rule_files":  "the relay evaluates no rules",
	"remote_read": "the relay answers no queries",
}

func (d document) warnings() []string {
	var out []string
	for _, m := range meaningless {
		for _, key := range lookup(d.root, strings.Split(m.path, ".")) {
			out = append(out, fmt.Sprintf("line %d: %s has no effect: %s", key.Line, strings.ReplaceAll(m.path, ".*", "[]"), m.reason))
		}
	}
	if block := find(d.root, "monitors"); block != nil {
		for i := 0; i+1 < len(block.Content); i += 2 {
			if key := block.Content[i]; !slices.Contains(monitorFields, key.Value) {
				why, ok := instead[key.Value]
				if !ok {
					why = "it does not say how monitors are translated"
				}
				out = append(out, fmt.Sprintf("line %d: monitors.%s has no effect: %s", key.Line, key.Value, why))
			}
		}
	}
	return out
}

// lookup returns the keys at the end of a path that are there.
func lookup(node *yaml.Node, path []string) []*yaml.Node {
	if node == nil {
		return nil
	}
	if path[0] == "*" {
		var out []*yaml.Node
		for _, item := range node.Content {
			out = append(out, lookup(item, path[1:])...)
		}
		return out
	}
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == path[0] {
			if len(path) == 1 {
				return node.Content[i : i+1]
			}
			return lookup(node.Content[i+1], path[1:])
		}
	}
	return nil
}

// at names the line of a key at the top of the file or in one of its blocks.
func (d document) at(path ...string) string {
	if keys := lookup(d.root, path); len(keys) > 0 {
		return fmt.Sprintf("line %d: ", keys[0].Line)
	}
	return ""
}

func (c *Config) validate(doc document) error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s%s: %s", doc.at(strings.Split(path, ".")...), path, fmt.Sprintf(format, args...)))
	}
	for _, key := range prometheusKeys {
		if reason, ok := refused[key]; ok && nonEmpty(find(doc.root, key)) {
			bad(key, "is refused: %s", reason)
		}
	}
	c.validateSources(bad)
	c.validateLastGood(bad)
	c.validateJobNames(bad)
	c.validateDiscovery(bad)
	c.takeExternalLabels(bad)
	if c.Monitors != nil {
		c.Monitors.validate(bad)
	}
	if c.Nodes != nil {
		c.Nodes.validate(bad)
	}
	c.Scrape.validate(bad)
	if c.WAL.MaxBytes < 0 {
		bad("wal.max_bytes", "%d is negative", c.WAL.MaxBytes)
	}
	if c.WAL.SegmentBytes < 0 {
		bad("wal.segment_bytes", "%d is negative", c.WAL.SegmentBytes)
	}
	if c.WAL.SyncInterval < 0 {
		bad("wal.sync_interval", "%s is negative", c.WAL.SyncInterval)
	}
	if c.Relay.DrainFactor != 0 && c.Relay.DrainFactor < 1 {
		bad("relay.drain_factor", "%g: want 1 or more, or 0 for no bound", c.Relay.DrainFactor)
	}
	if c.Relay.DrainTimeout < 0 {
		bad("relay.drain_timeout", "%s is negative", c.Relay.DrainTimeout)
	}
	for _, status := range c.Relay.RetryStatusCodes {
		if status < 400 || status > 599 {
			bad("relay.retry_status_codes", "%d: want statuses of answers that are errors, 400 to 599", status)
		}
	}
	return oneLine(errs)
}

func nonEmpty(node *yaml.Node) bool {
	return node != nil && (len(node.Content) > 0 || node.Value != "" && node.Tag != "!!null")
}

func (c *Config) validateSources(bad func(path, format string, args ...any)) {
	if c.Kubernetes != nil && c.Manifests != nil {
		bad("manifests", "cannot stand beside kubernetes: objects come from the cluster or from the directory")
	}
	if c.Manifests != nil {
		switch info, err := os.Stat(c.Manifests.Directory); {
		case c.Manifests.Directory == "":
			bad("manifests.directory", "is missing")
		case err != nil:
			bad("manifests.directory", "%v", err)
		case !info.IsDir():
			bad("manifests.directory", "%s is not a directory", c.Manifests.Directory)
		}
	}
	if k := c.Kubernetes; k != nil {
		if k.Context != "" && k.Kubeconfig == "" {
			bad("kubernetes.context", "%q needs kubernetes.kubeconfig", k.Context)
		}
		if len(k.Namespaces) > 0 && c.Nodes != nil {
			bad("nodes", "cannot be had together with kubernetes.namespaces: nodes belong to no namespace")
		}
		for _, ns := range k.Namespaces {
			if ns == "" {
				bad("kubernetes.namespaces", "holds an empty name")
			}
		}
	}
}

// validateLastGood keeps the relay's own files out of directories that are read for something else.
func (c *Config) validateLastGood(bad func(path, format string, args ...any)) {
	if c.Monitors == nil || c.Monitors.LastGoodDirectory == "" {
		return
	}
	dir := c.Monitors.LastGoodDirectory
	if c.Manifests != nil && within(dir, c.Manifests.Directory) {
		bad("monitors.lastGoodDirectory", "%s is in manifests.directory: what is kept there would count as manifests", dir)
	}
	if c.WAL.Dir != "" && within(dir, c.WAL.Dir) {
		bad("monitors.lastGoodDirectory", "%s is in wal.dir, which the WAL has for itself", dir)
	}
}

// within tells whether a path is a directory or leads into it. Links are not followed.
func within(path, dir string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// jobPrefixes begin the names of jobs that monitors and the nodes block make.
var jobPrefixes = []string{"serviceMonitor/", "podMonitor/", "probe/", "scrapeConfig/", "nodes/"}

// validateJobNames keeps scrape_configs from the names of other jobs.
func (c *Config) validateJobNames(bad func(path, format string, args ...any)) {
	if c.Monitors == nil && c.Nodes == nil {
		return
	}
	for _, sc := range c.ScrapeConfigs {
		for _, p := range jobPrefixes {
			if strings.HasPrefix(sc.JobName, p) {
				bad("scrape_configs", "job_name %q could be that of a monitor: want one that does not begin with %s", sc.JobName, p)
			}
		}
	}
}

// takeExternalLabels adds those of the monitors block to the global ones.
func (c *Config) takeExternalLabels(bad func(path, format string, args ...any)) {
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
	own, err := promconfig.Load(string(text), promslog.NewNopLogger()) // which puts in the environment's variables, too
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

func (m *Monitors) validate(bad func(path, format string, args ...any)) {
	spec := reflect.ValueOf(m.CommonPrometheusFields)
	for i := range spec.NumField() {
		if s, ok := spec.Field(i).Interface().(*labelSelector); ok && s != nil {
			name, _, _ := strings.Cut(spec.Type().Field(i).Tag.Get("json"), ",")
			if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
				bad("monitors."+name, "%v", err)
			}
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

func (n *Nodes) validate(bad func(path, format string, args ...any)) {
	if _, err := k8slabels.Parse(n.Selector); err != nil {
		bad("nodes.selector", "%q: %v", n.Selector, err)
	}
	if err := n.HTTPClientConfig.Validate(); err != nil {
		bad("nodes", "%v", err)
	}
	if n.ScrapeTimeout > n.ScrapeInterval {
		bad("nodes.scrape_timeout", "%s is longer than scrape_interval, %s", n.ScrapeTimeout, n.ScrapeInterval)
	}
	for name, job := range map[string]*NodeJob{"kubelet": &n.Kubelet, "cadvisor": &n.Cadvisor, "probes": &n.Probes, "resource": &n.Resource, "kube_proxy": &n.KubeProxy} {
		if job.ScrapeInterval == 0 {
			job.ScrapeInterval = n.ScrapeInterval
		}
		if job.ScrapeTimeout == 0 {
			job.ScrapeTimeout = min(n.ScrapeTimeout, job.ScrapeInterval)
		}
		if job.ScrapeTimeout > job.ScrapeInterval {
			bad("nodes."+name+".scrape_timeout", "%s is longer than the interval, %s", job.ScrapeTimeout, job.ScrapeInterval)
		}
		if job.Port < 0 || job.Port > 65535 {
			bad("nodes."+name+".port", "%d is no port", job.Port)
		}
		for _, rules := range [][]*relabel.Config{job.RelabelConfigs, job.MetricRelabelConfigs} {
			for _, r := range rules {
				if err := r.Validate(model.UTF8Validation); err != nil {
					bad("nodes."+name, "relabelling: %v", err)
				}
			}
		}
	}
}
