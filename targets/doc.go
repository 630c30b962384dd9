// Package targets turns monitors and discovered objects into scrape targets. It is pure: it does no I/O, waits for nothing and
// starts no goroutine. The packages that use it pass in what they found, and get back what changed.
//
// A Settings compiles each monitor to jobs. The operator's generator is the specification: it defines names, scrape settings and
// the order of relabel rules. A Set holds the jobs, accepts target groups as they are discovered, and returns the targets that
// were added to and removed from each job. The cost of a changed group does not grow with the number of jobs: a Set finds the
// jobs concerned by namespace and by the labels that their selectors demand.
//
// Promises: the same jobs and groups give the same targets, in any order. A monitor that cannot be compiled is rejected alone,
// with the reason.
package targets

import (
	"regexp"
	"slices"
	"strings"
)

// The roles of discovery, in the words of Prometheus's kubernetes_sd_configs.
const (
	RoleNode          = "node"
	RolePod           = "pod"
	RoleService       = "service"
	RoleEndpoints     = "endpoints"
	RoleEndpointSlice = "endpointslice"
	RoleIngress       = "ingress"
	// RoleNamespace has no targets of its own; its objects are attached to those of other roles.
	RoleNamespace = "namespace"
)

// Kind is a kind of monitor.
type Kind string

// The kinds of monitors.
const (
	ServiceMonitor Kind = "ServiceMonitor"
	PodMonitor     Kind = "PodMonitor"
	Probe          Kind = "Probe"
	ScrapeConfig   Kind = "ScrapeConfig"
)

// Kinds are all kinds of monitors.
var Kinds = [...]Kind{ServiceMonitor, PodMonitor, Probe, ScrapeConfig}

// The owners of jobs that are no monitors. They have no namespace.
const (
	NodesBlock        Kind = "nodes"         // of the configuration file; it has no name
	AnnotationsBlock  Kind = "annotations"   // of the configuration file; it has no name
	ScrapeConfigBlock Kind = "scrape_config" // of the configuration file; its name is that of its job
)

// Owner is the monitor, or the block of the configuration file, that a job comes from.
type Owner struct {
	Kind      Kind
	Namespace string
	Name      string
}

// Key returns the owner's name for a key of a scrape_config: scrape_interval is scrapeInterval in a monitor.
func (o Owner) Key(key string) string {
	if !slices.Contains(Kinds[:], o.Kind) {
		return key
	}
	if key == "tls_config.ca_file" {
		return "tlsConfig.ca"
	}
	return underscored.ReplaceAllStringFunc(key, func(s string) string { return strings.ToUpper(s[1:]) })
}

var underscored = regexp.MustCompile("_[a-z]")

// String names the owner for people: its kind, namespace and name.
func (o Owner) String() string {
	switch {
	case o.Namespace != "":
		return string(o.Kind) + " " + o.Namespace + "/" + o.Name
	case o.Name != "":
		return string(o.Kind) + " " + o.Name
	}
	return string(o.Kind)
}
