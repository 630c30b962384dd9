package targets

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/config"
)

// nodesSet is a Set of node jobs, to which a test adds Nodes.
type nodesSet struct {
	t   *testing.T
	set *Set
}

func newNodesSet(t *testing.T, more string) *nodesSet {
	t.Helper()
	c, err := config.Load([]byte("manifests: {directory: "+t.TempDir()+"}\nnodes: {probes: {enabled: false}, cadvisor: {enabled: false}"+more+"}"), "")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := NodeJobs(c.Nodes, c.Prometheus.GlobalConfig)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSet()
	s.Replace(Owner{Kind: NodesBlock}, jobs)
	return &nodesSet{t, s}
}

// node adds or changes a Node; without an address it is removed.
func (n *nodesSet) node(name, ready, address string) {
	g := &targetgroup.Group{Source: "node/" + name}
	if address != "" {
		g.Labels = model.LabelSet{nodeNameLabel: model.LabelValue(name)}
		if ready != "" {
			g.Labels[nodeReadyLabel] = model.LabelValue(ready)
		}
		g.Targets = []model.LabelSet{{model.AddressLabel: model.LabelValue(strings.TrimPrefix(address, "none"))}}
	}
	n.set.Offer(Source{Role: RoleNode, Kubelets: true}, "", g, false)
}

// monitor makes a job of a monitor scrape addresses.
func (n *nodesSet) monitor(name, job string, urls ...string) {
	owner := Owner{Kind: ServiceMonitor, Namespace: "monitoring", Name: name}
	if len(urls) == 0 {
		n.set.Replace(owner, nil)
		return
	}
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName, cfg.Scheme, cfg.ScrapeInterval, cfg.ScrapeTimeout = "serviceMonitor/monitoring/"+name+"/0", "https", 30e9, 10e9
	g := &targetgroup.Group{Source: "static/0", Labels: model.LabelSet{"job": model.LabelValue(job), "service": "kps-kubelet"}}
	for _, u := range urls {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(u)})
	}
	n.set.Replace(owner, []*Job{{Name: cfg.JobName, Owner: owner, Config: &cfg, Static: []*targetgroup.Group{g}}})
}

// are compares the nodes of the kubelets' targets, and why others are none.
func (n *nodesSet) are(want string, drops ...string) {
	n.t.Helper()
	n.set.Settle(nil)
	var got []string
	for _, t := range n.set.Targets("nodes/kubelet") {
		got = append(got, t.Labels.Get("node"))
	}
	slices.Sort(got)
	if strings.Join(got, " ") != want {
		n.t.Errorf("targets are of %q, want %q", got, want)
	}
	dropped := n.set.Dropped("nodes/kubelet")
	for i, d := range dropped {
		if reason := d.Reason(n.set.Jobs(Owner{Kind: NodesBlock})[0]); i >= len(drops) || !strings.Contains(reason, drops[i]) {
			n.t.Errorf("dropped for %q", reason)
		}
	}
	if len(dropped) != len(drops) {
		n.t.Errorf("%d dropped, want %d", len(dropped), len(drops))
	}
}

// TestNodesThatAreNotHeardOf: they yield to a Node that has their address, and only then.
func TestNodesThatAreNotHeardOf(t *testing.T) {
	n := newNodesSet(t, "")
	n.node("dead", "unknown", "127.0.0.1:10250")
	n.are("dead")
	n.node("alive", "true", "127.0.0.1:10250")
	n.are("alive", "the readiness of its Node is unknown, and Node alive has the same address")
	n.node("alive", "false", "127.0.0.1:10250") // not ready is known
	n.are("alive", "Node alive has the same address")
	n.node("alive", "true", "127.0.0.1:10999") // another port of the same machine
	n.are("alive", "Node alive has the same address")
	n.node("alive", "true", "127.0.0.2:10250")
	n.are("alive dead")
	n.node("alive", "true", "127.0.0.1:10250")
	n.node("third", "", "127.0.0.1:10250") // has said nothing yet
	n.are("alive", "Node alive has", "Node alive has")
	n.node("alive", "unknown", "127.0.0.1:10250") // it is not known which one is alive
	n.are("alive dead third")
	n.node("dead", "true", "127.0.0.1:10250")
	n.node("alive", "true", "127.0.0.1:10250")
	n.are("alive dead", "Node alive has")
	n.node("dead", "", "")
	n.node("alive", "", "")
	n.are("third")
}

// TestNodesWithoutAddress are dropped, with a reason.
func TestNodesWithoutAddress(t *testing.T) {
	n := newNodesSet(t, "")
	n.node("a", "true", "none")
	n.are("", "Node a has no address to use, neither an InternalIP nor an ExternalIP")
}

// TestNodesLeaveToMonitors what these scrape, as long as they do.
func TestNodesLeaveToMonitors(t *testing.T) {
	n := newNodesSet(t, "")
	n.node("a", "true", "10.0.0.1:10250")
	n.node("b", "true", "10.0.0.2:10250")
	n.are("a b")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250")
	n.are("b", "it is left to serviceMonitor/monitoring/kubelet/0")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250", "10.0.0.2:10250")
	n.are("", "it is left to", "it is left to")
	n.node("b", "false", "10.0.0.2:10250") // changes by itself
	n.are("", "it is left to", "it is left to")
	n.monitor("kubelet", "kps-kubelet", "10.0.0.1:10250", "10.0.0.2:10250") // another job label
	n.are("a b")
	n.monitor("kubelet", "kubelet", "10.0.0.2:10255")
	n.are("a b")
	n.monitor("kubelet", "kubelet", "10.0.0.2:10250")
	n.are("a", "it is left to")
	n.monitor("kubelet", "")
	n.are("a b")
	if got := n.set.NewDuplicates(); len(got) > 0 {
		t.Errorf("found %v", got)
	}
	if len(n.set.places) != len(n.set.Targets("nodes/kubelet"))+len(n.set.Targets("nodes/kube-proxy")) {
		t.Errorf("%d places remain", len(n.set.places))
	}
}

// TestDuplicates finds two jobs that scrape one URL with one job label, once, and names both as long as they do.
func TestDuplicates(t *testing.T) {
	n := newNodesSet(t, ", beside_monitors: true")
	n.node("a", "true", "10.0.0.1:10250")
	n.node("b", "true", "10.0.0.2:10250")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250", "10.0.0.9:10250")
	n.are("a b")
	if got := n.set.NewDuplicates(); !slices.Equal(got, []Duplicate{{"nodes/kubelet", "serviceMonitor/monitoring/kubelet/0"}}) {
		t.Errorf("found %v", got)
	}
	shared := func(job, want string) {
		t.Helper()
		if got := n.set.DuplicateNotes(job); strings.Join(got, "") != want {
			t.Errorf("%s: %q, want %q", job, got, want)
		}
	}
	const why = ", with the same job label, such as https://10.0.0.1:10250/metrics: in sums they count twice. Remove one of the two"
	shared("nodes/kubelet", "serviceMonitor/monitoring/kubelet/0 scrapes 1 of its 2 pages too"+why)
	shared("serviceMonitor/monitoring/kubelet/0", "nodes/kubelet scrapes 1 of its 2 pages too"+why)
	shared("nodes/kube-proxy", "")
	n.node("a", "false", "10.0.0.1:10250")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250", "10.0.0.2:10250")
	n.are("a b")
	n.monitor("kubelet", "other", "10.0.0.1:10250", "10.0.0.2:10250")
	n.are("a b")
	shared("nodes/kubelet", "")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250")
	n.are("a b")
	if got := n.set.NewDuplicates(); len(got) > 0 {
		t.Errorf("found again %v", got)
	}
	n.monitor("kubelet", "")
	n.are("a b")
	shared("nodes/kubelet", "")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250")
	n.are("a b")
	if got := n.set.NewDuplicates(); len(got) != 1 {
		t.Errorf("of a monitor that is new, found %v", got)
	}
}

// TestSharedRulesOfNodes: rules and honor_labels of the block count for each job, before the job's own.
func TestSharedRulesOfNodes(t *testing.T) {
	c, err := config.Load([]byte(`
manifests: {directory: `+t.TempDir()+`}
nodes:
  honor_labels: false
  relabel_configs:
  - {regex: node|namespace, action: labeldrop}
  - {target_label: job, replacement: page}
  metric_relabel_configs:
  - {regex: id, action: labeldrop}
  cadvisor:
    honor_labels: true
    relabel_configs:
    - {source_labels: [job], target_label: job, replacement: 'cadvisor-${1}'}
    metric_relabel_configs:
    - {regex: image, action: labeldrop}
`), "")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := NodeJobs(c.Nodes, c.Prometheus.GlobalConfig)
	if err != nil {
		t.Fatal(err)
	}
	set := NewSet()
	set.Replace(Owner{Kind: NodesBlock}, jobs)
	n := &nodesSet{t, set}
	n.node("a", "true", "10.0.0.1:10250")
	set.Settle(nil)
	for job, want := range map[string]struct {
		labels  string
		honor   bool
		metrics []string
	}{
		"nodes/kubelet":    {`{endpoint="https-metrics", instance="10.0.0.1:10250", job="page", metrics_path="/metrics", service="kubelet"}`, false, []string{"nodes.metric_relabel_configs[0]"}},
		"nodes/cadvisor":   {`{endpoint="https-metrics", instance="10.0.0.1:10250", job="cadvisor-page", metrics_path="/metrics/cadvisor", service="kubelet"}`, true, []string{"nodes.metric_relabel_configs[0]", "nodes.cadvisor.metric_relabel_configs[0]"}},
		"nodes/kube-proxy": {`{endpoint="metrics", instance="10.0.0.1:10249", job="page", service="kube-proxy"}`, false, []string{"nodes.metric_relabel_configs[0]"}},
	} {
		all := set.Targets(job)
		if len(all) != 1 {
			t.Errorf("%s has %d targets", job, len(all))
			continue
		}
		shown := labels.NewScratchBuilder(8)
		all[0].Labels.Range(func(l labels.Label) {
			if !strings.HasPrefix(l.Name, model.ReservedLabelPrefix) {
				shown.Add(l.Name, l.Value)
			}
		})
		if got := shown.Labels().String(); got != want.labels {
			t.Errorf("%s: %s, want %s", job, got, want.labels)
		}
		i := slices.IndexFunc(jobs, func(j *Job) bool { return j.Name == job })
		var origins []string
		for _, o := range jobs[i].MetricOrigins {
			origins = append(origins, o.Field)
		}
		if j := jobs[i]; j.Config.HonorLabels != want.honor || !slices.Equal(origins, want.metrics) || len(j.Config.MetricRelabelConfigs) != len(origins) {
			t.Errorf("%s: honor_labels %t, %d metric rules from %q", job, j.Config.HonorLabels, len(j.Config.MetricRelabelConfigs), origins)
		}
	}
}
