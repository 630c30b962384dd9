package informers

import (
	"fmt"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	k8slabels "k8s.io/apimachinery/pkg/labels"

	"promrelay/config"
	"promrelay/targets"
)

// In node mode the relay sees its own Node and the Pods that run there, and no other objects but PodMonitors (and Namespaces, if these
// decide which monitors are selected).

// ofNode selects the objects of one Node, by resource. It returns nil for a resource that belongs to no Node.
func ofNode(resource, node string) fields.Selector {
	switch resource {
	case "nodes":
		return fields.OneTermEqualSelector("metadata.name", node)
	case "pods":
		return fields.OneTermEqualSelector("spec.nodeName", node)
	}
	return nil
}

// kinds are the kinds of monitors that this relay reads.
func (p *parts) kinds() []targets.Kind {
	if p.node != "" {
		return []targets.Kind{targets.PodMonitor}
	}
	return targets.Kinds[:]
}

// alwaysNeeded are the resources that are watched whatever the content of monitors.
func (w *worker) alwaysNeeded() []string {
	switch {
	case w.node == "" && w.state.settings != nil:
		return monitorsNeed
	case w.node == "":
		return nil
	case w.state.settings == nil:
		return []string{"nodes"}
	case w.state.settings.NeedsNamespaces():
		return []string{"nodes", "pods", "podmonitors", "namespaces"}
	}
	return []string{"nodes", "pods", "podmonitors"}
}

// half says which half of the targets of jobs is this relay's, if node mode covers such jobs.
func half(node string, covered bool) targets.Half {
	switch {
	case !covered:
		return targets.Whole
	case node != "":
		return targets.OnNode
	}
	return targets.Central
}

// divide sets which Nodes node mode covers. For a relay in node mode it leaves out what only the central one scrapes.
func (p *plan) divide(n *config.NodeMode, node string) (err error) {
	if n == nil {
		if node != "" {
			err = fmt.Errorf("--kubernetes.node-name=%s needs the block node_mode in the configuration, which the central relay must have, too: it says what that leaves to relays on Nodes", node)
		}
		return err
	}
	if p.selector, err = k8slabels.Parse(n.Selector); err != nil {
		return fmt.Errorf("node_mode: selector: %w", err)
	}
	if node == "" {
		return nil
	}
	if !n.Has(config.CoverPodMonitors) {
		p.settings = nil
	}
	for owner := range p.blocks {
		if owner.Kind != targets.NodesBlock || !n.Has(config.CoverNodes) {
			delete(p.blocks, owner)
		}
	}
	return nil
}

// cover tells the set which Nodes node mode covers, if that may have changed.
func (w *worker) cover(n notes) {
	changed := n.plan != nil
	for o := range n.objects {
		changed = changed || o.resource.Name == "nodes"
	}
	if !changed || w.selector == nil {
		return
	}
	c := targets.Coverage{Unknown: !w.watched["nodes"].listed(), Nodes: map[string]bool{}}
	for _, store := range w.watched["nodes"].each() {
		for _, obj := range store.List() {
			if m, err := meta.Accessor(obj); err == nil {
				c.Nodes[m.GetName()] = w.selector.Matches(k8slabels.Set(m.GetLabels()))
			}
		}
	}
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	w.state.set.Cover(c)
	if w.node != "" {
		w.setOwnNode(c)
	}
}

// setOwnNode notes whether the relay's own Node is there and covered, and logs a change.
func (w *worker) setOwnNode(c targets.Coverage) {
	covered, exists := c.Nodes[w.node]
	why := ""
	switch {
	case c.Unknown || covered:
	case !exists:
		why = fmt.Sprintf("Node %q does not exist, so nothing is scraped. --kubernetes.node-name wants the metadata.name of the Node where this relay runs: see kubectl get nodes", w.node)
	default:
		why = fmt.Sprintf("node_mode.selector (%s) leaves Node %s out, so this relay scrapes nothing; the central relay scrapes the Node", w.selector, w.node)
	}
	if why == w.state.ownNode {
		return
	}
	w.state.ownNode = why
	if why != "" {
		w.log.Warn("this relay's Node is not covered by node mode", zap.String("node", w.node), zap.String("reason", why))
		return
	}
	w.log.Info("this relay's Node is covered by node mode", zap.String("node", w.node))
}

// elsewhereNotes say how many targets of a job relays in node mode scrape, if any.
func elsewhereNotes(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("relays in node mode scrape %d more of its targets, each on its own Node (node_mode)", n)}
}
