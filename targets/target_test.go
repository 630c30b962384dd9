package targets

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/scrape"
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

var targetLabelNames = []model.LabelName{
	"__address__", "__address__", "__scheme__", "__metrics_path__", "__scrape_interval__", "__scrape_timeout__", "__param_a", "__param_b", "__meta_x",
	"__tmp_y", "job", "instance", "a", "b", "__convert_classic_histograms_to_nhcb__", "__scrape_native_histograms__", "__unix_socket__",
}

func randomLabelSet(r *rand.Rand) model.LabelSet {
	ls := model.LabelSet{}
	for range r.IntN(6) {
		ls[pick(r, targetLabelNames...)] = pick[model.LabelValue](r, "", "a", "10.0.0.1:80", "10.0.0.1", "[::1]:9", "host", "1s", "30s", "2h", "0s",
			"https", "/x", "true", "maybe", "a/b", "\xff", "x y")
	}
	return ls
}

func randomRules(r *rand.Rand) (out []*relabel.Config) {
	for range r.IntN(4) {
		rule := relabel.DefaultRelabelConfig
		rule.NameValidationScheme = model.UTF8Validation
		rule.Action = pick(r, relabel.Replace, relabel.Replace, relabel.Keep, relabel.Drop, relabel.LabelMap, relabel.LabelDrop, relabel.HashMod, relabel.Uppercase)
		for range r.IntN(3) {
			rule.SourceLabels = append(rule.SourceLabels, pick(r, targetLabelNames...))
		}
		rule.Regex = relabel.MustNewRegexp(pick(r, "(.*)", "a", "10.*", "", "(.+):(.+)", "__meta_(.+)", "__tmp_.*"))
		rule.TargetLabel = string(pick(r, targetLabelNames...))
		rule.Replacement = pick(r, "$1", "${1}", "x", "", "30s")
		rule.Modulus = 3
		if rule.Action == relabel.LabelMap { // else the result hangs on the order of a map
			rule.Regex, rule.Replacement = relabel.MustNewRegexp("__(?:meta|tmp)_(.+)"), "$1"
		}
		out = append(out, &rule)
	}
	return out
}

func randomConfig(r *rand.Rand) *promconfig.ScrapeConfig {
	c := promconfig.DefaultScrapeConfig
	c.JobName = "job"
	c.ScrapeInterval = pick[model.Duration](r, 15e9, 60e9)
	c.ScrapeTimeout = 10e9
	c.RelabelConfigs = randomRules(r)
	if r.IntN(2) == 0 {
		c.Params = map[string][]string{"a": {"1", "2"}, "c": {"3"}, "d": {}}
	}
	return &c
}

// A target's labels, URL and errors are those that prometheus/scrape gives.
func TestTargetsMatchPrometheus(t *testing.T) {
	b := labels.NewBuilder(labels.EmptyLabels())
	kept, failed := 0, 0
	for seed := range uint64(50_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		job := &Job{Name: "job", Config: randomConfig(r)}
		group := &targetgroup.Group{Source: "g", Labels: randomLabelSet(r), Targets: []model.LabelSet{randomLabelSet(r)}}
		want, wantErr := scrape.PopulateLabels(b, job.Config, group.Targets[0], group.Labels)
		got, err := FromGroup(job, group)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("seed %d: error is %v, Prometheus's %v", seed, err, wantErr)
		}
		switch {
		case err != nil:
			failed++
		case want.IsEmpty():
			if len(got) != 0 {
				t.Fatalf("seed %d: got %v, Prometheus drops it", seed, got[0].Labels)
			}
		default:
			kept++
			p := scrape.NewTarget(want, job.Config, group.Targets[0], group.Labels)
			if len(got) != 1 || !labels.Equal(got[0].Labels, want) || got[0].URL != p.URL().String() {
				t.Fatalf("seed %d: got %+v %s, want %v %s", seed, got[0].Labels, got[0].URL, want, p.URL())
			}
			if d := p.DiscoveredLabels(b); !labels.Equal(d, got[0].Discovered()) {
				t.Fatalf("seed %d: discovered labels are %v, want %v", seed, got[0].Discovered(), d)
			}
			if pub := p.Labels(b); !labels.Equal(pub, got[0].Public()) {
				t.Fatalf("seed %d: labels are %v, want %v", seed, got[0].Public(), pub)
			}
		}
	}
	if kept < 1000 || failed < 1000 {
		t.Errorf("of all cases %d were kept and %d failed: they prove too little", kept, failed)
	}
}

func ExampleOwner_String() {
	fmt.Println(Owner{ServiceMonitor, "shop", "web"})
	fmt.Println(Owner{Kind: ScrapeConfigBlock, Name: "node"})
	fmt.Println(Owner{Kind: NodesBlock})
	// Output:
	// ServiceMonitor shop/web
	// scrape_config node
	// nodes
}
