// Package config loads the relay's configuration file. A Prometheus configuration file is one: global, scrape_configs,
// scrape_config_files and remote_write are Prometheus's own blocks, loaded by prometheus/config. Beside them stand
// kubernetes, monitors, nodes, manifests, scrape, wal and relay.
//
// Promises: an option is honoured, or accepted with a warning that names it because it has no meaning here, or
// refused by name; an error names the file and, wherever the YAML can tell, the line. Not promised: that what a file
// names (a directory, a kubeconfig) exists.
package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/units"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	_ "github.com/prometheus/prometheus/plugins" // scrape_configs name service discoveries, which register themselves
	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
)

// Config is a configuration that was loaded and found valid. It is not to be changed.
type Config struct {
	// Prometheus holds the blocks that are Prometheus's own.
	Prometheus *promconfig.Config
	// ScrapeConfigs are those of the file and of scrape_config_files, with their defaults.
	ScrapeConfigs []*promconfig.ScrapeConfig
	Destinations  []Destination
	Kubernetes    *Kubernetes // nil: no cluster is asked for
	Monitors      *Monitors   // nil: no monitors are wanted
	Nodes         *Nodes      // nil: no node jobs are wanted
	Manifests     *Manifests  // nil: no manifests are read
	Scrape        Scrape
	WAL           WAL
	Relay         Relay
	// Warnings name options that were accepted though they have no meaning here, and what is likely to be a mistake, in the order
	// of lines.
	Warnings []string

	doc      document
	warnings Problems
	notes    Problems
	named    []namedFile      // the files that the configuration names
	fit      *redact.Redactor // knows the secrets in the file
}

// Line is where a key stands in the file, such as wal.min_free_bytes, or the nearest one above it; 0 if none of them is there.
func (c *Config) Line(path string) int { return c.doc.line(strings.Split(path, ".")...) }

// DestinationLine is where a destination begins in the file.
func (c *Config) DestinationLine(i int) int {
	if node := c.doc.get("remote_write", i); node != nil {
		return node.Line
	}
	return 0
}

// Locate makes a problem of what another room says of the configuration: with the line that it is likely to be about, and without
// secrets.
func (c *Config) Locate(err error) Problem { return c.doc.guess(c.Shown(err).Error()) }

// Shown makes an error fit to be shown: without the secrets that the configuration holds, in it and in the files that it names.
func (c *Config) Shown(err error) error {
	return redact.Of(c.Prometheus, c.ScrapeConfigs, c.Nodes).Error(c.fit.Error(err))
}

// Examine returns the warnings and, if files is true, what is wrong with the files that the configuration names, in the order of lines.
// Those are warnings too: another machine may have what this one lacks.
func (c *Config) Examine(files bool) Problems {
	if !files {
		return c.warnings
	}
	return slices.Concat(c.warnings, c.fileProblems()).ordered(c.fit)
}

// Empty tells whether the file holds no keys: blanks and comments at the most. `{}` is not empty.
func (c *Config) Empty() bool { return c.doc.root == nil }

// Notes tell what is good to know of a configuration in which nothing is likely to be a mistake.
func (c *Config) Notes() Problems { return c.notes }

// Kubernetes says which API server is read.
type Kubernetes struct {
	// Kubeconfig is the path of a kubeconfig; empty for the service account of the pod.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context is one of the kubeconfig, empty for its current one.
	Context string `yaml:"context"`
	// Namespaces confine the relay; empty for all. Nodes and Namespaces are then not read.
	Namespaces []string `yaml:"namespaces"`
}

// Monitors says which monitors are taken and how they are translated: the fields of PrometheusAgent.spec, and one of ours.
type Monitors struct {
	monitoringv1alpha1.PrometheusAgentSpec `json:",inline"`
	// LastGoodDirectory holds each monitor as it was when it was accepted last: one that is rejected then keeps its
	// targets. Empty: it has none.
	LastGoodDirectory string `json:"lastGoodDirectory"`
}

// defaultMonitors is what an empty monitors block means: monitors read no files of the relay.
func defaultMonitors() *Monitors {
	m := &Monitors{}
	m.ArbitraryFSAccessThroughSMs.Deny = true
	return m
}

// Manifests says where objects are read from instead of a cluster.
type Manifests struct {
	// Directory holds YAML or JSON files, and directories of them.
	Directory string `yaml:"directory"`
}

// Nodes are the built-in jobs of the cluster's nodes.
type Nodes struct {
	// Selector is a label selector of nodes, such as kubernetes.io/os=linux; empty for all.
	Selector       string         `yaml:"selector"`
	ScrapeInterval model.Duration `yaml:"scrape_interval"`
	ScrapeTimeout  model.Duration `yaml:"scrape_timeout"`
	// InsecureSkipVerify does without the check of the kubelets' certificates.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// BesideMonitors scrapes also the pages that a monitor scrapes with the same job label.
	BesideMonitors bool `yaml:"beside_monitors"`
	// HTTPClientConfig reaches the kubelets; by default with the token and CA of the pod's service account.
	HTTPClientConfig config_util.HTTPClientConfig `yaml:",inline"`

	Kubelet   NodeJob `yaml:"kubelet"`
	Cadvisor  NodeJob `yaml:"cadvisor"`
	Probes    NodeJob `yaml:"probes"`
	Resource  NodeJob `yaml:"resource"`
	KubeProxy NodeJob `yaml:"kube_proxy"`
}

// NodeJob is one of the node jobs.
type NodeJob struct {
	Enabled bool `yaml:"enabled"`
	// Port is where the page is on each node; 0 for the one that the node tells of its kubelet.
	Port                 int               `yaml:"port"`
	ScrapeInterval       model.Duration    `yaml:"scrape_interval"` // 0: that of Nodes
	ScrapeTimeout        model.Duration    `yaml:"scrape_timeout"`
	HonorTimestamps      bool              `yaml:"honor_timestamps"`
	RelabelConfigs       []*relabel.Config `yaml:"relabel_configs"`
	MetricRelabelConfigs []*relabel.Config `yaml:"metric_relabel_configs"`
}

// defaultNodes is what an empty nodes block means.
func defaultNodes() Nodes {
	on := NodeJob{Enabled: true, HonorTimestamps: true}
	kubeProxy := on
	kubeProxy.Port = 10249
	http := config_util.DefaultHTTPClientConfig
	return Nodes{HTTPClientConfig: http, Kubelet: on, Cadvisor: on, Probes: on, Resource: NodeJob{HonorTimestamps: true}, KubeProxy: kubeProxy}
}

// UnmarshalYAML sets the defaults first. (In this form it knows whether unknown keys are an error.)
func (n *Nodes) UnmarshalYAML(unmarshal func(any) error) error {
	*n = defaultNodes()
	type plain Nodes
	return unmarshal((*plain)(n))
}

// WAL says where samples are kept until they are delivered.
type WAL struct {
	Dir          string        `yaml:"dir"`
	MaxBytes     Bytes         `yaml:"max_bytes"`
	MinFreeBytes Bytes         `yaml:"min_free_bytes"` // negative: no floor
	SegmentBytes Bytes         `yaml:"segment_bytes"`
	SyncInterval time.Duration `yaml:"sync_interval"`
}

// Bytes is a number of bytes, in YAML a number or one with a unit of 1024, such as 8GB.
type Bytes int64

// UnmarshalYAML takes 1048576, 1MB, 1MiB and, as a quantity of Kubernetes, 1Mi. What there is a power of 1000, such as 1M, it refuses.
func (b *Bytes) UnmarshalYAML(node *yaml.Node) error {
	var n int64
	if err := node.Decode(&n); err == nil {
		*b = Bytes(n)
		return nil
	}
	text := node.Value
	if strings.HasSuffix(text, "i") {
		text += "B"
	}
	v, err := units.ParseBase2Bytes(text)
	if err != nil {
		return fmt.Errorf("%q is no number of bytes: want one like 8GB, 8Gi or 1073741824", node.Value)
	}
	*b = Bytes(v)
	return nil
}
