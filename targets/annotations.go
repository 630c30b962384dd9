package targets

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/config"
)

// AnnotationJobs makes the jobs of Services and Pods with annotations. Names of jobs and labels of targets are those of the jobs
// kubernetes-service-endpoints and kubernetes-pods, and their slow forms, of Prometheus's Helm chart.
func AnnotationJobs(a *config.Annotations, global promconfig.GlobalConfig) ([]*Job, error) {
	var jobs []*Job
	for i, form := range []annotated{
		{a, RoleService, "service-endpoints", false},
		{a, RoleService, "service-endpoints-slow", true},
		{a, RolePod, "pods", false},
		{a, RolePod, "pods-slow", true},
	} {
		if form.role == RoleService && !a.Services || form.role == RolePod && !a.Pods {
			continue
		}
		j, err := form.job(global)
		if err != nil {
			return nil, fmt.Errorf("annotations: %w", err)
		}
		j.Yields = YieldsToAll + Yield(i) // a Pod's page is left to its Service
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// annotated is one of the jobs.
type annotated struct {
	*config.Annotations
	role string // of the objects that have the annotations
	name string
	slow bool
}

// key is the name of an annotation.
func (a annotated) key(name string) string { return a.Prefix + "/" + name }

// label is the label of discovery of an annotation.
func (a annotated) label(name string) string {
	return "__meta_kubernetes_" + a.role + "_annotation_" + sanitize(a.key(name))
}

func (a annotated) job(global promconfig.GlobalConfig) (*Job, error) {
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName = "annotations/" + a.name
	cfg.ScrapeInterval, cfg.ScrapeTimeout = a.ScrapeInterval, a.ScrapeTimeout
	asks := a.key("scrape")
	if a.slow {
		cfg.ScrapeInterval, cfg.ScrapeTimeout = a.SlowScrapeInterval, a.SlowScrapeTimeout
		asks = a.key("scrape-slow")
	}
	cfg.HonorLabels, cfg.HTTPClientConfig = a.HonorLabels, a.HTTPClientConfig
	j := &Job{Name: cfg.JobName, Owner: Owner{Kind: AnnotationsBlock}, Config: &cfg, Annotation: asks}
	role := RolePod
	if a.role == RoleService {
		role = RoleEndpointSlice
	}
	j.Discoveries = []Discovery{{Source: Source{Role: role, Attach: Attach{Namespace: a.NamespaceSelector != ""}}, Namespaces: a.Namespaces}}
	l, selecting, err := a.rules()
	if err != nil {
		return nil, err
	}
	j.Select = l.rules[1:selecting]
	l.written("annotations.relabel_configs", a.RelabelConfigs)
	var metrics ruleList
	metrics.written("annotations.metric_relabel_configs", a.MetricRelabelConfigs)
	cfg.RelabelConfigs, j.Origins = l.rules, l.origins
	cfg.MetricRelabelConfigs, j.MetricOrigins = metrics.rules, metrics.origins
	return j, cfg.Validate(global)
}

// Regular expressions of the chart's rules, and of the values that annotations may have.
var (
	isScheme   = relabel.MustNewRegexp("(https?)")
	mayScheme  = relabel.MustNewRegexp("(https?)?")
	mayPort    = relabel.MustNewRegexp(`|[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]`)
	newPort    = relabel.MustNewRegexp(`(.+?)(?::\d+)?;(\d+)`)
	portOfIPv6 = relabel.MustNewRegexp(`(\d+);(([A-Fa-f0-9]{1,4}::?){1,7}[A-Fa-f0-9]{1,4})`)
	portOfIPv4 = relabel.MustNewRegexp(`(\d+);((([0-9]+?)(\.|$)){4})`)
	notRunning = relabel.MustNewRegexp("Pending|Succeeded|Failed|Completed")
)

// rules are those of the chart, in its order, and two that drop what has an annotation of no meaning: the chart ignores such an annotation.
// The rules from the second one up to selecting see the object alone.
func (a annotated) rules() (l ruleList, selecting int, err error) {
	l.set(model.JobLabel, "kubernetes-"+a.name)
	if a.slow {
		l.filter(relabel.Keep, isTrue, a.label("scrape-slow"))
	} else {
		l.filter(relabel.Keep, isTrue, a.label("scrape"))
		l.filter(relabel.Drop, isTrue, a.label("scrape-slow"))
	}
	if a.role == RolePod {
		l.filter(relabel.Drop, notRunning, "__meta_kubernetes_pod_phase")
	}
	if a.NamespaceSelector != "" {
		sel, err := metav1.ParseToLabelSelector(a.NamespaceSelector)
		if err != nil {
			return l, 0, fmt.Errorf("namespace_selector: %w", err)
		}
		l.selector(RoleNamespace, *sel)
		l.demands = nil // they are of the namespace
	}
	selecting = len(l.rules)
	a.valid(&l, "scheme", mayScheme, "http or https")
	a.valid(&l, "port", mayPort, "a number from 1 to 65535")
	l.replace(model.SchemeLabel, "$1", isScheme, a.label("scheme"))
	l.replace(model.MetricsPathLabel, "$1", something, a.label("path"))
	if a.role == RoleService {
		l.replace(model.AddressLabel, "$1:$2", newPort, model.AddressLabel, a.label("port"))
	} else {
		l.replace(model.AddressLabel, "[$2]:$1", portOfIPv6, a.label("port"), "__meta_kubernetes_pod_ip")
		l.replace(model.AddressLabel, "$2:$1", portOfIPv4, a.label("port"), "__meta_kubernetes_pod_ip")
	}
	l.labelMap(a.label("param_")+"(.+)", model.ParamLabelPrefix+"$1")
	l.labelMap(objectLabel(a.role, "")+"(.+)", "$1")
	l.copyLabel("namespace", "__meta_kubernetes_namespace")
	l.copyLabel(a.role, "__meta_kubernetes_"+a.role+"_name")
	l.copyLabel("node", podNodeLabel)
	return l, selecting, l.err
}

// valid drops the targets of an object whose annotation has another value than it may have.
func (a annotated) valid(l *ruleList, name string, may relabel.Regexp, want string) {
	l.filter(relabel.Keep, may, a.label(name))
	l.setOrigin(len(l.rules)-1, Origin{Field: "the annotation " + a.key(name), Want: want})
}

// labelMap copies the labels whose names match.
func (l *ruleList) labelMap(regex, replacement string) {
	r := relabel.DefaultRelabelConfig
	r.Action, r.Regex, r.Replacement = relabel.LabelMap, relabel.MustNewRegexp(regex), replacement
	l.add(r)
}

// AnnotationPrefix is the prefix of the annotations that the job reads; empty if it reads none.
func (j *Job) AnnotationPrefix() string {
	prefix, _, _ := strings.Cut(j.Annotation, "/")
	return prefix
}

// Found returns the objects that gave a job targets, scraped or dropped: their namespaces and names. Those of EndpointSlices are Services.
func (s *Set) Found(job string) map[string]bool {
	out := map[string]bool{}
	state := s.jobs[job]
	if state == nil {
		return out
	}
	for _, gs := range state.groups {
		if len(gs.targets)+len(gs.dropped) == 0 {
			continue
		}
		ls := gs.group.Labels
		name := ls["__meta_kubernetes_service_name"]
		if name == "" {
			name = ls["__meta_kubernetes_pod_name"]
		}
		out[string(ls["__meta_kubernetes_namespace"]+"/"+name)] = true
	}
	return out
}
