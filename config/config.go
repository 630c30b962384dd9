// Package config loads the relay's configuration file. A Prometheus configuration file is also a configuration file of the relay:
// prometheus/config loads global, scrape_configs, scrape_config_files and remote_write. The relay also has its own blocks: kubernetes,
// monitors, nodes, node_mode, annotations, manifests, scrape, wal and relay.
//
// Promises: every option is honoured, accepted with a warning because it has no effect here, or refused. Warning and refusal name the
// option. An error names the file and, where the YAML allows it, the line. Not promised: that a directory or a kubeconfig that the file
// names exists.
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

// Config is a valid configuration that was loaded. Nobody changes it.
type Config struct {
	// Prometheus holds Prometheus's own blocks.
	Prometheus *promconfig.Config
	// ScrapeConfigs are the jobs of the file and of scrape_config_files, with their defaults.
	ScrapeConfigs []*promconfig.ScrapeConfig
	Destinations  []Destination
	Kubernetes    *Kubernetes  // nil: no cluster is read
	Monitors      *Monitors    // nil: no monitors are read
	Nodes         *Nodes       // nil: no node jobs
	NodeMode      *NodeMode    // nil: one relay scrapes everything
	Annotations   *Annotations // nil: annotations of Services and Pods are ignored
	Manifests     *Manifests   // nil: no manifests are read
	Scrape        Scrape
	WAL           WAL
	Relay         Relay
	// Warnings are about options that have no effect here, and about likely mistakes, in the order of lines.
	Warnings []string

	doc      document
	warnings Problems
	notes    Problems
	named    []namedFile      // the files that the configuration names
	redactor *redact.Redactor // knows the secrets in the file
}

// Line is the line of a key such as wal.min_free_bytes, or of the nearest key above it in the path; 0 if none of them is in the file.
func (c *Config) Line(path string) int { return c.doc.line(strings.Split(path, ".")...) }

// DestinationLine is the line where a destination begins; 0 if it is not in the file.
func (c *Config) DestinationLine(i int) int {
	if node := c.doc.get("remote_write", i); node != nil {
		return node.Line
	}
	return 0
}

// Locate makes a Problem from another package's error about the configuration. It adds the line that the error is probably about, and
// removes secrets.
func (c *Config) Locate(err error) Problem { return c.doc.guess(c.Shown(err).Error()) }

// Shown returns an error without the secrets of the configuration and of the files that it names.
func (c *Config) Shown(err error) error {
	return redact.Of(c.Prometheus, c.ScrapeConfigs, c.Nodes, c.Annotations).Error(c.redactor.Error(err))
}

// Examine returns the warnings and, if files is true, problems of the files that the configuration names, in the order of lines. These
// problems are warnings, too, because the files may exist on another machine.
func (c *Config) Examine(files bool) Problems {
	if !files {
		return c.warnings
	}
	return slices.Concat(c.warnings, c.fileProblems()).ordered(c.redactor)
}

// Empty reports whether the file holds only blanks and comments. `{}` is not empty.
func (c *Config) Empty() bool { return c.doc.root == nil }

// Notes are hints about a configuration. They are no warnings, because the user may well intend it.
func (c *Config) Notes() Problems { return c.notes }

// Kubernetes says how the API server is reached.
type Kubernetes struct {
	// Kubeconfig is the path of a kubeconfig; empty for the service account of the pod.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context is a context of the kubeconfig; empty for its current one.
	Context string `yaml:"context"`
	// Namespaces are those that the relay reads; empty for all. With namespaces, it reads no Nodes and no Namespaces.
	Namespaces []string `yaml:"namespaces"`
	// PrometheusAgent and Prometheus are NAMESPACE/NAME of an object whose spec is the block monitors; empty for none. One can be given.
	PrometheusAgent string `yaml:"prometheusAgent"`
	Prometheus      string `yaml:"prometheus"`
}

// Monitors says which monitors are selected and how they are translated: the fields of PrometheusAgent.spec, and one of ours.
type Monitors struct {
	monitoringv1alpha1.PrometheusAgentSpec `json:",inline"`
	// LastGoodDirectory holds the last accepted version of each monitor, so that a monitor which is rejected later keeps its targets.
	// Empty: rejected monitors have no targets.
	LastGoodDirectory string `json:"lastGoodDirectory"`
}

// defaultMonitors is the meaning of an empty monitors block. Monitors may not name files of the relay.
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

// Nodes are the built-in jobs for the cluster's nodes.
type Nodes struct {
	// Selector is a label selector of nodes, such as kubernetes.io/os=linux; empty for all.
	Selector       string         `yaml:"selector"`
	ScrapeInterval model.Duration `yaml:"scrape_interval"`
	ScrapeTimeout  model.Duration `yaml:"scrape_timeout"`
	// InsecureSkipVerify turns off the check of the kubelets' certificates.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// BesideMonitors also scrapes the pages that a monitor scrapes with the same job label.
	BesideMonitors bool `yaml:"beside_monitors"`
	// HonorLabels keeps a label of the page where the target has one of that name; else the page's becomes exported_ and its name.
	HonorLabels bool `yaml:"honor_labels"`
	// RelabelConfigs and MetricRelabelConfigs run in every node job, before the job's own.
	RelabelConfigs       []*relabel.Config `yaml:"relabel_configs"`
	MetricRelabelConfigs []*relabel.Config `yaml:"metric_relabel_configs"`
	// HTTPClientConfig is for the kubelets. By default it has the token and the CA of the pod's service account.
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
	// Port is the port of the page on each node; 0 for the kubelet port in the Node's status.
	Port                 int               `yaml:"port"`
	ScrapeInterval       model.Duration    `yaml:"scrape_interval"` // 0: that of Nodes
	ScrapeTimeout        model.Duration    `yaml:"scrape_timeout"`
	HonorLabels          *bool             `yaml:"honor_labels"` // nil: that of Nodes
	HonorTimestamps      bool              `yaml:"honor_timestamps"`
	RelabelConfigs       []*relabel.Config `yaml:"relabel_configs"`
	MetricRelabelConfigs []*relabel.Config `yaml:"metric_relabel_configs"`
}

// defaultNodes is the meaning of an empty nodes block.
func defaultNodes() Nodes {
	on := NodeJob{Enabled: true, HonorTimestamps: true}
	kubeProxy := on
	kubeProxy.Port = 10249
	http := config_util.DefaultHTTPClientConfig
	return Nodes{
		HonorLabels:      true, // the kubelet's page has metrics of Pods, with the label namespace
		HTTPClientConfig: http,
		Kubelet:          on, Cadvisor: on, Probes: on, Resource: NodeJob{HonorTimestamps: true}, KubeProxy: kubeProxy,
	}
}

// UnmarshalYAML sets the defaults first. (With an argument of this type the decoder still refuses unknown keys.)
func (n *Nodes) UnmarshalYAML(unmarshal func(any) error) error {
	*n = defaultNodes()
	type plain Nodes
	return unmarshal((*plain)(n))
}

// WAL says where samples are kept until they are delivered.
type WAL struct {
	Dir          string        `yaml:"dir"`
	MaxBytes     Bytes         `yaml:"max_bytes"`
	MinFreeBytes Bytes         `yaml:"min_free_bytes"` // negative: no minimum
	SegmentBytes Bytes         `yaml:"segment_bytes"`
	SyncInterval time.Duration `yaml:"sync_interval"`
}

// Bytes is a number of bytes. In YAML it is a number, or one with a unit, a power of 1024, such as 8GB.
type Bytes int64

// UnmarshalYAML accepts 1048576, 1MB, 1MiB and, as a quantity of Kubernetes, 1Mi. It refuses 1M, which is a power of 1000 in Kubernetes.
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
