package informers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/discovery"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"

	"promrelay/config"
	"promrelay/targets"
)

// plan is what a configuration means for discovery.
type plan struct {
	settings *targets.Settings // nil: no monitors
	blocks   map[targets.Owner][]*targets.Job
	external map[string]discovery.Configs // of the jobs that find targets by other means than the cluster
}

// newPlan prepares a configuration. Home is the relay's namespace.
func newPlan(c *config.Config, home string) (*plan, error) {
	p := &plan{blocks: map[targets.Owner][]*targets.Job{}, external: map[string]discovery.Configs{}}
	if c.Monitors != nil {
		var err error
		if p.settings, err = targets.NewSettings(c.Monitors.CommonPrometheusFields, home); err != nil {
			return nil, fmt.Errorf("monitors: %w", err)
		}
	}
	if c.Nodes != nil {
		jobs, err := targets.NodeJobs(c.Nodes, c.Prometheus.GlobalConfig)
		if err != nil {
			return nil, err
		}
		p.blocks[targets.Owner{Kind: targets.NodesBlock}] = jobs
	}
	for _, sc := range c.ScrapeConfigs {
		j := &targets.Job{Name: sc.JobName, Owner: targets.Owner{Kind: targets.ScrapeConfigBlock, Name: sc.JobName}, Config: sc}
		if others := p.divide(j, sc.ServiceDiscoveryConfigs, home); len(others) > 0 {
			p.external[sc.JobName] = others
		}
		p.blocks[j.Owner] = []*targets.Job{j}
	}
	return p, nil
}

// divide gives a job what needs no discovery and what the shared informers find, and returns the rest.
func (p *plan) divide(j *targets.Job, all discovery.Configs, home string) (others discovery.Configs) {
	for _, sd := range all {
		switch sd := sd.(type) {
		case discovery.StaticConfig:
			for _, g := range sd {
				own := *g
				own.Source = fmt.Sprintf("static/%d", len(j.Static))
				j.Static = append(j.Static, &own)
			}
		case *promk8s.SDConfig:
			if sd.APIServer.URL != nil || sd.KubeConfig != "" {
				others = append(others, sd)
				continue
			}
			j.Discoveries = append(j.Discoveries, ownCluster(sd, home))
		default:
			others = append(others, sd)
		}
	}
	return others
}

// ownCluster makes a Discovery of a kubernetes_sd_configs block that names no API server.
func ownCluster(sd *promk8s.SDConfig, home string) targets.Discovery {
	a := sd.AttachMetadata
	d := targets.Discovery{
		Source: targets.Source{
			Role:   string(sd.Role),
			Attach: targets.Attach{Node: a.Node, Namespace: a.Namespace, Deployment: a.Deployment, Job: a.Job, CronJob: a.CronJob},
		},
		Namespaces: slices.Clone(sd.NamespaceDiscovery.Names),
	}
	if sd.NamespaceDiscovery.IncludeOwnNamespace && home != "" {
		d.Namespaces = append(d.Namespaces, home)
	}
	var parts []string
	for _, s := range sd.Selectors {
		parts = append(parts, string(s.Role)+"="+s.Label+"|"+s.Field)
	}
	slices.Sort(parts)
	d.Selectors = strings.Join(parts, ";")
	return d
}

// UsesCluster tells whether a configuration finds targets by the relay's own cluster.
func UsesCluster(c *config.Config) bool {
	for _, sc := range c.ScrapeConfigs {
		if slices.ContainsFunc(sc.ServiceDiscoveryConfigs, isOwnCluster) {
			return true
		}
	}
	return c.Monitors != nil || c.Nodes != nil
}

func isOwnCluster(sd discovery.Config) bool {
	k, ok := sd.(*promk8s.SDConfig)
	return ok && k.APIServer.URL == nil && k.KubeConfig == ""
}
