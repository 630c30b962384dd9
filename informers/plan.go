package informers

import (
	"fmt"
	"slices"

	"promrelay/config"
	"promrelay/targets"
)

// plan is a configuration, prepared for the worker.
type plan struct {
	settings *targets.Settings // nil: no monitors
	blocks   map[targets.Owner][]*targets.Job
	lastGood string // the directory of last good monitors; empty means that rejected monitors have no targets
}

// newPlan prepares a configuration. Home is the relay's own namespace.
func newPlan(c *config.Config, home string) (*plan, error) {
	p := &plan{blocks: map[targets.Owner][]*targets.Job{}}
	if c.Monitors != nil {
		var err error
		if p.settings, err = targets.NewSettings(c.Monitors.CommonPrometheusFields, home); err != nil {
			return nil, fmt.Errorf("monitors: %w", err)
		}
		p.settings.SetExtraScrapeMetrics(c.Prometheus.GlobalConfig.ExtraScrapeMetrics)
		p.lastGood = c.Monitors.LastGoodDirectory
	}
	if c.Nodes != nil {
		jobs, err := targets.NodeJobs(c.Nodes, c.Prometheus.GlobalConfig)
		if err != nil {
			return nil, err
		}
		p.blocks[targets.Owner{Kind: targets.NodesBlock}] = jobs
	}
	for _, sc := range c.ScrapeConfigs {
		j, err := targets.BlockJob(sc, home)
		if err != nil {
			return nil, err
		}
		p.blocks[j.Owner] = []*targets.Job{j}
	}
	return p, nil
}

// UsesCluster reports whether a configuration finds targets in the relay's own cluster.
func UsesCluster(c *config.Config) bool {
	for _, sc := range c.ScrapeConfigs {
		if slices.ContainsFunc(sc.ServiceDiscoveryConfigs, targets.OwnCluster) {
			return true
		}
	}
	return c.Monitors != nil || c.Nodes != nil
}
