package targets

import (
	"fmt"
	"net/url"
	"runtime/debug"

	"github.com/alecthomas/units"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Result is what became of a monitor.
type Result struct {
	Owner Owner
	Jobs  []*Job
	// Refs are the Secrets and ConfigMaps that the monitor names; when one of them changes it must be compiled anew.
	Refs []Ref
	// Err is why the monitor is rejected, all of it. It wraps ErrPending while a Secret or ConfigMap was not read yet, and a
	// PanicError where the code is wrong.
	Err error
}

// PanicError is a panic that a monitor caused.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Compile translates a monitor, which it does not change.
func (s *Settings) Compile(monitor any, assets Assets) (r Result) {
	c := &compiler{Settings: s, assets: &recorder{assets: assets, asked: map[Ref]bool{}}}
	defer func() {
		if p := recover(); p != nil { // one monitor is not to cost the others theirs
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

// compiler translates one monitor.
type compiler struct {
	*Settings
	assets *recorder
}

// job begins a job with Prometheus's defaults.
func (c *compiler) job(owner Owner, name string) *Job {
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName = name
	return &Job{Name: name, Owner: owner, Config: &cfg}
}

// finish validates the job as Prometheus would, which also fills in what the global settings say.
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
	if err := h.TLSConfig.Validate(); err != nil { // an empty value of a Secret is as none
		return fmt.Errorf("tlsConfig: %w", err)
	}
	if h.OAuth2 != nil {
		if err := h.OAuth2.TLSConfig.Validate(); err != nil {
			return fmt.Errorf("oauth2: tlsConfig: %w", err)
		}
	}
	return j.Config.Validate(c.global)
}

// endpoint is what the endpoints of ServiceMonitors and PodMonitors have in common.
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

// honorTimestamps is AddHonorTimestamps of the operator: nothing said and overridden means false.
func (c *compiler) honorTimestamps(cfg *promconfig.ScrapeConfig, v *bool) {
	if v != nil || c.spec.OverrideHonorTimestamps {
		cfg.HonorTimestamps = value(v) && !c.spec.OverrideHonorTimestamps
	}
}

// timing sets interval and timeout, and compares them as the operator does: with its own interval where the monitor has none.
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
		return fmt.Errorf("scrapeTimeout %q greater than scrapeInterval %q", cfg.ScrapeTimeout, limit)
	}
	return nil
}

// limits are what a monitor says of sizes.
type limits struct {
	samples, targets, labels, nameLength, valueLength, keepDropped *int64
	buckets                                                        *int64 // of a native histogram
	body                                                           *monitoringv1.ByteSize
}

func (c *compiler) limits(cfg *promconfig.ScrapeConfig, l limits) error {
	for _, x := range []struct {
		to             *uint
		name           string
		user, enforced *int64
	}{
		{&cfg.SampleLimit, "sampleLimit", l.samples, c.spec.EnforcedSampleLimit},
		{&cfg.TargetLimit, "targetLimit", l.targets, c.spec.EnforcedTargetLimit},
		{&cfg.LabelLimit, "labelLimit", l.labels, c.spec.EnforcedLabelLimit},
		{&cfg.LabelNameLengthLimit, "labelNameLengthLimit", l.nameLength, c.spec.EnforcedLabelNameLengthLimit},
		{&cfg.LabelValueLengthLimit, "labelValueLengthLimit", l.valueLength, c.spec.EnforcedLabelValueLengthLimit},
		{&cfg.KeepDroppedTargets, "keepDroppedTargets", l.keepDropped, c.spec.EnforcedKeepDroppedTargets},
		{&cfg.NativeHistogramBucketLimit, "nativeHistogramBucketLimit", l.buckets, nil},
	} {
		n := lowerLimit(value(x.user), value(x.enforced))
		if n < 0 {
			return fmt.Errorf("%s: %d is negative; 0 means no limit", x.name, n)
		}
		*x.to = uint(n)
	}
	size, err := lowerSize(value(l.body), c.spec.EnforcedBodySizeLimit)
	if err != nil {
		return fmt.Errorf("bodySizeLimit: %w", err)
	}
	cfg.BodySizeLimit = size
	return nil
}

// lowerLimit is getLimit of the operator: where the user sets none, the global limit applies, which knows the enforced one.
func lowerLimit(user, enforced int64) int64 {
	if enforced == 0 || user == 0 || user < enforced {
		return user
	}
	return enforced
}

// lowerSize is getLowerByteSize of the operator: a user's 0 is lower than any, and means the global limit.
func lowerSize(user, enforced monitoringv1.ByteSize) (units.Base2Bytes, error) {
	own, err := size(user)
	if err != nil {
		return 0, err
	}
	most, err := size(enforced)
	if err != nil || enforced == "" || user != "" && own <= most {
		return own, err
	}
	return most, nil
}

func size(s monitoringv1.ByteSize) (units.Base2Bytes, error) {
	if s == "" {
		return 0, nil
	}
	return units.ParseBase2Bytes(string(s))
}

// protocols sets what the target is asked for and how histograms are read (addScrapeProtocols, addNativeHistogramConfig).
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

// metricRules are the rules for samples: of the class, of the monitor, whose fields stand behind at, and what is enforced.
func (c *compiler) metricRules(j *Job, at string, class monitoringv1.ScrapeClass, user []monitoringv1.RelabelConfig) error {
	l := ruleList{at: at}
	l.ofClass(class, "metricRelabelings", class.MetricRelabelings)
	l.user("metricRelabelings", user)
	l.enforced(c, j.Owner)
	j.Config.MetricRelabelConfigs, j.MetricOrigins = l.rules, l.origins
	return l.err
}

// namespaces are those in which a monitor of ns finds its objects (getNamespacesFromNamespaceSelector); none means all.
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

// source is where a job's groups come from. With the mechanism RoleSelector the objects of roles are selected at the source.
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

// selectorText is a selector as a person writes it, empty for one that takes all.
func selectorText(sel metav1.LabelSelector) string {
	s, err := parseSelector(sel)
	if err != nil {
		return ""
	}
	return s.String()
}

// byRelabelling tells whether a monitor selects by rules, which is the default.
func byRelabelling(m *monitoringv1.SelectorMechanism) bool {
	return m == nil || *m == monitoringv1.SelectorMechanismRelabel
}
