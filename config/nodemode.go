package config

import (
	"net/netip"
	"slices"

	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// NodeMode divides the work between the central relay and relays in node mode: one on each Node, with --kubernetes.node-name. One
// configuration serves both.
type NodeMode struct {
	// Covers names what relays in node mode scrape on their Nodes, and the central one leaves to them: some of CanCover.
	Covers []string `yaml:"covers"`
	// Selector is a label selector of the Nodes that have a relay; empty for all.
	Selector string `yaml:"selector"`
	// KubeProxyAddress is the IP address at which a relay reaches kube-proxy of its own Node; empty for the address of the Node.
	KubeProxyAddress string `yaml:"kube_proxy_address"`
}

// What node mode can cover.
const (
	CoverNodes       = "nodes"       // the jobs of the block nodes
	CoverPodMonitors = "podmonitors" // the Pods of PodMonitors
)

var canCover = []string{CoverNodes, CoverPodMonitors}

// UnmarshalYAML sets the defaults first: everything is covered on all Nodes, and kube-proxy is where it listens by default.
func (n *NodeMode) UnmarshalYAML(unmarshal func(any) error) error {
	*n = NodeMode{Covers: canCover, KubeProxyAddress: "127.0.0.1"}
	type plain NodeMode
	return unmarshal((*plain)(n))
}

// Has reports whether relays in node mode scrape something. A nil NodeMode covers nothing.
func (n *NodeMode) Has(what string) bool { return n != nil && slices.Contains(n.Covers, what) }

// KubeProxy is KubeProxyAddress, empty without node mode.
func (n *NodeMode) KubeProxy() string {
	if n == nil {
		return ""
	}
	return n.KubeProxyAddress
}

func (n *NodeMode) validate(c *Config, bad bad) {
	if len(n.Covers) == 0 {
		bad("node_mode.covers", "is empty: want some of %s, or no block node_mode", listed(canCover, "and"))
	}
	for _, what := range n.Covers {
		if !slices.Contains(canCover, what) {
			bad("node_mode.covers", "%q: want some of %s; everything else is always scraped by the central relay", what, listed(canCover, "and"))
		}
	}
	if _, err := k8slabels.Parse(n.Selector); err != nil {
		bad("node_mode.selector", "%q: %v", n.Selector, err)
	}
	if a := n.KubeProxyAddress; a != "" {
		if _, err := netip.ParseAddr(a); err != nil {
			bad("node_mode.kube_proxy_address", "%q: want an IP address such as 127.0.0.1, or \"\" for that of the Node", a)
		}
	}
	if c.Kubernetes != nil && len(c.Kubernetes.Namespaces) > 0 {
		bad("node_mode", "cannot be had together with kubernetes.namespaces: nodes belong to no namespace")
	}
}

// warnIdleNodeMode warns of a node_mode block that covers nothing that is scraped at all.
func (l *loader) warnIdleNodeMode() {
	n := l.c.NodeMode
	if n != nil && !(n.Has(CoverNodes) && l.c.Nodes != nil) && !(n.Has(CoverPodMonitors) && l.c.Monitors != nil) {
		l.warn(l.doc.line("node_mode"), "node_mode: it covers %s, and the file turns none of that on, so relays in node mode scrape nothing; add `nodes: {}` or `monitors: {}`",
			listed(n.Covers, "and"))
	}
}
