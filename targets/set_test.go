package targets

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/file"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/relabel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// setWorld is jobs and groups, a Set that gets them step by step, and the targets by its changes.
type setWorld struct {
	r      *rand.Rand
	jobs   map[Owner][]*Job
	groups map[Source]map[string]*targetgroup.Group // by name
	set    *Set
	live   map[string]map[uint64]*Target
}

var worldSources = []Source{{Role: RoleEndpointSlice}, {Role: RolePod}, {Role: RoleEndpointSlice, Attach: Attach{Node: true}}}

func (w *setWorld) randomJob(owner Owner, i int) *Job {
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName = fmt.Sprintf("%s/%d", owner.Name, i)
	cfg.ScrapeInterval, cfg.ScrapeTimeout = 30e9, 10e9
	var l ruleList
	l.copyLabel("__tmp_prometheus_job_name", "job")
	sel := metav1.LabelSelector{}
	for range w.r.IntN(3) {
		if sel.MatchLabels == nil {
			sel.MatchLabels = map[string]string{}
		}
		sel.MatchLabels[pick(w.r, "app", "team")] = pick(w.r, "a", "b", "a.*", "")
	}
	if w.r.IntN(4) == 0 {
		sel.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "team", Operator: pick(w.r, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn), Values: []string{"a", "c"}}}
	}
	l.selector("service", sel)
	j := &Job{Name: cfg.JobName, Owner: owner, Config: &cfg, Select: l.rules[1:], Demands: l.demands}
	if w.r.IntN(3) == 0 {
		l.filterBy(relabel.Drop, "port", pick(w.r, "10.*", "b:1"), "__address__")
	}
	if w.r.IntN(2) == 0 {
		l.set("job", pick(w.r, "kubelet", "web")) // pages that others scrape with the same job label
	}
	if owner.Kind == NodesBlock {
		j.Yields = YieldsToMonitors
	}
	cfg.RelabelConfigs = valid(l.rules)
	for range 1 + w.r.IntN(2) {
		var namespaces []string
		for range w.r.IntN(3) {
			namespaces = append(namespaces, pick(w.r, "x", "y", "z"))
		}
		j.Discoveries = append(j.Discoveries, Discovery{Source: pick(w.r, worldSources...), Namespaces: namespaces})
	}
	if w.r.IntN(6) == 0 {
		j.Select = nil
		j.Static = []*targetgroup.Group{{Source: "static/0", Targets: []model.LabelSet{{"__address__": pick[model.LabelValue](w.r, "s:1", "s:2")}}}}
	}
	return j
}

// valid makes rules usable, as the validation of a whole job does.
func valid(rules []*relabel.Config) []*relabel.Config {
	for _, r := range rules {
		r.NameValidationScheme = model.UTF8Validation
	}
	return rules
}

func (w *setWorld) randomGroup(name string) (string, *targetgroup.Group) {
	ns := pick(w.r, "x", "y", "z")
	g := &targetgroup.Group{Source: "role/" + ns + "/" + name, Labels: model.LabelSet{"__meta_kubernetes_namespace": model.LabelValue(ns)}}
	for _, k := range []string{"app", "team"} {
		if w.r.IntN(4) > 0 {
			g.Labels[model.LabelName("__meta_kubernetes_service_label_"+k)] = pick[model.LabelValue](w.r, "a", "b", "c", "", "a.*")
			g.Labels[model.LabelName("__meta_kubernetes_service_labelpresent_"+k)] = "true"
		}
	}
	for range w.r.IntN(4) {
		g.Targets = append(g.Targets, model.LabelSet{"__address__": pick[model.LabelValue](w.r, "a:1", "b:1", "10.0.0.1:1", "", "bad/address")})
	}
	return ns, g
}

func (w *setWorld) offerTo(set *Set, needy []*Job, src Source) {
	for _, name := range slices.Sorted(maps.Keys(w.groups[src])) {
		for _, j := range needy {
			for _, d := range j.Discoveries {
				ns := string(w.groups[src][name].Labels["__meta_kubernetes_namespace"])
				if d.Source == src && (len(d.Namespaces) == 0 || slices.Contains(d.Namespaces, ns)) {
					set.Offer(src, ns, w.groups[src][name], true)
				}
			}
		}
	}
}

// step changes something.
func (w *setWorld) step() {
	switch w.r.IntN(6) {
	case 0, 1:
		owner := Owner{Kind: ServiceMonitor, Name: fmt.Sprint(w.r.IntN(5))}
		if owner.Name == "4" {
			owner.Kind = NodesBlock
		}
		var jobs []*Job
		for i := range w.r.IntN(3) {
			jobs = append(jobs, w.randomJob(owner, i))
		}
		w.jobs[owner] = jobs
		needy := w.set.Replace(owner, jobs)
		for _, src := range worldSources {
			w.offerTo(w.set, needy, src)
		}
	case 2: // the same once more
		for owner, jobs := range w.jobs {
			needy := w.set.Replace(owner, jobs)
			for _, src := range worldSources {
				w.offerTo(w.set, needy, src)
			}
			break
		}
	default:
		src := pick(w.r, worldSources...)
		ns, g := w.randomGroup(fmt.Sprint(w.r.IntN(6)))
		if len(g.Targets) == 0 {
			delete(w.groups[src], g.Source)
		} else {
			w.groups[src][g.Source] = g
		}
		w.set.Offer(src, ns, g, false)
	}
}

func (w *setWorld) settle(t *testing.T) {
	for _, c := range w.set.Settle(nil) {
		if c.Gone {
			delete(w.live, c.Job.Name)
			continue
		}
		if w.live[c.Job.Name] == nil {
			w.live[c.Job.Name] = map[uint64]*Target{}
		}
		live := w.live[c.Job.Name]
		for _, r := range c.Removed {
			if live[r.Hash] == nil {
				t.Fatalf("%s: a target is removed that was never added: %v", c.Job.Name, r.Labels)
			}
			delete(live, r.Hash)
		}
		for _, a := range c.Added {
			live[a.Hash] = a
		}
		for _, l := range live {
			if l.Job != c.Job {
				t.Fatalf("%s: target %v is of an older job", c.Job.Name, l.Labels)
			}
		}
	}
}

// scratch is what a new Set makes of the world as it is.
func (w *setWorld) scratch() map[string][]string {
	set := NewSet()
	for owner, jobs := range w.jobs {
		set.Replace(owner, jobs)
	}
	for _, src := range worldSources {
		for _, g := range w.groups[src] {
			set.Offer(src, string(g.Labels["__meta_kubernetes_namespace"]), g, false)
		}
	}
	out := map[string][]string{}
	for _, c := range set.Settle(nil) {
		out[c.Job.Name] = lines(c.Added)
	}
	return out
}

func lines(ts []*Target) []string {
	out := []string{}
	for _, t := range ts {
		out = append(out, t.URL+t.Labels.String())
	}
	slices.Sort(out)
	return out
}

// Step by step gives the same as from scratch, and the changes add up to it.
func TestSetStepByStep(t *testing.T) {
	targets, yielded := 0, 0
	for seed := range uint64(100) {
		w := &setWorld{r: rand.New(rand.NewPCG(seed, 2)), jobs: map[Owner][]*Job{}, groups: map[Source]map[string]*targetgroup.Group{}, set: NewSet(), live: map[string]map[uint64]*Target{}}
		for _, src := range worldSources {
			w.groups[src] = map[string]*targetgroup.Group{}
		}
		for range 60 {
			w.step()
			if w.r.IntN(2) == 0 {
				continue
			}
			w.settle(t)
			want := w.scratch()
			got := map[string][]string{}
			for job, live := range w.live {
				yielded += len(w.set.jobs[job].yielded)
				got[job] = lines(slices.Collect(maps.Values(live)))
				targets += len(live)
				if inSet := lines(w.set.Targets(job)); !slices.Equal(inSet, got[job]) {
					t.Fatalf("seed %d: the set has %q, its changes give %q", seed, inSet, got[job])
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("seed %d: (-from scratch +step by step)\n%s", seed, d)
			}
		}
		for owner := range w.jobs {
			w.set.Replace(owner, nil)
		}
		w.settle(t)
		if len(w.set.places) != 0 || len(w.set.yielding) != 0 || len(w.set.duplicates) != 0 {
			t.Fatalf("seed %d: of no jobs there remain %v, %v, %v", seed, w.set.places, w.set.yielding, w.set.duplicates)
		}
		if len(w.live) != 0 || len(w.set.sources) != 0 || len(w.set.jobs) != 0 {
			t.Fatalf("seed %d: of no jobs there remain %v, %v, %v", seed, w.live, w.set.sources, w.set.jobs)
		}
	}
	if targets < 5_000 || yielded < 100 {
		t.Errorf("%d targets in all, %d left to others: the cases prove too little", targets, yielded)
	}
}

func TestOfferAll(t *testing.T) {
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName, cfg.ScrapeInterval, cfg.ScrapeTimeout = "file", 30e9, 10e9
	cfg.ServiceDiscoveryConfigs = discovery.Configs{&file.SDConfig{Files: []string{"a"}}}
	group := func(name, address string) *targetgroup.Group {
		return &targetgroup.Group{Source: name, Targets: []model.LabelSet{{"__address__": model.LabelValue(address)}}}
	}
	owner := Owner{Kind: ScrapeConfigBlock, Name: "file"}
	s := NewSet()
	s.Replace(owner, []*Job{{Name: "file", Owner: owner, Config: &cfg, Static: []*targetgroup.Group{group("static/0", "s:1")}}})
	expect := func(want ...string) {
		t.Helper()
		s.Settle(nil)
		var got []string
		for _, target := range s.Targets("file") {
			got = append(got, target.URL)
		}
		if !slices.Equal(got, want) {
			t.Errorf("targets are %q, want %q", got, want)
		}
	}
	expect("http://s:1/metrics")
	s.OfferAll("file", []*targetgroup.Group{group("a", "a:1"), group("b", "b:1")})
	expect("http://a:1/metrics", "http://b:1/metrics", "http://s:1/metrics")
	s.OfferAll("file", []*targetgroup.Group{group("b", "b:2")})
	expect("http://b:2/metrics", "http://s:1/metrics")
	// Another job that finds its targets as before has them at once.
	other := cfg
	other.MetricsPath = "/other"
	s.Replace(owner, []*Job{{Name: "file", Owner: owner, Config: &other}})
	expect("http://b:2/other")
	// So has one that finds them otherwise, until OfferAll says what that found.
	edited := cfg
	edited.ServiceDiscoveryConfigs = discovery.Configs{&file.SDConfig{Files: []string{"b"}}}
	s.Replace(owner, []*Job{{Name: "file", Owner: owner, Config: &edited}})
	expect("http://b:2/metrics")
	s.OfferAll("file", []*targetgroup.Group{group("c", "c:1")})
	expect("http://c:1/metrics")
	// One that finds none so any more has none.
	without := cfg
	without.ServiceDiscoveryConfigs = nil
	s.Replace(owner, []*Job{{Name: "file", Owner: owner, Config: &without, Static: []*targetgroup.Group{group("static/0", "s:1")}}})
	expect("http://s:1/metrics")
}

func TestDropsTellWhy(t *testing.T) {
	cfg := promconfig.DefaultScrapeConfig
	cfg.JobName, cfg.ScrapeInterval, cfg.ScrapeTimeout = "j", 30e9, 10e9
	var l ruleList
	l.copyLabel("a", "b")
	l.filterBy(relabel.Keep, "port", "http", "__meta_port")
	cfg.RelabelConfigs = valid(l.rules)
	j := &Job{Name: "j", Owner: Owner{Kind: ScrapeConfigBlock, Name: "j"}, Config: &cfg, Static: []*targetgroup.Group{{Source: "static/0", Targets: []model.LabelSet{
		{"__address__": "a:1", "__meta_port": "grpc"}, {"__address__": "", "__meta_port": "http"}, {"__address__": "b:1", "__meta_port": "http"},
	}}}}
	s := NewSet()
	s.Replace(j.Owner, []*Job{j})
	s.Settle(nil)
	var got []string
	for _, d := range s.Dropped("j") {
		got = append(got, d.Discovered(j).Get("__address__")+": "+d.Reason(j))
	}
	want := []string{`a:1: relabel_configs[1]: keep where __meta_port matches "http"; source value is "grpc"`, ": no address"}
	if !slices.Equal(got, want) {
		t.Errorf("reasons are %q, want %q", got, want)
	}
}
