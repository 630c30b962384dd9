package config

import (
	"cmp"
	"slices"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Annotations are the jobs of Services and Pods that ask to be scraped by annotations, such as prometheus.io/scrape: "true".
type Annotations struct {
	// Prefix is the part of the annotations before the slash.
	Prefix   string `yaml:"prefix"`
	Services bool   `yaml:"services"`
	Pods     bool   `yaml:"pods"`
	// Namespaces are those where annotations count; empty for all.
	Namespaces []string `yaml:"namespaces"`
	// NamespaceSelector is a label selector of these namespaces; empty for all.
	NamespaceSelector  string         `yaml:"namespace_selector"`
	ScrapeInterval     model.Duration `yaml:"scrape_interval"`
	ScrapeTimeout      model.Duration `yaml:"scrape_timeout"`
	SlowScrapeInterval model.Duration `yaml:"slow_scrape_interval"` // with the annotation scrape-slow
	SlowScrapeTimeout  model.Duration `yaml:"slow_scrape_timeout"`
	HonorLabels        bool           `yaml:"honor_labels"`
	// HTTPClientConfig is for all pages. By default it has no credentials.
	HTTPClientConfig     config_util.HTTPClientConfig `yaml:",inline"`
	RelabelConfigs       []*relabel.Config            `yaml:"relabel_configs"`
	MetricRelabelConfigs []*relabel.Config            `yaml:"metric_relabel_configs"`
}

// DefaultAnnotationPrefix is the prefix that is in wide use.
const DefaultAnnotationPrefix = "prometheus.io"

// UnmarshalYAML sets the defaults first.
func (a *Annotations) UnmarshalYAML(unmarshal func(any) error) error {
	*a = Annotations{
		Prefix: DefaultAnnotationPrefix, Services: true, Pods: true, HonorLabels: true, HTTPClientConfig: config_util.DefaultHTTPClientConfig,
		SlowScrapeInterval: model.Duration(5 * time.Minute), SlowScrapeTimeout: model.Duration(30 * time.Second),
	}
	type plain Annotations
	return unmarshal((*plain)(a))
}

// setDefaults sets the interval and the timeouts that the block leaves out. Written is the global block as it is in the file.
func (a *Annotations) setDefaults(global promconfig.GlobalConfig, written *yaml.Node) {
	if a.ScrapeInterval == 0 {
		a.ScrapeInterval = global.ScrapeInterval
		if find(written, "scrape_interval") == nil {
			a.ScrapeInterval = model.Duration(30 * time.Second)
		}
	}
	a.ScrapeTimeout = cmp.Or(a.ScrapeTimeout, min(global.ScrapeTimeout, a.ScrapeInterval))
	a.SlowScrapeTimeout = min(a.SlowScrapeTimeout, a.SlowScrapeInterval)
}

func (a *Annotations) validate(c *Config, bad bad) {
	if wrong := validation.IsDNS1123Subdomain(a.Prefix); len(wrong) > 0 {
		bad("annotations.prefix", "%q: want the part of annotations before the slash, such as %s", a.Prefix, DefaultAnnotationPrefix)
	}
	if !a.Services && !a.Pods {
		bad("annotations", "services and pods are both false: want one of them, or no block annotations")
	}
	if _, err := metav1.ParseToLabelSelector(a.NamespaceSelector); err != nil {
		bad("annotations.namespace_selector", "%q: %v", a.NamespaceSelector, err)
	}
	if a.NamespaceSelector != "" && c.Kubernetes != nil && len(c.Kubernetes.Namespaces) > 0 {
		bad("annotations.namespace_selector", "cannot be had together with kubernetes.namespaces: the relay then reads no Namespaces and no labels of them")
	}
	if slices.Contains(a.Namespaces, "") {
		bad("annotations.namespaces", "holds an empty name")
	}
	if a.ScrapeTimeout > a.ScrapeInterval {
		bad("annotations.scrape_timeout", "%s is longer than scrape_interval, %s", a.ScrapeTimeout, a.ScrapeInterval)
	}
	if a.SlowScrapeInterval <= 0 {
		bad("annotations.slow_scrape_interval", "%s: want more than 0", a.SlowScrapeInterval)
	}
	if err := a.HTTPClientConfig.Validate(); err != nil {
		bad("annotations", "%v", err)
	}
	for _, r := range slices.Concat(a.RelabelConfigs, a.MetricRelabelConfigs) {
		if err := r.Validate(model.UTF8Validation); err != nil {
			bad("annotations", "relabelling: %v", err)
		}
	}
}
