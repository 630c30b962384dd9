package targets

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/asaskevich/govalidator"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/relabel"
)

// probe makes one job (checkProbe and generateProbeConfig of the operator).
func (c *compiler) probe(owner Owner, m *monitoringv1.Probe) ([]*Job, error) {
	class, err := c.class(m.Spec.ScrapeClassName)
	if err != nil {
		return nil, err
	}
	if err := m.Spec.Targets.Validate(); err != nil {
		return nil, err
	}
	prober := m.Spec.ProberSpec
	if err := validProber(prober.URL); err != nil {
		return nil, fmt.Errorf("prober.url: %w", mendable{err, mendProber(prober.URL)})
	}
	j := c.job(owner, "probe/"+m.Namespace+"/"+m.Name)
	cfg := j.Config
	cfg.HonorTimestamps = !c.spec.OverrideHonorTimestamps
	cfg.MetricsPath = prober.Path
	if prober.Scheme != nil {
		cfg.Scheme = prober.Scheme.String()
	}
	cfg.Params = probeParams(m.Spec)
	if err := c.timing(cfg, m.Spec.Interval, m.Spec.ScrapeTimeout); err != nil {
		return nil, err
	}
	if err := c.limits(j, limits{
		samples: m.Spec.SampleLimit, targets: m.Spec.TargetLimit, labels: m.Spec.LabelLimit, nameLength: m.Spec.LabelNameLengthLimit,
		valueLength: m.Spec.LabelValueLengthLimit, keepDropped: m.Spec.KeepDroppedTargets, buckets: m.Spec.NativeHistogramBucketLimit,
	}); err != nil {
		return nil, err
	}
	c.protocols(cfg, m.Spec.ScrapeProtocols, m.Spec.FallbackScrapeProtocol, m.Spec.NativeHistogramConfig, class)
	if err := c.probeHTTP(j, m, class); err != nil {
		return nil, err
	}
	if err := c.metricRules(j, "", class, m.Spec.MetricRelabelConfigs); err != nil {
		return nil, err
	}
	l, err := c.probeTargets(j, m, class)
	if err != nil {
		return nil, err
	}
	return []*Job{j}, c.finish(j, l)
}

// validProber returns an error for a text that is neither a host nor a host and a port (validateProberURL of the
// operator).
func validProber(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, ""
	}
	if !govalidator.IsHost(host) {
		return fmt.Errorf("%q: invalid host %q, want host or host:port", s, host)
	}
	if err == nil && !govalidator.IsPort(port) {
		return fmt.Errorf("%q: invalid port %q, want host or host:port", s, port)
	}
	return nil
}

func probeParams(spec monitoringv1.ProbeSpec) url.Values {
	params := url.Values{}
	if spec.Module != "" {
		params["module"] = []string{spec.Module}
	}
	for _, p := range spec.Params {
		if spec.Module == "" || p.Name != "module" {
			params[p.Name] = p.Values
		}
	}
	if len(params) == 0 {
		return nil
	}
	return params
}

func (c *compiler) probeHTTP(j *Job, m *monitoringv1.Probe, class monitoringv1.ScrapeClass) error {
	h := &j.Config.HTTPClientConfig
	setBool(&h.FollowRedirects, m.Spec.FollowRedirects)
	setBool(&h.EnableHTTP2, m.Spec.EnableHTTP2)
	b := c.http(j, m.Namespace)
	if sel := m.Spec.BearerTokenSecret; sel != nil { // in this kind even one without a name is read
		v, err := b.secret(*sel)
		if err != nil {
			return fmt.Errorf("bearerTokenSecret: %w", err)
		}
		h.BearerToken = v
	}
	return firstError(
		func() error { return b.basicAuth(m.Spec.BasicAuth) },
		func() error { return b.safeTLS(m.Spec.TLSConfig, class) },
		func() error { return b.safeAuthorization(m.Spec.Authorization, class) },
		func() error { return b.oauth2(m.Spec.OAuth2) },
		func() error { return b.proxy(m.Spec.ProberSpec.ProxyConfig) },
	)
}

func (c *compiler) probeTargets(j *Job, m *monitoringv1.Probe, class monitoringv1.ScrapeClass) (ruleList, error) {
	var l ruleList
	l.copyLabel("__tmp_prometheus_job_name", "job")
	if m.Spec.JobName != "" {
		l.set("job", m.Spec.JobName)
	}
	ingress := m.Spec.Targets.Ingress
	if static := m.Spec.Targets.StaticConfig; static != nil {
		if ingress != nil { // static targets override it, but the operator validates it
			if _, err := rules(overridden(ingress.RelabelConfigs)); err != nil {
				return l, fmt.Errorf("targets.ingress.relabelingConfigs%w", err)
			}
		}
		group, err := staticGroup("0", static.Targets, static.Labels)
		if err != nil {
			return l, fmt.Errorf("targets.staticConfig.%w", err)
		}
		if _, ok := group.Labels["namespace"]; !ok {
			group.Labels["namespace"] = model.LabelValue(m.Namespace)
		}
		j.Static = []*targetgroup.Group{group}
		l.copyLabel("__param_target", "__address__")
		l.copyLabel("instance", "__param_target")
		l.set("__address__", m.Spec.ProberSpec.URL)
		l.ofClass(class, "relabelings", class.Relabelings)
		l.user("targets.staticConfig.relabelingConfigs", static.RelabelConfigs)
		l.enforced(c, j.Owner)
		return l, nil
	}
	l.selector(RoleIngress, ingress.Selector)
	j.Select = l.rules[1:]
	if m.Spec.JobName != "" {
		j.Select = l.rules[2:]
	}
	j.Selector = selectorText(ingress.Selector)
	j.Discoveries = []Discovery{{Source: Source{Role: RoleIngress}, Namespaces: c.namespaces(ingress.NamespaceSelector, m.Namespace)}}
	l.replace("__param_target", "${1}://${2}${3}", threeParts, "__meta_kubernetes_ingress_scheme", "__address__", "__meta_kubernetes_ingress_path")
	l.copyLabel("namespace", "__meta_kubernetes_namespace")
	l.copyLabel("ingress", "__meta_kubernetes_ingress_name")
	l.copyLabel("__tmp_ingress_address", "__address__")
	l.copyLabel("instance", "__param_target")
	l.set("__address__", m.Spec.ProberSpec.URL)
	l.ofClass(class, "relabelings", class.Relabelings)
	l.user("targets.ingress.relabelingConfigs", ingress.RelabelConfigs)
	l.enforced(c, j.Owner)
	return l, nil
}

// overridden removes from unused rules the parts that only Prometheus rejects, because Prometheus never sees unused
// rules.
func overridden(rcs []monitoringv1.RelabelConfig) []monitoringv1.RelabelConfig {
	out := slices.DeleteFunc(slices.Clone(rcs), func(r monitoringv1.RelabelConfig) bool {
		return r.Action != "" && !slices.Contains(actions, relabel.Action(strings.ToLower(r.Action)))
	})
	for i := range out {
		r := &out[i]
		r.Modulus = max(r.Modulus, -r.Modulus)
		if r.Regex == "(.*)" { // some actions reject even the default
			r.Regex = ""
		}
		if action := relabel.Action(strings.ToLower(r.Action)); action != relabel.LabelDrop && action != relabel.LabelKeep {
			r.SourceLabels = nil
		}
	}
	return out
}

// staticGroup makes a group of addresses that share labels.
func staticGroup(source string, addresses []string, labels map[string]string) (*targetgroup.Group, error) {
	g := &targetgroup.Group{Source: source, Labels: model.LabelSet{}}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	names := make([]string, 0, len(labels))
	for n := range labels {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if !model.UTF8Validation.IsValidLabelName(n) {
			return nil, fmt.Errorf("labels: invalid label %q", n)
		}
		g.Labels[model.LabelName(n)] = model.LabelValue(labels[n])
	}
	return g, nil
}
