package targets

import (
	"fmt"
	"maps"
	"net"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
)

// Half says which of a job's targets this relay scrapes, where node mode shares the work.
type Half string

// The halves.
const (
	Whole   Half = ""        // all of them
	Central Half = "central" // those on Nodes that node mode does not cover, or on no Node
	OnNode  Half = "node"    // those on Nodes that node mode covers; the relay sees the objects of its own Node only
)

// Coverage says which Nodes node mode covers: on each of them a relay of its own scrapes the OnNode half.
type Coverage struct {
	// Unknown says that the Nodes cannot be read. Then each counts as covered.
	Unknown bool
	// Nodes holds each Node that exists, with true if it is covered.
	Nodes map[string]bool
}

// covers reports whether the Node is covered. An empty name is no Node.
func (c Coverage) covers(node string) bool { return node != "" && (c.Unknown || c.Nodes[node]) }

// leaves says why a relay in node mode does not scrape a target on a Node that is not covered.
func (c Coverage) leaves(node string) string {
	if _, exists := c.Nodes[node]; !exists {
		return fmt.Sprintf("its Node %q does not exist", node)
	}
	return fmt.Sprintf("node_mode.selector leaves its Node %s out: the central relay scrapes it", node)
}

// podNodeLabel is the label of discovery with the Node of a Pod.
const podNodeLabel = "__meta_kubernetes_pod_node_name"

// onNode returns the Node of the object that a group is made of; empty if it is on none.
func onNode(ls model.LabelSet) string {
	if n := ls[nodeNameLabel]; n != "" {
		return string(n)
	}
	return string(ls[podNodeLabel])
}

// kubeProxy is the name of the job of kube-proxy.
const kubeProxy = "nodes/kube-proxy"

// SetHalf sets which targets of a node job are scraped here. Address is the IP address at which a relay in node mode reaches kube-proxy of
// its own Node; empty for that of the Node. The labels of targets do not depend on it.
func (j *Job) SetHalf(h Half, address string) {
	j.Half = h
	if h != OnNode || address == "" || j.Name != kubeProxy {
		return
	}
	host, _ := strings.CutSuffix(net.JoinHostPort(address, ""), ":")
	r := relabel.DefaultRelabelConfig
	r.SourceLabels, r.Regex = names(model.AddressLabel), hostAndPort
	r.TargetLabel, r.Replacement = model.AddressLabel, host+"$1"
	r.NameValidationScheme = j.Config.MetricNameValidationScheme
	j.Config.RelabelConfigs = append(j.Config.RelabelConfigs, &r)
	j.Origins = append(j.Origins, Origin{Field: "node_mode.kube_proxy_address"})
}

var hostAndPort = relabel.MustNewRegexp(`.+?(:\d+)?`)

// Cover sets which Nodes node mode covers. The next Settle has the changes.
func (s *Set) Cover(c Coverage) {
	changed := map[string]bool{}
	for _, side := range [...]map[string]bool{s.coverage.Nodes, c.Nodes} {
		for node := range side {
			_, was := s.coverage.Nodes[node]
			_, is := c.Nodes[node]
			changed[node] = was != is || s.coverage.Nodes[node] != c.Nodes[node]
		}
	}
	all := s.coverage.Unknown != c.Unknown
	maps.DeleteFunc(changed, func(_ string, is bool) bool { return !is })
	s.coverage = c
	if len(changed) == 0 && !all {
		return
	}
	for _, state := range s.jobs {
		if state.job.Half == Whole {
			continue
		}
		for _, gs := range state.groups {
			if all || changed[onNode(gs.group.Labels)] {
				s.touched[state] = true
				break
			}
		}
	}
}

// settleElsewhere finds the targets of a job that node mode scrapes. They are at their places, so that no other job takes them.
func (s *Set) settleElsewhere(state *jobState) {
	now := map[uint64]*Target{}
	if state.job.Half == Central {
		for _, gs := range state.groups {
			if !s.coverage.covers(onNode(gs.group.Labels)) {
				continue
			}
			for _, t := range gs.targets {
				now[t.Hash] = t
			}
		}
	}
	for h, t := range now {
		if state.elsewhere[h] == nil {
			s.enter(state.job.Name, t, true)
		}
	}
	for h, t := range state.elsewhere {
		if now[h] == nil {
			s.leave(state.job.Name, t, true)
		}
	}
	state.elsewhere = now
}

// Elsewhere returns how many targets of a job relays in node mode scrape, as of the last Settle.
func (s *Set) Elsewhere(job string) int {
	if state := s.jobs[job]; state != nil {
		return len(state.elsewhere)
	}
	return 0
}
