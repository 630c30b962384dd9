// Package lint checks the monitors of files before a cluster has them: it reads files, makes the Pods and EndpointSlices that a cluster
// would make of the workloads and Services in them, lets discovery find the targets, and says what is wrong, with file and line.
//
// Promises: the targets are those of the relay, found by the same code; a file that cannot be read costs the findings about that file
// alone; rule ids stay the same. Not promised: that what is only known in a cluster is right, such as values of Secrets.
package lint

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/informers/manifests/workloads"
	"promrelay/informers/objects"
)

// Options say what to check.
type Options struct {
	Paths     []string  // of files and directories; "-" for Input
	Input     io.Reader // what "-" stands for
	Namespace string    // of objects that name none; empty means default
	// Config has the block monitors. Without a configuration, all monitors are selected, and each scrape class exists.
	Config *config.Config
	// Cluster has the objects that monitors select. Without it, the files have them.
	Cluster informers.Backend
	// Progress is called while files are read. It may be nil.
	Progress func(done, total int)
}

// Report is what was found.
type Report struct {
	Findings []Finding `json:"findings"`
	Files    int       `json:"files"` // that were read
	Monitors int       `json:"monitors"`
	Targets  int       `json:"targets"`
}

// Worst reports whether there is a finding of a severity or a worse one.
func (r Report) Worst(s Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.weight() >= s.weight() })
}

// Run checks the files. It returns an error if it cannot begin or end.
func Run(ctx context.Context, o Options) (Report, error) {
	tree, err := manifests.ReadTree(manifests.TreeOptions{Paths: o.Paths, Input: o.Input, Namespace: o.Namespace, Progress: o.Progress})
	if err != nil {
		return Report{}, err
	}
	c := &checker{tree: tree, once: map[Finding]bool{}}
	all := c.objects()
	if o.Cluster == nil {
		c.made = workloads.Make(all)
		tree.Add(c.made.Objects)
	}
	cfg, err := configuration(o.Config, all)
	if err != nil {
		return Report{}, err
	}
	c.configured, c.cluster = o.Config != nil, o.Cluster != nil
	backend := informers.Backend(tree)
	if o.Cluster != nil {
		backend = overlay{Backend: o.Cluster, tree: tree}
	}
	d, err := informers.New(informers.Options{Backend: backend, Offline: true})
	if err != nil {
		return Report{}, err
	}
	if err := d.Apply(cfg); err != nil {
		return Report{}, err
	}
	if err := d.Settle(ctx, func() { c.check(d) }); err != nil {
		return Report{}, err
	}
	c.report.Files = tree.Files()
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(b.Severity.weight(), a.Severity.weight()), cmp.Compare(a.Rule, b.Rule))
	})
	return c.report, nil
}

// configuration returns a configuration with nothing but monitors.
func configuration(c *config.Config, all []runtime.Object) (*config.Config, error) {
	if c == nil {
		out, err := config.Load([]byte("monitors: {}\n"), "")
		if err == nil {
			out.Monitors.ScrapeClasses = anyClass(all)
		}
		return out, err
	}
	if c.Monitors == nil {
		return nil, errors.New("the configuration has no block monitors, so that the relay scrapes no monitor: add `monitors: {}`")
	}
	out := *c
	out.Nodes, out.ScrapeConfigs, out.NodeMode, out.Annotations = nil, nil, nil, nil
	return &out, nil
}

// anyClass returns the scrape classes that monitors name.
func anyClass(all []runtime.Object) (out []monitoringv1.ScrapeClass) {
	for _, o := range all {
		if name := classOf(o); name != "" && !slices.ContainsFunc(out, func(c monitoringv1.ScrapeClass) bool { return c.Name == name }) {
			out = append(out, monitoringv1.ScrapeClass{Name: name})
		}
	}
	return out
}

// classOf returns the scrape class that a monitor names.
func classOf(o runtime.Object) string {
	var name *string
	switch m := o.(type) {
	case *monitoringv1.ServiceMonitor:
		name = m.Spec.ScrapeClassName
	case *monitoringv1.PodMonitor:
		name = m.Spec.ScrapeClassName
	case *monitoringv1.Probe:
		name = m.Spec.ScrapeClassName
	case *monitoringv1alpha1.ScrapeConfig:
		name = m.Spec.ScrapeClassName
	}
	if name == nil {
		return ""
	}
	return *name
}

// checker collects findings.
type checker struct {
	tree       *manifests.Tree
	made       workloads.Made
	configured bool // there is a configuration
	cluster    bool // objects are those of a cluster
	report     Report
	once       map[Finding]bool
}

func (c *checker) objects() (out []runtime.Object) {
	for _, f := range c.tree.Objects() {
		out = append(out, f.Object)
	}
	return out
}

// add adds a finding, once.
func (c *checker) add(f Finding) {
	if !c.once[f] {
		c.once[f] = true
		c.report.Findings = append(c.report.Findings, f)
	}
}

// check collects what the files and discovery have.
func (c *checker) check(d *informers.Discovery) {
	c.files()
	all := d.Monitors()
	for i := range all {
		m := &all[i]
		found, ok := c.tree.Find(objects.OfKind(m.Owner.Kind), m.Owner.Namespace+"/"+m.Owner.Name)
		if m.Owner.Namespace == "" || !ok {
			continue
		}
		c.report.Monitors++
		c.monitor(place{c, m.Owner, found}, m)
	}
	c.duplicates(d, all)
	if c.report.Monitors == 0 {
		c.add(Finding{Rule: NoMonitors.ID, Severity: Note, Message: "There is no monitor in these files.", Mend: "Name the directory that holds ServiceMonitors, PodMonitors, Probes or ScrapeConfigs."})
	}
}
