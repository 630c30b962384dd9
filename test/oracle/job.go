package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/install" // all kinds of service discovery
	promk8s "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/scrape"
	"go.yaml.in/yaml/v3"
)

func init() { config_util.MarshalSecretValue = true }

// job describes the settings of a job and finds its targets.
func (c *cluster) job(sc *promconfig.ScrapeConfig) (Job, error) {
	var j Job
	var groups []*targetgroup.Group
	var others discovery.Configs
	for _, sd := range sc.ServiceDiscoveryConfigs {
		switch sd := sd.(type) {
		case discovery.StaticConfig:
			groups = append(groups, sd...)
		case *promk8s.SDConfig:
			if sd.APIServer.URL != nil || sd.KubeConfig != "" {
				others = append(others, sd)
				continue
			}
			gs, err := c.groups(sd)
			if err != nil {
				return j, err
			}
			groups = append(groups, gs...)
		default:
			others = append(others, sd)
		}
	}
	j.Targets, j.Dropped = targetsOf(sc, groups)
	return j, j.describe(sc, others)
}

// describe writes the settings as YAML.
func (j *Job) describe(sc *promconfig.ScrapeConfig, others discovery.Configs) (err error) {
	if len(others) > 0 {
		text, err := yaml.Marshal(&promconfig.ScrapeConfig{ServiceDiscoveryConfigs: others})
		if err != nil {
			return fmt.Errorf("service discovery: %w", err)
		}
		j.Discovery = string(text)
	}
	if j.Rules, err = text(withoutSharding(sc.RelabelConfigs)); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	rest := *sc
	rest.ServiceDiscoveryConfigs, rest.RelabelConfigs = nil, nil
	if j.Settings, err = text(&rest); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return nil
}

func text(v any) (string, error) {
	b, err := yaml.Marshal(v)
	return string(b), err
}

// withoutSharding removes the rules that the operator appends for shards, even if there is only one.
func withoutSharding(rules []*relabel.Config) []*relabel.Config {
	n := len(rules)
	if n >= 3 && rules[n-1].Action == relabel.Keep && slices.Contains(rules[n-1].SourceLabels, model.LabelName("__tmp_disable_sharding")) &&
		rules[n-2].Action == relabel.HashMod && rules[n-3].TargetLabel == "__tmp_hash" {
		return rules[:n-3]
	}
	return rules
}

// targetsOf does what a scrape pool does with groups.
func targetsOf(sc *promconfig.ScrapeConfig, groups []*targetgroup.Group) (out []Target, dropped int) {
	b := labels.NewBuilder(labels.EmptyLabels())
	found := map[string]Target{}
	for _, g := range groups {
		for _, own := range g.Targets {
			ls, err := scrape.PopulateLabels(b, sc, own, g.Labels)
			if err != nil || !hasPublic(ls) {
				dropped++
				continue
			}
			t := Target{
				Labels: ls.Map(), URL: scrape.NewTarget(ls, sc, own, g.Labels).URL().String(),
				Interval: ls.Get(model.ScrapeIntervalLabel), Timeout: ls.Get(model.ScrapeTimeoutLabel),
			}
			found[t.URL+" "+ls.String()] = t
		}
	}
	out = []Target{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[key])
	}
	return out, dropped
}

func hasPublic(ls labels.Labels) (has bool) {
	ls.Range(func(l labels.Label) { has = has || !strings.HasPrefix(l.Name, model.ReservedLabelPrefix) })
	return has
}
