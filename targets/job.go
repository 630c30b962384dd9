package targets

import (
	"fmt"
	"slices"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Job says how some targets are found and scraped. It is immutable: an edited monitor gives another Job of the same name.
type Job struct {
	// Name as the operator gives it: serviceMonitor/<ns>/<name>/<i>, podMonitor/..., probe/<ns>/<name>,
	// scrapeConfig/<ns>/<name>; nodes/kubelet and so on of node jobs; the job_name of a scrape_config.
	Name  string
	Owner Owner
	// Config holds the scrape settings and the rules. Its ServiceDiscoveryConfigs leave out those in Discoveries and Static.
	Config *promconfig.ScrapeConfig
	// Origins are the origins of Config's rules for targets, one for each; nil where all rules are its relabel_configs.
	Origins []Origin
	// MetricOrigins are the origins of Config's rules for samples, one for each; nil where all rules are its metric_relabel_configs.
	MetricOrigins []Origin
	// Discoveries say from which objects of the cluster the job's groups come.
	Discoveries []Discovery
	// Static are groups that need no discovery.
	Static []*targetgroup.Group
	// Select holds the rules of Config that can drop all targets of a group by the group's labels alone.
	Select []*relabel.Config
	// Ended is the rule of Select that drops Pods which have ended; nil if there is none.
	Ended *relabel.Config
	// Demands are the labels for which an object must have one certain value. Otherwise Select drops its group.
	Demands []Demand
	// Selector is the label selector of a monitor's objects, in kubectl's syntax; empty for all objects.
	Selector string
	// Port is the first rule that keeps the targets of one port; nil if there is none.
	Port *PortRule
	// OwnToken says that its targets get the token of the relay's service account, if CheckToken allows it.
	OwnToken bool
	// AtKubelet says that its targets are at the port that each Node states for its kubelet.
	AtKubelet bool
	// Yields says to which other jobs it leaves a target.
	Yields Yield
	// Half says which of its targets are scraped here, where node mode shares the work.
	Half Half
	// Limits name the settings that the limits of Config come from, by key of a scrape_config, where that is not the owner's own field.
	Limits map[string]string
	// Annotation is the annotation whose value "true" selects its objects; empty if none does.
	Annotation string
	// Notes explain to the user what is not obvious from the monitor.
	Notes []string
}

// Yield says to which other jobs a job leaves a target.
type Yield int

// The ways to yield.
const (
	YieldsNever      Yield = iota // but a monitor leaves to node mode what would yield to it in one relay
	YieldsToMonitors              // that scrape the same URL with the same job label
	// YieldsToAll leaves a target to any job that scrapes the same URL and has a smaller Yield. It scrapes a URL once.
	YieldsToAll
)

// LimitKey names the setting that a limit comes from. Key is the limit's name in a scrape_config.
func (j *Job) LimitKey(key string) string {
	if from := j.Limits[key]; from != "" {
		return from
	}
	return j.Owner.Key(key)
}

// static reports whether a group is one of Static.
func (j *Job) static(name string) bool {
	return slices.ContainsFunc(j.Static, func(g *targetgroup.Group) bool { return g.Source == name })
}

// Refuses returns the first rule of Select that drops an object with these labels of discovery, nil if none does.
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

// Demand is a label of an object with the value that it must have.
type Demand struct {
	Role  string // of the object
	Name  string // of the label, as discovery writes it: with underscores
	Value string
}

// Label is the label of discovery that holds the value.
func (d Demand) Label() string { return objectLabel(d.Role, d.Name) }

// Origin returns the origin of a rule for targets, by its index.
func (j *Job) Origin(rule int) Origin {
	if j.Origins == nil {
		return Origin{Field: fmt.Sprintf("relabel_configs[%d]", rule)}
	}
	return j.Origins[rule]
}

// MetricOrigin returns the origin of a rule for samples, by its index.
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

// Discovery is a Source whose groups a job uses.
type Discovery struct {
	Source
	// Namespaces are those whose groups it uses; none means all.
	Namespaces []string
}

// allOr returns the namespaces, or none if one of them is "", which means all for Kubernetes.
func allOr(namespaces []string) []string {
	if slices.Contains(namespaces, "") {
		return nil
	}
	return namespaces
}

// Source is a stream of groups that jobs share. The groups are those of the objects of a role with the same selectors and the same
// attached metadata. It is a map key.
type Source struct {
	Role   string
	Attach Attach
	// Kubelets, with the role node, gives each Node the address and port that prometheus-operator gives its kubelet. A Node without a
	// kubelet address gets no address.
	Kubelets bool
	// Selectors say which objects of each role are selected.
	Selectors Selectors
}

// Selects is the role of the objects that a monitor's selector applies to: EndpointSlices and Endpoints are selected by their Service.
func (s Source) Selects() string {
	if s.Role == RoleEndpoints || s.Role == RoleEndpointSlice {
		return RoleService
	}
	return s.Role
}

// Attach says which other objects' labels are attached to a group.
type Attach struct{ Node, Namespace, Deployment, Job, CronJob bool }

// Change is how one job changed between two calls of Settle.
type Change struct {
	Job     *Job
	Gone    bool      // the job was removed with all its targets
	Added   []*Target // includes known targets that now belong to an edited Job or have other labels of discovery
	Removed []*Target
}
