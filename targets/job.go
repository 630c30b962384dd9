package targets

import (
	"fmt"
	"slices"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Job is how one group of targets is found and scraped. It does not change; an edited one is another Job of the same name.
type Job struct {
	// Name as the operator gives it: serviceMonitor/<ns>/<name>/<i>, podMonitor/..., probe/<ns>/<name>,
	// scrapeConfig/<ns>/<name>; nodes/kubelet and so on of node jobs; the job_name of a scrape_config.
	Name  string
	Owner Owner
	// Config holds the scrape settings and the rules. Its service discovery is what discovers neither by Discoveries nor by Static.
	Config *promconfig.ScrapeConfig
	// Origins are those of Config's rules for targets, one for each; nil where all of them are its relabel_configs.
	Origins []Origin
	// MetricOrigins are those of Config's rules for samples, one for each; nil where all of them are its metric_relabel_configs.
	MetricOrigins []Origin
	// Discoveries are the objects of the cluster that give its groups.
	Discoveries []Discovery
	// Static are groups that need no discovery.
	Static []*targetgroup.Group
	// Select are the first of Config's rules, as many as need nothing but a group's labels to drop all of its targets.
	Select []*relabel.Config
	// Selector is the label selector of a monitor's objects, as a person writes it; empty for all objects.
	Selector string
	// OwnToken tells that its targets get the token of the relay's service account, those alone that CheckToken lets by.
	OwnToken bool
	// Yields tells that it leaves a target to a monitor that scrapes the same page with the same job label.
	Yields bool
	// Notes say what a user may wonder at.
	Notes []string
}

// static tells whether a group is one of Static.
func (j *Job) static(name string) bool {
	return slices.ContainsFunc(j.Static, func(g *targetgroup.Group) bool { return g.Source == name })
}

// Refuses returns the first of Select that drops an object with these labels of discovery, nil if none does.
func (j *Job) Refuses(discovered map[string]string) *relabel.Config {
	for _, r := range j.Select {
		b := labels.NewBuilder(labels.EmptyLabels())
		for _, name := range r.SourceLabels {
			b.Set(string(name), discovered[string(name)])
		}
		if !relabel.ProcessBuilder(b, r) {
			return r
		}
	}
	return nil
}

// Demands are labels of discovery that an object must have with a certain value, for Refuses not to refuse it. There may be other rules.
func (j *Job) Demands() map[string]string {
	out := map[string]string{}
	for _, r := range j.Select {
		if name, v, ok := demands(r); ok {
			out[name] = v
		}
	}
	return out
}

// Origin returns where a rule of Config's comes from.
func (j *Job) Origin(rule int) Origin {
	if j.Origins == nil {
		return Origin{Field: fmt.Sprintf("relabel_configs[%d]", rule)}
	}
	return j.Origins[rule]
}

// MetricOrigin returns where a rule of Config's for samples comes from.
func (j *Job) MetricOrigin(rule int) Origin {
	if j.MetricOrigins == nil {
		return Origin{Field: fmt.Sprintf("metric_relabel_configs[%d]", rule)}
	}
	return j.MetricOrigins[rule]
}

// PortRule returns the rule by which a monitor keeps one port, the label that it looks at, and where it comes from; nil where it takes all
// ports.
func (j *Job) PortRule() (r *relabel.Config, label string, from Origin) {
	for i, r := range j.Config.RelabelConfigs {
		if r.Action != relabel.Keep || len(r.SourceLabels) != 1 {
			continue
		}
		switch name := string(r.SourceLabels[0]); name {
		case "__meta_kubernetes_endpointslice_port_name", "__meta_kubernetes_endpoint_port_name",
			"__meta_kubernetes_pod_container_port_name", "__meta_kubernetes_pod_container_port_number":
			return r, name, j.Origin(i)
		}
	}
	return nil, "", Origin{}
}

// Discovery is one way in which a job finds groups.
type Discovery struct {
	Source
	// Namespaces are those of which groups are taken; none means all.
	Namespaces []string
}

// allOr returns the namespaces, none where one of them is "": to Kubernetes that means all.
func allOr(namespaces []string) []string {
	if slices.Contains(namespaces, "") {
		return nil
	}
	return namespaces
}

// Source is a stream of groups that jobs share: all objects of a role, with the same metadata attached and the same ones left out.
type Source struct {
	Role   string
	Attach Attach
	// Kubelets, with the role node, gives each Node the address and the port that prometheus-operator gives its kubelet; one without
	// such an address has none.
	Kubelets bool
	// Selectors are role=label-selector|field-selector, for each role that has one, sorted and joined by ";".
	Selectors string
}

// Attach says which other objects' labels are attached to a group's.
type Attach struct{ Node, Namespace, Deployment, Job, CronJob bool }

// Change is what happened to one job.
type Change struct {
	Job     *Job
	Gone    bool      // the job is no more, nor are its targets
	Added   []*Target // also those that are there already and are now of another Job, or were discovered otherwise
	Removed []*Target
}
