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
	// Ended is the rule of Select that drops Pods which have ended; nil if there is none.
	Ended *relabel.Config
	// Demands are what Select asks of an object's labels, as far as it asks for one certain value of a label.
	Demands []Demand
	// Selector is the label selector of a monitor's objects, as a person writes it; empty for all objects.
	Selector string
	// Port is the first rule that keeps the targets of one port; nil where there is none.
	Port *PortRule
	// OwnToken tells that its targets get the token of the relay's service account, those alone that CheckToken lets by.
	OwnToken bool
	// AtKubelet tells that its targets are at the port that each Node tells of its kubelet.
	AtKubelet bool
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

// Demand is a label with the value that an object must have for Refuses not to refuse it.
type Demand struct {
	Role  string // of the object
	Name  string // of the label, as discovery writes it: with underscores
	Value string
}

// Label is the label of discovery that tells of the object's.
func (d Demand) Label() string { return objectLabel(d.Role, d.Name) }

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

// PortRule is a rule that keeps the targets of one port.
type PortRule struct {
	Label string // of discovery: the name or the number of the port
	Regex relabel.Regexp
	From  Origin
}

// portRule finds the Port of a job that has all of its rules.
func (j *Job) portRule() *PortRule {
	for i, r := range j.Config.RelabelConfigs {
		if r.Action != relabel.Keep || len(r.SourceLabels) != 1 {
			continue
		}
		switch name := string(r.SourceLabels[0]); name {
		case "__meta_kubernetes_endpointslice_port_name", "__meta_kubernetes_endpoint_port_name",
			"__meta_kubernetes_pod_container_port_name", "__meta_kubernetes_pod_container_port_number":
			return &PortRule{Label: name, Regex: r.Regex, From: j.Origin(i)}
		}
	}
	return nil
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
	// Selectors say which objects of each role are taken.
	Selectors Selectors
}

// Selects is the role of the objects that a selector of a monitor selects: EndpointSlices and Endpoints are those of a selected Service.
func (s Source) Selects() string {
	if s.Role == RoleEndpoints || s.Role == RoleEndpointSlice {
		return RoleService
	}
	return s.Role
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
