package targets

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// serviceMonitor makes one job for each endpoint (checkServiceMonitor and generateServiceMonitorConfig of the operator).
func (c *compiler) serviceMonitor(owner Owner, m *monitoringv1.ServiceMonitor) ([]*Job, error) {
	class, err := c.class(m.Spec.ScrapeClassName)
	if err != nil {
		return nil, err
	}
	if _, err := parseSelector(m.Spec.Selector); err != nil { // also where there are no endpoints
		return nil, err
	}
	var jobs []*Job
	for i := range m.Spec.Endpoints {
		j := c.job(owner, fmt.Sprintf("serviceMonitor/%s/%s/%d", m.Namespace, m.Name, i))
		if err := c.serviceEndpoint(j, m, i, class); err != nil {
			return nil, fmt.Errorf("endpoints[%d]: %w", i, err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func (c *compiler) serviceEndpoint(j *Job, m *monitoringv1.ServiceMonitor, index int, class monitoringv1.ScrapeClass) error {
	cfg, e := j.Config, &m.Spec.Endpoints[index]
	if err := e.Validate(); err != nil {
		return err
	}
	if err := c.endpoint(cfg, endpoint{
		path: e.Path, scheme: e.Scheme, params: e.Params, interval: e.Interval, timeout: e.ScrapeTimeout,
		honorLabels: e.HonorLabels, honorTimestamps: e.HonorTimestamps, trackStaleness: e.TrackTimestampsStaleness,
		followRedirects: e.FollowRedirects, enableHTTP2: e.EnableHTTP2,
	}); err != nil {
		return err
	}
	if err := c.files(j, e); err != nil {
		return err
	}
	if err := c.serviceHTTP(j, m.Namespace, e, class); err != nil {
		return err
	}
	role := RoleEndpoints
	switch {
	case m.Spec.ServiceDiscoveryRole == nil && !c.roleGiven && usesEndpoints(e.RelabelConfigs, class.Relabelings):
		j.Notes = append(j.Notes, "runs by Endpoints, not EndpointSlices, since its relabelings name labels that only Endpoints have")
	case roleOf(m.Spec.ServiceDiscoveryRole, c.spec.ServiceDiscoveryRole) == monitoringv1.EndpointSliceRole:
		role = RoleEndpointSlice
	}
	src, err := c.source(role, m.Spec.AttachMetadata, class, m.Spec.SelectorMechanism, m.Spec.Selector, role, RoleService)
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
	if err := c.metricRules(j, fmt.Sprintf("endpoints[%d].", index), class, e.MetricRelabelConfigs); err != nil {
		return err
	}
	return c.finish(j, c.serviceRules(j, m, index, class, role))
}

func roleOf(own, def *monitoringv1.ServiceDiscoveryRole) monitoringv1.ServiceDiscoveryRole {
	if own != nil {
		return *own
	}
	return value(def)
}

func (c *compiler) serviceHTTP(j *Job, ns string, e *monitoringv1.Endpoint, class monitoringv1.ScrapeClass) error {
	b := c.http(j, ns)
	j.Config.HTTPClientConfig.BearerTokenFile = e.BearerTokenFile
	return firstError(
		func() error { return b.bearerToken(e.BearerTokenSecret) },
		func() error { return b.basicAuth(e.BasicAuth) },
		func() error { return b.tls(e.TLSConfig, class) },
		func() error { return b.oauth2(e.OAuth2) },
		func() error { return b.safeAuthorization(e.Authorization, class) },
		func() error { return b.proxy(e.ProxyConfig) },
	)
}

func (c *compiler) serviceRules(j *Job, m *monitoringv1.ServiceMonitor, index int, class monitoringv1.ScrapeClass, role string) ruleList {
	e := &m.Spec.Endpoints[index]
	l := ruleList{at: fmt.Sprintf("endpoints[%d].", index)}
	l.copyLabel("__tmp_prometheus_job_name", "job")
	if byRelabelling(m.Spec.SelectorMechanism) {
		l.selector(RoleService, m.Spec.Selector)
		j.Select = l.rules[1:]
	}
	meta := "__meta_kubernetes_endpoint"
	if role == RoleEndpointSlice {
		meta = "__meta_kubernetes_endpointslice"
	}
	switch {
	case e.Port != "":
		l.port("port", e.Port, meta+"_port_name")
	case e.TargetPort != nil && e.TargetPort.StrVal != "":
		l.port("targetPort", e.TargetPort.String(), "__meta_kubernetes_pod_container_port_name")
	case e.TargetPort != nil && e.TargetPort.IntVal != 0:
		l.port("targetPort", e.TargetPort.String(), "__meta_kubernetes_pod_container_port_number")
	}
	l.replace("node", "${1}", ofNode, meta+"_address_target_kind", meta+"_address_target_name")
	l.replace("pod", "${1}", ofPod, meta+"_address_target_kind", meta+"_address_target_name")
	l.copyLabel("namespace", "__meta_kubernetes_namespace")
	l.copyLabel("service", "__meta_kubernetes_service_name")
	l.copyLabel("pod", "__meta_kubernetes_pod_name")
	l.copyLabel("container", "__meta_kubernetes_pod_container_name")
	l.running(e.FilterRunning)
	l.labelsFrom(RoleService, m.Spec.TargetLabels...)
	l.labelsFrom(RolePod, m.Spec.PodTargetLabels...)
	l.labelsFrom(RolePod, c.spec.PodTargetLabels...)
	l.replace("job", "${1}", anything, "__meta_kubernetes_service_name")
	if m.Spec.JobLabel != "" {
		l.replace("job", "${1}", something, objectLabel(RoleService, sanitize(m.Spec.JobLabel)))
	}
	switch {
	case e.Port != "":
		l.set("endpoint", e.Port)
	case e.TargetPort != nil && e.TargetPort.String() != "":
		l.set("endpoint", e.TargetPort.String())
	}
	l.ofClass(class, "relabelings", class.Relabelings)
	l.user("relabelings", e.RelabelConfigs)
	l.enforced(c, j.Owner)
	return l
}
