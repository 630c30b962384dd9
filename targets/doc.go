// Package targets turns monitors and discovered objects into scrape targets. It is pure: it reads nothing, waits for
// nothing and starts nothing; the rooms above tell it what there is, and it answers what changed.
//
// A monitor is compiled to jobs (the operator's generator is the specification: names, scrape settings, and relabel
// rules in its order). A Set holds the jobs, takes target groups as they are discovered, and gives for every job the
// targets that came and went. A changed group costs what it touches: jobs are found by namespace and by the labels that
// their selectors demand.
//
// Promises: the same jobs and groups give the same targets, in whatever order they came. A monitor that cannot be
// translated is rejected alone, with the reason. Not promised: that a target answers.
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
	// RoleNamespace is no role of its own; its objects are attached to others.
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

// What jobs come from beside monitors. These owners have no namespace.
const (
	NodesBlock        Kind = "nodes"         // of the configuration file; without a name
	ScrapeConfigBlock Kind = "scrape_config" // of the configuration file; its name is that of its job
)

// Owner is what a job comes from.
type Owner struct {
	Kind      Kind
	Namespace string
	Name      string
}

// Key is what a key of a scrape_config is called in the owner: monitors have names of their own.
func (o Owner) Key(key string) string {
	if !slices.Contains(Kinds[:], o.Kind) {
		return key
	}
	if key == "tls_config.ca_file" {
		return "tlsConfig.ca"
	}
	return humps.ReplaceAllStringFunc(key, func(s string) string { return strings.ToUpper(s[1:]) })
}

var humps = regexp.MustCompile("_[a-z]")

// String names the owner as a person would.
func (o Owner) String() string {
	switch {
	case o.Namespace != "":
		return string(o.Kind) + " " + o.Namespace + "/" + o.Name
	case o.Name != "":
		return string(o.Kind) + " " + o.Name
	}
	return string(o.Kind)
}
