package config

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	k8slabels "k8s.io/apimachinery/pkg/labels"

	"promrelay/config/redact"
)

// meaningless are options of Prometheus that have no effect in the relay, with the reason.
var meaningless = []struct {
	path   string // keys, * for each item of a list
	reason string
}{
	{"global.evaluation_interval", "no rules are evaluated"},
	{"global.rule_query_offset", "no rules are evaluated"},
	{"global.query_log_file", "no queries are answered"},
	{"runtime.log_level", "the level of logs is that of --log.level"},
	{"storage", "samples are kept in the WAL, see the wal block"},
	{"tracing", "nothing is traced"},
	{"otlp", "OTLP is not received"},
	{"remote_write.*.queue_config.capacity", "what waits to be sent stays in the WAL, not in memory"},
	{"remote_write.*.queue_config.retry_on_http_429", "429 is always tried again"},
	{"remote_write.*.failed_request_logging", "refused requests are logged in any case"},
}

// refused are blocks that are refused because a user would miss their function.
var refused = map[string]string{
	"alerting":    "the relay sends no alerts",
	"rule_files":  "the relay evaluates no rules",
	"remote_read": "the relay answers no queries",
}

// warnMeaningless warns of options that have no effect.
func (l *loader) warnMeaningless() {
	for _, m := range meaningless {
		for _, key := range lookup(l.doc.root, strings.Split(m.path, ".")) {
			l.warn(key.Line, "%s has no effect: %s", strings.ReplaceAll(m.path, ".*", "[]"), m.reason)
		}
	}
	if list := resolved(find(l.doc.root, "remote_write")); list == nil || len(list.Content) == 0 {
		l.warn(l.doc.line("remote_write"), "no remote_write: what is scraped goes nowhere")
	}
}

// bad notes a mistake in the value of the key at a path.
type bad func(path, format string, args ...any)

// refuse notes a mistake in the value of a key.
func (l *loader) refuse(path, format string, args ...any) {
	l.problem(l.doc.line(strings.Split(path, ".")...), "%s: %s", path, fmt.Sprintf(format, args...))
}

// validate finds the mistakes of a configuration that has its defaults. It changes nothing.
func (l *loader) validate() {
	c, bad := l.c, bad(l.refuse)
	c.validateSources(bad)
	c.validateLastGood(bad)
	l.validateJobs()
	if c.Monitors != nil {
		c.Monitors.validate(bad)
	}
	if c.Nodes != nil {
		c.Nodes.validate(bad)
	}
	if c.Annotations != nil {
		c.Annotations.validate(c, bad)
	}
	if c.NodeMode != nil {
		c.NodeMode.validate(c, bad)
	}
	c.Scrape.validate(bad)
	c.WAL.validate(bad)
	c.Relay.validate(bad)
}

func (w WAL) validate(bad bad) {
	if w.MaxBytes < 0 {
		bad("wal.max_bytes", "%d is negative", w.MaxBytes)
	}
	if w.MaxBytes > 0 && w.MaxBytes < minWAL {
		bad("wal.max_bytes", "%d: want %d (64MB) or more, which is a few segments: less would be deleted all the time; leave it out for 8GB", w.MaxBytes, int64(minWAL))
	}
	if w.SegmentBytes < 0 {
		bad("wal.segment_bytes", "%d is negative", w.SegmentBytes)
	}
	if w.SegmentBytes > 0 && w.SegmentBytes < minSegment {
		bad("wal.segment_bytes", "%d: want %d (16KB) or more; leave it out for 64MB", w.SegmentBytes, int64(minSegment))
	}
	if w.SyncInterval < 0 {
		bad("wal.sync_interval", "%s is negative", w.SyncInterval)
	}
}

const (
	// minWAL holds eight segments of 8 MB. With less, one scrape of a large page could remove all others.
	minWAL = 64 << 20
	// minSegment holds the tables of a few targets, which each segment repeats.
	minSegment = 16 << 10
	// defaultWAL is max_bytes if it is left out: wal.DefaultMaxBytes.
	defaultWAL = 8 << 30
)

// warnSegments warns of segments that would be closed earlier than the block says.
func (l *loader) warnSegments() {
	w := l.c.WAL
	limit := cmp.Or(w.MaxBytes, defaultWAL) / 8
	if w.SegmentBytes > limit && limit > 0 {
		l.warn(l.doc.line("wal", "segment_bytes"), "wal.segment_bytes: %d is more than an eighth of max_bytes, and %d takes its place: write that, or raise max_bytes to %d",
			w.SegmentBytes, limit, 8*w.SegmentBytes)
	}
}

func (r Relay) validate(bad bad) {
	if r.DrainFactor != 0 && !(r.DrainFactor >= 1 && r.DrainFactor <= math.MaxFloat64) { // nor NaN
		bad("relay.drain_factor", "%g: want 1 or more, or 0 for no bound", r.DrainFactor)
	}
	if r.DrainTimeout < 0 {
		bad("relay.drain_timeout", "%s is negative", r.DrainTimeout)
	}
	for _, host := range r.RedirectHosts {
		if u, err := url.Parse("https://" + host); err != nil || host == "" || u.Host != host || u.Port() != "" {
			bad("relay.redirect_hosts", "%q: want a host without a scheme and a port, such as receiver.example.com", redact.BareURL(host))
		}
	}
	for _, status := range r.RetryStatusCodes {
		if status < 400 || status > 599 {
			bad("relay.retry_status_codes", "%d: want statuses of answers that are errors, 400 to 599", status)
		}
	}
}

func nonEmpty(node *yaml.Node) bool {
	return node != nil && (len(node.Content) > 0 || node.Value != "" && node.Tag != "!!null")
}

func (c *Config) validateSources(bad bad) {
	if c.Kubernetes != nil && c.Manifests != nil {
		bad("manifests", "cannot stand beside kubernetes: objects come from the cluster or from the directory")
	}
	if c.Manifests != nil && c.Manifests.Directory == "" {
		bad("manifests.directory", "is missing")
	}
	if k := c.Kubernetes; k != nil {
		k.validateFollowed(bad)
		if k.Context != "" && k.Kubeconfig == "" {
			bad("kubernetes.context", "%q needs kubernetes.kubeconfig", k.Context)
		}
		if len(k.Namespaces) > 0 && c.Nodes != nil {
			bad("nodes", "cannot be had together with kubernetes.namespaces: nodes belong to no namespace")
		}
		for _, ns := range k.Namespaces {
			if ns == "" {
				bad("kubernetes.namespaces", "holds an empty name")
			}
		}
	}
}

// validateLastGood keeps the relay's own files out of directories that hold something else.
func (c *Config) validateLastGood(bad bad) {
	if c.Monitors == nil || c.Monitors.LastGoodDirectory == "" {
		return
	}
	dir := c.Monitors.LastGoodDirectory
	if c.Manifests != nil && within(dir, c.Manifests.Directory) {
		bad("monitors.lastGoodDirectory", "%s is in manifests.directory: what is kept there would count as manifests", dir)
	}
	if c.WAL.Dir != "" && within(dir, c.WAL.Dir) {
		bad("monitors.lastGoodDirectory", "%s is in wal.dir, which the WAL has for itself", dir)
	}
}

// within reports whether a path is dir or in it. It does not follow links.
func within(path, dir string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// jobPrefixes are the prefixes of names of jobs for monitors and of the blocks nodes and annotations.
var jobPrefixes = []string{"serviceMonitor/", "podMonitor/", "probe/", "scrapeConfig/", "nodes/", "annotations/"}

// validateJobs refuses scrape_configs with a name that another job could have, or with a service discovery that would panic.
func (l *loader) validateJobs() {
	for i, sc := range l.c.ScrapeConfigs {
		line, block := l.jobLine(i)
		for _, p := range jobPrefixes {
			if strings.HasPrefix(sc.JobName, p) && (l.c.Monitors != nil || l.c.Nodes != nil || l.c.Annotations != nil) {
				l.problem(line, "%s: job_name %q could be that of a monitor: want one that does not begin with %s", block, sc.JobName, p)
			}
		}
		n := map[string]int{}
		for _, sd := range sc.ServiceDiscoveryConfigs {
			if why := BadRefreshInterval(sd); why != "" {
				l.problem(line, "%s: job_name %q: %s_sd_configs[%d]: refresh_interval: %s", block, sc.JobName, sd.Name(), n[sd.Name()], why)
			}
			n[sd.Name()]++
		}
	}
}

// jobLine returns the line of one of ScrapeConfigs, and the key of its block.
func (l *loader) jobLine(i int) (line int, block string) {
	if i < len(l.c.Prometheus.ScrapeConfigs) {
		return mentioned(resolved(l.doc.get("scrape_configs", i)), "job_name").Line, "scrape_configs"
	}
	return l.doc.line("scrape_config_files"), "scrape_config_files"
}

func (n *Nodes) validate(bad bad) {
	if _, err := k8slabels.Parse(n.Selector); err != nil {
		bad("nodes.selector", "%q: %v", n.Selector, err)
	}
	if n.ScrapeTimeout > n.ScrapeInterval {
		bad("nodes.scrape_timeout", "%s is longer than scrape_interval, %s", n.ScrapeTimeout, n.ScrapeInterval)
	}
	for name, job := range n.jobs() {
		if job.ScrapeTimeout > job.ScrapeInterval {
			bad("nodes."+name+".scrape_timeout", "%s is longer than the interval, %s", job.ScrapeTimeout, job.ScrapeInterval)
		}
		if job.Port < 0 || job.Port > 65535 {
			bad("nodes."+name+".port", "%d is no port", job.Port)
		}
	}
}
