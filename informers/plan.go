package informers

import (
	"fmt"
	"slices"

	k8slabels "k8s.io/apimachinery/pkg/labels"

	"promrelay/config"
	"promrelay/targets"
)

// plan is a configuration, prepared for the worker.
type plan struct {
	settings *targets.Settings // nil: no monitors
	blocks   map[targets.Owner][]*targets.Job
	lastGood string             // the directory of last good monitors; empty means that rejected monitors have no targets
	selector k8slabels.Selector // of the Nodes that node mode covers; nil without node mode
}

// newPlan prepares a configuration. Home is the relay's own namespace, and node its Node in node mode.
func newPlan(c *config.Config, home, node string) (*plan, error) {
	p := &plan{blocks: map[targets.Owner][]*targets.Job{}}
	if c.Monitors != nil {
		var err error
		if p.settings, err = targets.NewSettings(c.Monitors.CommonPrometheusFields, home); err != nil {
			return nil, fmt.Errorf("monitors: %w", err)
		}
		p.settings.SetExtraScrapeMetrics(c.Prometheus.GlobalConfig.ExtraScrapeMetrics)
		p.settings.SetHalf(targets.PodMonitor, half(node, c.NodeMode.Has(config.CoverPodMonitors)))
		p.lastGood = c.Monitors.LastGoodDirectory
	}
	if c.Nodes != nil {
		jobs, err := targets.NodeJobs(c.Nodes, c.Prometheus.GlobalConfig)
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			j.SetHalf(half(node, c.NodeMode.Has(config.CoverNodes)), c.NodeMode.KubeProxy())
		}
		p.blocks[targets.Owner{Kind: targets.NodesBlock}] = jobs
	}
	if c.Annotations != nil {
		jobs, err := targets.AnnotationJobs(c.Annotations, c.Prometheus.GlobalConfig)
		if err != nil {
			return nil, err
		}
		p.blocks[targets.Owner{Kind: targets.AnnotationsBlock}] = jobs
	}
	for _, sc := range c.ScrapeConfigs {
		j, err := targets.BlockJob(sc, home)
		if err != nil {
			return nil, err
		}
		p.blocks[j.Owner] = []*targets.Job{j}
	}
	return p, p.divide(c.NodeMode, node)
}

// UsesCluster reports whether a configuration finds targets in the relay's own cluster.
func UsesCluster(c *config.Config) bool {
	for _, sc := range c.ScrapeConfigs {
		if slices.ContainsFunc(sc.ServiceDiscoveryConfigs, targets.OwnCluster) {
			return true
		}
	}
	return c.Monitors != nil || c.Nodes != nil || c.Annotations != nil
}
