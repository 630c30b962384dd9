package targets

import (
	"fmt"
	"slices"
	"strings"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
)

// BlockJob makes a job of one of the configuration's scrape_configs, which it does not change. Home is the relay's namespace.
func BlockJob(sc *promconfig.ScrapeConfig, home string) *Job {
	cfg := *sc
	j := &Job{Name: cfg.JobName, Owner: Owner{Kind: ScrapeConfigBlock, Name: cfg.JobName}, Config: &cfg}
	j.divide(sc.ServiceDiscoveryConfigs, home)
	return j
}

// divide gives a job what needs no discovery and what the objects of the own cluster tell; the rest stays in its Config.
func (j *Job) divide(all discovery.Configs, home string) {
	j.Config.ServiceDiscoveryConfigs = nil
	for _, sd := range all {
		if static, ok := sd.(discovery.StaticConfig); ok {
			for _, g := range static {
				own := *g
				own.Source = fmt.Sprintf("static/%d", len(j.Static))
				j.Static = append(j.Static, &own)
			}
			continue
		}
		if OwnCluster(sd) {
			j.Discoveries = append(j.Discoveries, ownCluster(sd.(*promk8s.SDConfig), home))
			continue
		}
		j.Config.ServiceDiscoveryConfigs = append(j.Config.ServiceDiscoveryConfigs, sd)
	}
}

// OwnCluster tells whether a service discovery is about the relay's own cluster: it names no other API server.
func OwnCluster(sd discovery.Config) bool {
	k, ok := sd.(*promk8s.SDConfig)
	return ok && k.APIServer.URL == nil && k.KubeConfig == ""
}

// ownCluster makes a Discovery of a kubernetes_sd_configs block that names no API server.
func ownCluster(sd *promk8s.SDConfig, home string) Discovery {
	a := sd.AttachMetadata
	d := Discovery{
		Source: Source{
			Role:   string(sd.Role),
			Attach: Attach{Node: a.Node, Namespace: a.Namespace, Deployment: a.Deployment, Job: a.Job, CronJob: a.CronJob},
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
