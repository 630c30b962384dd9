package targets

import (
	"fmt"
	"strconv"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// podMonitor makes one job for each endpoint (checkPodMonitor and generatePodMonitorConfig of the operator).
func (c *compiler) podMonitor(owner Owner, m *monitoringv1.PodMonitor) ([]*Job, error) {
	class, err := c.class(m.Spec.ScrapeClassName)
	if err != nil {
		return nil, err
	}
	if _, err := parseSelector(m.Spec.Selector); err != nil { // also where there are no endpoints
		return nil, err
	}
	var jobs []*Job
	for i := range m.Spec.PodMetricsEndpoints {
		j := c.job(owner, fmt.Sprintf("podMonitor/%s/%s/%d", m.Namespace, m.Name, i))
		if err := c.podEndpoint(j, m, i, class); err != nil {
			return nil, fmt.Errorf("podMetricsEndpoints[%d]: %w", i, err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func (c *compiler) podEndpoint(j *Job, m *monitoringv1.PodMonitor, index int, class monitoringv1.ScrapeClass) error {
	cfg, e := j.Config, &m.Spec.PodMetricsEndpoints[index]
	if err := c.endpoint(cfg, endpoint{
		path: e.Path, scheme: e.Scheme, params: e.Params, interval: e.Interval, timeout: e.ScrapeTimeout,
		honorLabels: e.HonorLabels, honorTimestamps: e.HonorTimestamps, trackStaleness: e.TrackTimestampsStaleness,
		followRedirects: e.FollowRedirects, enableHTTP2: e.EnableHTTP2,
	}); err != nil {
		return err
	}
	if err := c.safeHTTP(j, m.Namespace, e.HTTPConfigWithProxy, class); err != nil {
		return err
	}
	src, err := c.source(RolePod, m.Spec.AttachMetadata, class, m.Spec.SelectorMechanism, m.Spec.Selector, RolePod)
	if err != nil {
		return err
	}
	j.Selector = selectorText(m.Spec.Selector)
	j.Discoveries = []Discovery{{Source: src, Namespaces: c.namespaces(m.Spec.NamespaceSelector, m.Namespace)}}
	if err := c.limits(j, limits{
		samples: m.Spec.SampleLimit, targets: m.Spec.TargetLimit, labels: m.Spec.LabelLimit, nameLength: m.Spec.LabelNameLengthLimit,
		valueLength: m.Spec.LabelValueLengthLimit, keepDropped: m.Spec.KeepDroppedTargets, buckets: m.Spec.NativeHistogramBucketLimit, body: m.Spec.BodySizeLimit,
	}); err != nil {
		return err
	}
	c.protocols(cfg, m.Spec.ScrapeProtocols, m.Spec.FallbackScrapeProtocol, m.Spec.NativeHistogramConfig, class)
	if err := c.metricRules(j, fmt.Sprintf("podMetricsEndpoints[%d].", index), class, e.MetricRelabelConfigs); err != nil {
		return err
	}
	return c.finish(j, c.podRules(j, m, index, class))
}

// safeHTTP is the HTTP part of kinds that may not name files (addHTTPConfigToStore of the operator).
func (c *compiler) safeHTTP(j *Job, ns string, h monitoringv1.HTTPConfigWithProxy, class monitoringv1.ScrapeClass) error {
	if err := h.Validate(); err != nil {
		return err
	}
	b := c.http(j, ns)
	if t := h.BearerTokenSecret; t != nil && t.Key == "" { // in this kind it counts as not set
		h.BearerTokenSecret = nil
	}
	return firstError(
		func() error { return b.bearerToken(h.BearerTokenSecret) },
		func() error { return b.basicAuth(h.BasicAuth) },
		func() error { return b.safeTLS(h.TLSConfig, class) },
		func() error { return b.oauth2(h.OAuth2) },
		func() error { return b.safeAuthorization(h.Authorization, class) },
		func() error { return b.proxy(h.ProxyConfig) },
	)
}

func (c *compiler) podRules(j *Job, m *monitoringv1.PodMonitor, index int, class monitoringv1.ScrapeClass) ruleList {
	e := &m.Spec.PodMetricsEndpoints[index]
	l := ruleList{at: fmt.Sprintf("podMetricsEndpoints[%d].", index)}
	l.copyLabel("__tmp_prometheus_job_name", "job")
	j.Ended = l.running(e.FilterRunning)
	if byRelabelling(m.Spec.SelectorMechanism) {
		l.selector(RolePod, m.Spec.Selector)
	}
	j.Select = l.rules[1:]
	port := value(e.Port)
	switch {
	case port != "":
		l.port("port", port, "__meta_kubernetes_pod_container_port_name")
	case value(e.PortNumber) != 0:
		l.port("portNumber", strconv.Itoa(int(*e.PortNumber)), "__meta_kubernetes_pod_container_port_number")
	case e.TargetPort != nil && e.TargetPort.StrVal != "":
		l.port("targetPort", e.TargetPort.String(), "__meta_kubernetes_pod_container_port_name")
	case e.TargetPort != nil && e.TargetPort.IntVal != 0:
		l.port("targetPort", e.TargetPort.String(), "__meta_kubernetes_pod_container_port_number")
	}
	l.copyLabel("namespace", "__meta_kubernetes_namespace")
	l.copyLabel("container", "__meta_kubernetes_pod_container_name")
	l.copyLabel("pod", "__meta_kubernetes_pod_name")
	l.labelsFrom(RolePod, m.Spec.PodTargetLabels...)
	l.labelsFrom(RolePod, c.spec.PodTargetLabels...)
	l.set("job", m.Namespace+"/"+m.Name)
	if m.Spec.JobLabel != "" {
		l.replace("job", "${1}", something, objectLabel(RolePod, sanitize(m.Spec.JobLabel)))
	}
	switch {
	case port != "":
		l.set("endpoint", port)
	case e.TargetPort != nil && e.TargetPort.String() != "":
		l.set("endpoint", e.TargetPort.String())
	}
	l.ofClass(class, "relabelings", class.Relabelings)
	l.user("relabelings", e.RelabelConfigs)
	l.enforced(c, j.Owner)
	return l
}
