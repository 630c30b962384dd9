package targets

import (
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/units"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Result is the result of compiling a monitor.
type Result struct {
	Owner Owner
	Jobs  []*Job
	// Refs are the Secrets and ConfigMaps that the monitor refers to. When one of them changes, compile the monitor again.
	Refs []Ref
	// Err is why the whole monitor is rejected. It wraps ErrPending while a Secret or ConfigMap was not read yet, and is a PanicError
	// after a panic.
	Err error
}

// PanicError is a panic while a monitor was compiled.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Compile compiles a monitor to jobs. It does not change the monitor.
func (s *Settings) Compile(monitor any, assets Assets) (r Result) {
	c := &compiler{Settings: s, assets: &recorder{assets: assets, asked: map[Ref]bool{}}}
	defer func() {
		if p := recover(); p != nil { // only this monitor is rejected
			r.Err = &PanicError{Value: p, Stack: debug.Stack()}
		}
		if r.Err != nil {
			r.Jobs = nil
		}
		for ref := range c.assets.asked {
			r.Refs = append(r.Refs, ref)
		}
	}()
	switch m := monitor.(type) {
	case *monitoringv1.ServiceMonitor:
		r.Owner = Owner{ServiceMonitor, m.Namespace, m.Name}
		r.Jobs, r.Err = c.serviceMonitor(r.Owner, m)
	case *monitoringv1.PodMonitor:
		r.Owner = Owner{PodMonitor, m.Namespace, m.Name}
		r.Jobs, r.Err = c.podMonitor(r.Owner, m)
	case *monitoringv1.Probe:
		r.Owner = Owner{Probe, m.Namespace, m.Name}
		r.Jobs, r.Err = c.probe(r.Owner, m)
	case *monitoringv1alpha1.ScrapeConfig:
		r.Owner = Owner{ScrapeConfig, m.Namespace, m.Name}
		r.Jobs, r.Err = c.scrapeConfig(r.Owner, m)
	default:
		r.Err = fmt.Errorf("monitor of unknown type %T", monitor)
	}
	return r
}

// compiler compiles one monitor.
type compiler struct {
	*Settings
	assets *recorder
}

// job returns a job with Prometheus's defaults.
func (c *compiler) job(owner Owner, name string) *Job {
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName = name
	return &Job{Name: name, Owner: owner, Config: &cfg, Half: c.halves[owner.Kind]}
}

// finish sets the rules of a job and validates it as Prometheus does, which also fills in the global settings.
func (c *compiler) finish(j *Job, l ruleList) error {
	if l.err != nil {
		return l.err
	}
	j.Config.RelabelConfigs, j.Origins, j.Demands = l.rules, l.origins, l.demands
	j.Port = j.portRule()
	h := &j.Config.HTTPClientConfig
	if err := h.Validate(); err != nil {
		return err
	}
	if err := h.TLSConfig.Validate(); err != nil { // an empty value of a Secret counts as missing
		return fmt.Errorf("tlsConfig: %w", err)
	}
	if h.OAuth2 != nil {
		if err := h.OAuth2.TLSConfig.Validate(); err != nil {
			return fmt.Errorf("oauth2: tlsConfig: %w", err)
		}
	}
	return j.Config.Validate(c.global)
}

// endpoint holds the fields that the endpoints of ServiceMonitors and PodMonitors have in common.
type endpoint struct {
	path     string
	scheme   *monitoringv1.Scheme
	params   map[string][]string
	interval monitoringv1.Duration
	timeout  monitoringv1.Duration

	honorLabels     bool
	honorTimestamps *bool
	trackStaleness  *bool
	followRedirects *bool
	enableHTTP2     *bool
}

func (c *compiler) endpoint(cfg *promconfig.ScrapeConfig, e endpoint) error {
	if err := c.timing(cfg, e.interval, e.timeout); err != nil {
		return err
	}
	if e.path != "" {
		cfg.MetricsPath = e.path
	}
	if e.params != nil {
		cfg.Params = url.Values(e.params)
	}
	if e.scheme != nil {
		cfg.Scheme = e.scheme.String()
	}
	cfg.HonorLabels = e.honorLabels && !c.spec.OverrideHonorLabels
	c.honorTimestamps(cfg, e.honorTimestamps)
	cfg.TrackTimestampsStaleness = value(e.trackStaleness)
	setBool(&cfg.HTTPClientConfig.FollowRedirects, e.followRedirects)
	setBool(&cfg.HTTPClientConfig.EnableHTTP2, e.enableHTTP2)
	return nil
}

func setBool(to *bool, v *bool) {
	if v != nil {
		*to = *v
	}
}

// honorTimestamps is AddHonorTimestamps of the operator: a field that is not set is false where it is overridden.
func (c *compiler) honorTimestamps(cfg *promconfig.ScrapeConfig, v *bool) {
	if v != nil || c.spec.OverrideHonorTimestamps {
		cfg.HonorTimestamps = value(v) && !c.spec.OverrideHonorTimestamps
	}
}

// timing sets interval and timeout. As in the operator, the timeout may not exceed the global interval if the monitor sets no interval.
func (c *compiler) timing(cfg *promconfig.ScrapeConfig, interval, timeout monitoringv1.Duration) (err error) {
	if interval != "" {
		if cfg.ScrapeInterval, err = model.ParseDuration(string(interval)); err != nil {
			return fmt.Errorf("interval: %w", err)
		}
	}
	if timeout == "" {
		return nil
	}
	if cfg.ScrapeTimeout, err = model.ParseDuration(string(timeout)); err != nil {
		return fmt.Errorf("scrapeTimeout: %w", err)
	}
	limit := cfg.ScrapeInterval
	if interval == "" {
		limit = c.global.ScrapeInterval
	}
	if cfg.ScrapeTimeout > limit {
		return mendable{
			fmt.Errorf("scrapeTimeout %q greater than scrapeInterval %q", cfg.ScrapeTimeout, limit),
			fmt.Sprintf("set scrapeTimeout to at most %s, or the interval to at least %s, in $FIELD", limit, cfg.ScrapeTimeout),
		}
	}
	return nil
}

// limits holds the limits that a monitor sets.
type limits struct {
	samples, targets, labels, nameLength, valueLength, keepDropped *int64
	buckets                                                        *int64 // of a native histogram
	body                                                           *monitoringv1.ByteSize
}

func (c *compiler) limits(j *Job, l limits) error {
	cfg := j.Config
	j.Limits = map[string]string{}
	for _, x := range []struct {
		to             *uint
		name, key      string
		user, enforced *int64
		global         *int64 // of the monitors block
	}{
		{&cfg.SampleLimit, "sampleLimit", "sample_limit", l.samples, c.spec.EnforcedSampleLimit, c.spec.SampleLimit},
		{&cfg.TargetLimit, "targetLimit", "target_limit", l.targets, c.spec.EnforcedTargetLimit, c.spec.TargetLimit},
		{&cfg.LabelLimit, "labelLimit", "label_limit", l.labels, c.spec.EnforcedLabelLimit, c.spec.LabelLimit},
		{&cfg.LabelNameLengthLimit, "labelNameLengthLimit", "label_name_length_limit", l.nameLength, c.spec.EnforcedLabelNameLengthLimit, c.spec.LabelNameLengthLimit},
		{&cfg.LabelValueLengthLimit, "labelValueLengthLimit", "label_value_length_limit", l.valueLength, c.spec.EnforcedLabelValueLengthLimit, c.spec.LabelValueLengthLimit},
		{&cfg.KeepDroppedTargets, "keepDroppedTargets", "keep_dropped_targets", l.keepDropped, c.spec.EnforcedKeepDroppedTargets, c.spec.KeepDroppedTargets},
		{&cfg.NativeHistogramBucketLimit, "nativeHistogramBucketLimit", "native_histogram_bucket_limit", l.buckets, nil, nil},
	} {
		n := lowerLimit(value(x.user), value(x.enforced))
		if n < 0 {
			return fmt.Errorf("%s: %d is negative; 0 means no limit", x.name, n)
		}
		*x.to = uint(n)
		own, least := value(x.user), value(x.enforced)
		if own == 0 {
			own = value(x.global)
		}
		j.noteLimit(x.key, x.name, value(x.user) > 0, least > 0 && (own <= 0 || least < own))
	}
	size, err := lowerSize(value(l.body), c.spec.EnforcedBodySizeLimit)
	if err != nil {
		return fmt.Errorf("bodySizeLimit: %w", err)
	}
	cfg.BodySizeLimit = size
	own, _ := units.ParseBase2Bytes(string(value(l.body)))
	j.noteLimit("body_size_limit", "bodySizeLimit", value(l.body) != "", size < own)
	return nil
}

// noteLimit notes where a limit comes from that is not the monitor's own. Given says that the monitor has one, and lowered that the
// enforced one is lower.
func (j *Job) noteLimit(key, field string, given, lowered bool) {
	switch {
	case lowered:
		j.Limits[key] = "monitors.enforced" + strings.ToUpper(field[:1]) + field[1:]
	case !given:
		j.Limits[key] = "monitors." + field
	}
}

// lowerLimit is getLimit of the operator. If the user sets no limit, the global one applies, which already includes the enforced one.
func lowerLimit(user, enforced int64) int64 {
	if enforced == 0 || user == 0 || user < enforced {
		return user
	}
	return enforced
}

// lowerSize is getLowerByteSize of the operator. The user's 0 is the lowest size and means the global limit.
func lowerSize(user, enforced monitoringv1.ByteSize) (units.Base2Bytes, error) {
	own, err := size(user)
	if err != nil {
		return 0, err
	}
	limit, err := size(enforced)
	if err != nil || enforced == "" || user != "" && own <= limit {
		return own, err
	}
	return limit, nil
}

func size(s monitoringv1.ByteSize) (units.Base2Bytes, error) {
	if s == "" {
		return 0, nil
	}
	return units.ParseBase2Bytes(string(s))
}

// protocols sets the formats to ask the target for and how to read histograms (addScrapeProtocols, addNativeHistogramConfig).
func (c *compiler) protocols(cfg *promconfig.ScrapeConfig, ps []monitoringv1.ScrapeProtocol, fallback *monitoringv1.ScrapeProtocol,
	h monitoringv1.NativeHistogramConfig, class monitoringv1.ScrapeClass,
) {
	for _, p := range ps {
		cfg.ScrapeProtocols = append(cfg.ScrapeProtocols, promconfig.ScrapeProtocol(p))
	}
	if fallback == nil {
		fallback = class.FallbackScrapeProtocol
	}
	cfg.ScrapeFallbackProtocol = promconfig.ScrapeProtocol(value(fallback))
	cfg.ScrapeNativeHistograms = h.ScrapeNativeHistograms
	if f := h.NativeHistogramMinBucketFactor; f != nil {
		cfg.NativeHistogramMinBucketFactor = f.AsApproximateFloat64()
	}
	cfg.AlwaysScrapeClassicHistograms = h.ScrapeClassicHistograms
	cfg.ConvertClassicHistogramsToNHCB = h.ConvertClassicHistogramsToNHCB
}

// metricRules sets the rules for samples: those of the class, those of the monitor, and the enforced one. At is the path of the
// monitor's fields.
func (c *compiler) metricRules(j *Job, at string, class monitoringv1.ScrapeClass, user []monitoringv1.RelabelConfig) error {
	l := ruleList{at: at}
	l.ofClass(class, "metricRelabelings", class.MetricRelabelings)
	l.user("metricRelabelings", user)
	l.enforced(c, j.Owner)
	j.Config.MetricRelabelConfigs, j.MetricOrigins = l.rules, l.origins
	return l.err
}

// namespaces returns the namespaces where a monitor of ns looks for objects (getNamespacesFromNamespaceSelector); none means all.
func (c *compiler) namespaces(sel monitoringv1.NamespaceSelector, ns string) []string {
	switch {
	case c.spec.IgnoreNamespaceSelectors:
		return []string{ns}
	case sel.Any:
		return nil
	case len(sel.MatchNames) == 0:
		return []string{ns}
	}
	return allOr(sel.MatchNames)
}

// source returns the Source of a job's groups. With the mechanism RoleSelector it selects the objects of roles.
func (c *compiler) source(role string, attach *monitoringv1.AttachMetadata, class monitoringv1.ScrapeClass, mechanism *monitoringv1.SelectorMechanism,
	sel metav1.LabelSelector, roles ...string,
) (Source, error) {
	if attach == nil {
		attach = class.AttachMetadata
	}
	src := Source{Role: role}
	if attach != nil {
		src.Attach.Node = value(attach.Node)
	}
	s, err := parseSelector(sel)
	if err != nil {
		return src, err
	}
	if !byRelabelling(mechanism) {
		byRole := map[string]Selector{}
		for _, r := range roles {
			byRole[r] = Selector{Labels: s}
		}
		src.Selectors = NewSelectors(byRole)
	}
	return src, nil
}

func parseSelector(sel metav1.LabelSelector) (k8slabels.Selector, error) {
	s, err := metav1.LabelSelectorAsSelector(&sel)
	if err != nil {
		return nil, fmt.Errorf("selector: %w", err)
	}
	return s, nil
}

// selectorText is a selector in kubectl's syntax, empty if it selects all objects.
func selectorText(sel metav1.LabelSelector) string {
	s, err := parseSelector(sel)
	if err != nil {
		return ""
	}
	return s.String()
}

// byRelabelling reports whether a monitor selects by rules, which is the default.
func byRelabelling(m *monitoringv1.SelectorMechanism) bool {
	return m == nil || *m == monitoringv1.SelectorMechanismRelabel
}
