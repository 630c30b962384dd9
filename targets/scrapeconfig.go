package targets

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
)

// scrapeConfig makes one job (checkScrapeConfig and generateScrapeConfig of the operator).
func (c *compiler) scrapeConfig(owner Owner, m *monitoringv1alpha1.ScrapeConfig) ([]*Job, error) {
	spec := &m.Spec
	class, err := c.class(spec.ScrapeClassName)
	if err != nil {
		return nil, err
	}
	if err := c.discoveryFiles(m); err != nil {
		return nil, err
	}
	j := c.job(owner, "scrapeConfig/"+m.Namespace+"/"+m.Name)
	cfg := j.Config
	if err := c.scrapeSettings(cfg, spec); err != nil {
		return nil, err
	}
	if err := c.limits(j, limits{
		samples: spec.SampleLimit, targets: spec.TargetLimit, labels: spec.LabelLimit, nameLength: spec.LabelNameLengthLimit,
		valueLength: spec.LabelValueLengthLimit, keepDropped: spec.KeepDroppedTargets, buckets: spec.NativeHistogramBucketLimit, body: spec.BodySizeLimit,
	}); err != nil {
		return nil, err
	}
	c.protocols(cfg, spec.ScrapeProtocols, spec.FallbackScrapeProtocol, spec.NativeHistogramConfig, class)
	if err := c.scrapeHTTP(j, m, class); err != nil {
		return nil, err
	}
	if err := c.metricRules(j, "", class, spec.MetricRelabelConfigs); err != nil {
		return nil, err
	}
	if err := c.discoveries(j, m); err != nil {
		return nil, err
	}
	return []*Job{j}, c.finish(j, c.scrapeRules(j, spec, class))
}

// scrapeSettings sets how targets are scraped. A field that is set is used even if it is empty.
func (c *compiler) scrapeSettings(cfg *promconfig.ScrapeConfig, spec *monitoringv1alpha1.ScrapeConfigSpec) error {
	if d := spec.ScrapeInterval; d != nil && *d == "" {
		return errors.New("scrapeInterval: empty duration string")
	}
	if d := spec.ScrapeTimeout; d != nil && *d == "" {
		return errors.New("scrapeTimeout: empty duration string")
	}
	if err := c.timing(cfg, value(spec.ScrapeInterval), value(spec.ScrapeTimeout)); err != nil {
		return err
	}
	if spec.MetricsPath != nil {
		cfg.MetricsPath = *spec.MetricsPath
	}
	if len(spec.Params) > 0 {
		cfg.Params = url.Values(spec.Params)
	}
	if spec.Scheme != nil {
		cfg.Scheme = spec.Scheme.String()
	}
	cfg.HonorLabels = value(spec.HonorLabels) && !c.spec.OverrideHonorLabels
	if spec.HonorTimestamps != nil { // a field that is not set is not overridden either
		c.honorTimestamps(cfg, spec.HonorTimestamps)
	}
	cfg.TrackTimestampsStaleness = value(spec.TrackTimestampsStaleness)
	setBool(&cfg.EnableCompression, spec.EnableCompression)
	setBool(&cfg.HTTPClientConfig.EnableHTTP2, spec.EnableHTTP2)
	if s := spec.NameValidationScheme; s != nil {
		if err := cfg.MetricNameValidationScheme.Set(strings.ToLower(string(*s))); err != nil {
			return fmt.Errorf("nameValidationScheme: %w", err)
		}
	}
	if s := spec.NameEscapingScheme; s != nil {
		cfg.MetricNameEscapingScheme = escapingSchemes[*s]
	}
	return nil
}

func (c *compiler) scrapeHTTP(j *Job, m *monitoringv1alpha1.ScrapeConfig, class monitoringv1.ScrapeClass) error {
	b := c.http(j, m.Namespace)
	return firstError(
		func() error { return b.basicAuth(m.Spec.BasicAuth) },
		func() error { return b.safeAuthorization(m.Spec.Authorization, class) },
		func() error { return b.oauth2(m.Spec.OAuth2) },
		func() error { return b.safeTLS(m.Spec.TLSConfig, class) },
		func() error { return b.proxy(m.Spec.ProxyConfig) },
	)
}

// scrapeRules returns the rules for targets. In this kind the class's rules come before the job's name, and the enforced rule is added
// only if there are relabelings.
func (c *compiler) scrapeRules(j *Job, spec *monitoringv1alpha1.ScrapeConfigSpec, class monitoringv1.ScrapeClass) ruleList {
	var l ruleList
	l.copyLabel("__tmp_prometheus_job_name", "job")
	l.ofClass(class, "relabelings", class.Relabelings)
	if spec.JobName != nil {
		l.set("job", *spec.JobName)
	}
	if len(spec.RelabelConfigs) > 0 {
		l.user("relabelings", spec.RelabelConfigs)
		l.enforced(c, j.Owner)
	}
	return l
}

// discoveries sets where the job's targets come from.
func (c *compiler) discoveries(j *Job, m *monitoringv1alpha1.ScrapeConfig) error {
	var all discovery.Configs
	var static discovery.StaticConfig
	for i, s := range m.Spec.StaticConfigs {
		addresses := make([]string, len(s.Targets))
		for n, t := range s.Targets {
			addresses[n] = string(t)
		}
		g, err := staticGroup("", addresses, s.Labels)
		if err != nil {
			return fmt.Errorf("staticConfigs[%d]: %w", i, err)
		}
		static = append(static, g)
	}
	if len(static) > 0 {
		all = append(all, static)
	}
	spec := reflect.ValueOf(m.Spec)
	for i := range spec.NumField() {
		field := jsonName(spec.Type().Field(i))
		mechanism, ok := strings.CutSuffix(field, "SDConfigs")
		if !ok {
			continue
		}
		for n := range spec.Field(i).Len() {
			b := sdBuilder{assets: c.assets, namespace: m.Namespace}
			sds, err := b.load(strings.ToLower(mechanism)+"_sd_configs", spec.Field(i).Index(n).Interface())
			if err != nil {
				return fmt.Errorf("%s[%d]: %w", field, n, err)
			}
			for _, sd := range sds {
				if err := c.environment(sd); err != nil {
					return fmt.Errorf("%s[%d]: %w", field, n, err)
				}
			}
			all = append(all, sds...)
			for _, note := range b.notes {
				j.Notes = append(j.Notes, fmt.Sprintf("%s[%d]: %s", field, n, note))
			}
		}
	}
	return j.divide(all, c.own)
}
