package targets

import (
	"fmt"
	"slices"
	"strings"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
)

// BlockJob makes a job of one of the configuration's scrape_configs. It does not change sc. Home is the relay's namespace. It
// returns an error for a selector that the API server does not support.
func BlockJob(sc *promconfig.ScrapeConfig, home string) (*Job, error) {
	cfg := *sc
	j := &Job{Name: cfg.JobName, Owner: Owner{Kind: ScrapeConfigBlock, Name: cfg.JobName}, Config: &cfg}
	if err := j.divide(sc.ServiceDiscoveryConfigs, home); err != nil {
		return nil, fmt.Errorf("scrape_configs: job %q: %w", cfg.JobName, err)
	}
	j.Port = j.portRule()
	return j, nil
}

// divide sorts service discoveries: static groups go to j.Static, those of the own cluster to j.Discoveries, the rest to j.Config.
func (j *Job) divide(all discovery.Configs, home string) error {
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
			d, err := ownCluster(sd.(*promk8s.SDConfig), home)
			if err != nil {
				return err
			}
			j.Discoveries = append(j.Discoveries, d)
			continue
		}
		j.Config.ServiceDiscoveryConfigs = append(j.Config.ServiceDiscoveryConfigs, sd)
	}
	return nil
}

// OwnCluster reports whether a service discovery asks the relay's own cluster: it names no API server.
func OwnCluster(sd discovery.Config) bool {
	k, ok := sd.(*promk8s.SDConfig)
	return ok && k.APIServer.URL == nil && k.KubeConfig == ""
}

// ownCluster makes a Discovery of a kubernetes_sd_configs block that names no API server.
func ownCluster(sd *promk8s.SDConfig, home string) (Discovery, error) {
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
	d.Namespaces = allOr(d.Namespaces)
	byRole := map[string]Selector{}
	for _, s := range sd.Selectors {
		sel, err := selectable(string(s.Role), s.Label, s.Field)
		if err != nil {
			return d, fmt.Errorf("selectors: role %s: %w", s.Role, err)
		}
		byRole[string(s.Role)] = sel
	}
	d.Selectors = NewSelectors(byRole)
	return d, nil
}

// SelectableFields are the fields by which the API server selects the objects of a role. Other roles have name and namespace only.
var SelectableFields = map[string][]string{
	RolePod: {
		"metadata.name", "metadata.namespace", "spec.hostNetwork", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
		"spec.serviceAccountName", "status.nominatedNodeName", "status.phase", "status.podIP",
	},
	RoleNode:    {"metadata.name", "metadata.namespace", "spec.unschedulable"},
	RoleService: {"metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"},
}

// selectable reads a selector and checks that the API server selects objects of the role by its fields.
func selectable(role, labels, fieldSelector string) (Selector, error) {
	s, err := selectorJSON{labels, fieldSelector}.parse()
	if err != nil {
		return s, err
	}
	known := SelectableFields[role]
	if known == nil {
		known = []string{"metadata.name", "metadata.namespace"}
	}
	for _, r := range s.Fields.Requirements() {
		if !slices.Contains(known, r.Field) {
			return s, fmt.Errorf("the API server does not select by the field %q, only by %s", r.Field, strings.Join(known, ", "))
		}
	}
	return s, nil
}
