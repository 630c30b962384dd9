// Package config loads the relay's configuration file. A Prometheus configuration file is one: global, scrape_configs,
// scrape_config_files and remote_write are Prometheus's own blocks, loaded by prometheus/config. Beside them stand
// kubernetes, monitors, nodes, manifests, scrape, wal and relay.
//
// Promises: an option is honoured, or accepted with a warning that names it because it has no meaning here, or
// refused by name; an error names the file and, wherever the YAML can tell, the line. Not promised: that what a file
// names (a directory, a kubeconfig) exists.
package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/units"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	_ "github.com/prometheus/prometheus/plugins" // scrape_configs name service discoveries, which register themselves
	"go.yaml.in/yaml/v3"
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
	// Warnings name options that were accepted though they have no meaning here.
	Warnings []string
}

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

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

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

// UnmarshalYAML takes 1048576, 1MB and 1MiB.
func (b *Bytes) UnmarshalYAML(node *yaml.Node) error {
	var n int64
	if err := node.Decode(&n); err == nil {
		*b = Bytes(n)
		return nil
	}
	v, err := units.ParseBase2Bytes(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is no number of bytes: want one like 8GB or 1073741824", node.Line, node.Value)
	}
	*b = Bytes(v)
	return nil
}

// own are the blocks that Prometheus does not know.
type own struct {
	Kubernetes *Kubernetes `yaml:"kubernetes"`
	Monitors   *Monitors   `yaml:"monitors"`
	Nodes      *Nodes      `yaml:"nodes"`
	Manifests  *Manifests  `yaml:"manifests"`
	Scrape     Scrape      `yaml:"scrape"`
	WAL        WAL         `yaml:"wal"`
	Relay      Relay       `yaml:"relay"`
}

// LoadFile reads the configuration file at path; relative paths in it start at its directory.
func LoadFile(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Load(text, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Load reads a configuration; relative paths in it start at dir.
func Load(text []byte, dir string) (*Config, error) {
	doc, err := parse(text)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	if err := c.loadPrometheus(doc, dir); err != nil {
		return nil, err
	}
	for i, rw := range c.Prometheus.RemoteWriteConfigs {
		c.Destinations = append(c.Destinations, newDestination(rw, doc.get("remote_write", i)))
	}
	o := own{Scrape: DefaultScrape, Relay: DefaultRelay}
	if err := doc.decode(&o); err != nil {
		return nil, doc.locate(err)
	}
	c.Kubernetes, c.Monitors, c.Nodes, c.Manifests, c.Scrape, c.WAL, c.Relay = o.Kubernetes, o.Monitors, o.Nodes, o.Manifests, o.Scrape, o.WAL, o.Relay
	c.setPaths(dir)
	c.setDefaults(doc)
	c.Warnings = doc.warnings()
	return c, c.validate(doc)
}

// loadPrometheus has Prometheus's own code read its blocks and the files that they name.
func (c *Config) loadPrometheus(doc document, dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a block of Prometheus's cannot be read, is an item of a list empty? %v", p)
		}
	}()
	if err := poisonous(doc.root); err != nil {
		return err
	}
	if c.Prometheus, err = promconfig.Load(doc.without(ownKeys), promslog.NewNopLogger()); err != nil {
		return doc.locate(readable(err))
	}
	c.Prometheus.SetDirectory(dir)
	if err := poisonousFiles(c.Prometheus.ScrapeConfigFiles); err != nil {
		return err
	}
	if c.ScrapeConfigs, err = c.Prometheus.GetScrapeConfigs(); err != nil {
		return readable(err)
	}
	return nil
}

func newDestination(rw *promconfig.RemoteWriteConfig, node *yaml.Node) Destination {
	d := Destination{RemoteWriteConfig: rw, Negotiate: find(node, "protobuf_message") == nil}
	if find(node, "send_exemplars") != nil {
		d.Exemplars = &rw.SendExemplars
	}
	if find(node, "send_native_histograms") != nil {
		d.NativeHistograms = &rw.SendNativeHistograms
	}
	return d
}

func (c *Config) setPaths(dir string) {
	join := func(p *string) { *p = config_util.JoinDir(dir, *p) }
	if c.Kubernetes != nil {
		join(&c.Kubernetes.Kubeconfig)
	}
	if c.Manifests != nil {
		join(&c.Manifests.Directory)
	}
	if c.Monitors != nil {
		join(&c.Monitors.LastGoodDirectory)
	}
	if c.Nodes != nil {
		c.Nodes.HTTPClientConfig.SetDirectory(dir)
	}
	join(&c.WAL.Dir)
}

// setDefaults fills in what follows from other blocks.
func (c *Config) setDefaults(doc document) {
	cluster := c.Kubernetes != nil || c.Manifests != nil
	if (c.Monitors != nil || c.Nodes != nil) && !cluster {
		c.Kubernetes = &Kubernetes{}
	}
	if c.Monitors == nil && cluster {
		c.Monitors = &Monitors{}
	}
	global := c.Prometheus.GlobalConfig
	said := find(doc.root, "global")
	if m := c.Monitors; m != nil {
		m.selectAll()
		if m.ScrapeInterval == "" {
			m.ScrapeInterval = "30s"
			if find(said, "scrape_interval") != nil {
				m.ScrapeInterval = monitoringv1.Duration(global.ScrapeInterval.String())
			}
		}
		if m.ScrapeTimeout == "" && find(said, "scrape_timeout") != nil {
			m.ScrapeTimeout = monitoringv1.Duration(global.ScrapeTimeout.String())
		}
	}
	if n := c.Nodes; n != nil {
		if n.ScrapeInterval == 0 {
			n.ScrapeInterval = global.ScrapeInterval
			if find(said, "scrape_interval") == nil {
				n.ScrapeInterval = model.Duration(30 * time.Second)
			}
		}
		if n.ScrapeTimeout == 0 {
			n.ScrapeTimeout = min(global.ScrapeTimeout, n.ScrapeInterval)
		}
		h := &n.HTTPClientConfig
		if h.BasicAuth == nil && h.Authorization == nil && h.OAuth2 == nil && c.Manifests == nil {
			h.Authorization = &config_util.Authorization{Type: "Bearer", CredentialsFile: serviceAccount + "token"}
		}
		if h.TLSConfig.CA == "" && h.TLSConfig.CAFile == "" && !n.InsecureSkipVerify && c.Manifests == nil {
			h.TLSConfig.CAFile = serviceAccount + "ca.crt"
		}
		h.TLSConfig.InsecureSkipVerify = h.TLSConfig.InsecureSkipVerify || n.InsecureSkipVerify
	}
}

// selectAll makes no selectors at all mean every monitor of every namespace.
func (m *Monitors) selectAll() {
	selectors := []**labelSelector{
		&m.ServiceMonitorSelector, &m.ServiceMonitorNamespaceSelector, &m.PodMonitorSelector, &m.PodMonitorNamespaceSelector,
		&m.ProbeSelector, &m.ProbeNamespaceSelector, &m.ScrapeConfigSelector, &m.ScrapeConfigNamespaceSelector,
	}
	for _, s := range selectors {
		if *s != nil {
			return
		}
	}
	for _, s := range selectors {
		*s = &labelSelector{}
	}
}

var (
	unknownField = regexp.MustCompile(`field (\S+) (not found|already set) in type \S+`)
	lineSpaces   = regexp.MustCompile(`\s*\n\s*`)
	quoted       = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// readable makes one line for a person of what Prometheus's loader says.
func readable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = fmt.Errorf("parse URL %q: %s", shownRaw(u.URL), quoted.ReplaceAllString(u.Err.Error(), "..."))
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	text = strings.ReplaceAll(text, "yaml: unmarshal errors:\n", "")
	text = unknownField.ReplaceAllStringFunc(text, func(s string) string {
		m := unknownField.FindStringSubmatch(s)
		if m[2] == "already set" {
			return fmt.Sprintf("key %q stands twice", m[1])
		}
		return fmt.Sprintf("unknown key %q", m[1])
	})
	return errors.New(lineSpaces.ReplaceAllString(text, "; "))
}

// shownRaw is what may be shown of a URL that cannot be parsed: nothing of it where it may have a user with a password, for nobody knows
// then where these end.
func shownRaw(raw string) string {
	if strings.Contains(raw, "@") {
		return "..."
	}
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		return raw[:end]
	}
	return raw
}
