package targets

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/config"
)

// blockOf makes a job of an item of scrape_configs.
func blockOf(t *testing.T, text string) *Job {
	t.Helper()
	c, err := promconfig.Load("scrape_configs: [{job_name: b, "+text+"}]", promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	j, err := BlockJob(c.ScrapeConfigs[0], "prom")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestPortOfBlock is the first rule of a scrape_config that keeps one port.
func TestPortOfBlock(t *testing.T) {
	const keep = `{action: keep, source_labels: [__meta_kubernetes_pod_container_port_name], regex: web}`
	for rules, want := range map[string]string{
		keep: "relabel_configs[0]",
		`{target_label: a}, ` + keep + `, {action: keep, source_labels: [__meta_kubernetes_endpointslice_port_name], regex: x}`: "relabel_configs[1]",
		`{action: drop, source_labels: [__meta_kubernetes_pod_container_port_name], regex: web}`:                                "",
		`{action: keep, source_labels: [__meta_kubernetes_pod_container_port_name, a], regex: web}`:                             "",
		`{action: keep, source_labels: [__meta_kubernetes_pod_name], regex: web}`:                                               "",
	} {
		got := blockOf(t, "relabel_configs: ["+rules+"]").Port
		if (got == nil) != (want == "") || got != nil && (got.From.Field != want || got.Regex.String() != "web") {
			t.Errorf("%s: port is %+v, want %s", rules, got, want)
		}
	}
}

// TestReads finds the labels of discovery that rules look at, under their own names and by labelmap.
func TestReads(t *testing.T) {
	for rules, want := range map[string]bool{
		`{source_labels: [a, __meta_kubernetes_pod_label_app], target_label: x}`:         true,
		`{action: keep, source_labels: [__meta_kubernetes_pod_labelpresent_app]}`:        true,
		`{action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}`:                    true,
		`{action: labelmap, regex: __meta_kubernetes_service_label_(.+)}`:                false,
		`{action: labeldrop, regex: __meta_kubernetes_pod_label_app}`:                    false,
		`{source_labels: [__meta_kubernetes_pod_label_application], target_label: x}`:    false,
		`{target_label: __meta_kubernetes_pod_label_app, replacement: "what it writes"}`: false,
	} {
		if got := blockOf(t, "relabel_configs: ["+rules+"]").Reads("__meta_kubernetes_pod_label_app"); got != want {
			t.Errorf("%s: reads it: %t", rules, got)
		}
	}
}

// TestTokenNowhere has jobs that are known, without any target, to send no token.
func TestTokenNowhere(t *testing.T) {
	for text, want := range map[string]bool{
		`scheme: http`:  true,
		`scheme: https`: false,
		`scheme: http, relabel_configs: [{target_label: __scheme__, replacement: https}]`: false,
		`scheme: http, relabel_configs: [{action: labelmap, regex: x(.+)}]`:               false,
		`scheme: http, relabel_configs: [{target_label: "${1}"}]`:                         false,
		`scheme: http, relabel_configs: [{target_label: other}]`:                          true,
	} {
		j := blockOf(t, text)
		if err := j.TokenNowhere(); err != nil {
			t.Errorf("%s: %v of a job that has no token", text, err)
		}
		j.OwnToken = true
		err := j.TokenNowhere()
		if (err != nil) != want || err != nil && !strings.Contains(err.Error(), `which is not sent to its targets: its scheme is "http"`) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestSelects is of the Services for what stands behind them.
func TestSelects(t *testing.T) {
	for role, want := range map[string]string{RoleEndpoints: RoleService, RoleEndpointSlice: RoleService, RolePod: RolePod, RoleNode: RoleNode} {
		if got := (Source{Role: role}).Selects(); got != want {
			t.Errorf("role %s selects by %s, want %s", role, got, want)
		}
	}
}

// TestAtKubelet is said of the pages that have no port of their own.
func TestAtKubelet(t *testing.T) {
	on := func(port int) config.NodeJob {
		return config.NodeJob{Enabled: true, Port: port, ScrapeInterval: 30e9, ScrapeTimeout: 10e9}
	}
	global := promconfig.DefaultGlobalConfig
	jobs, err := NodeJobs(&config.Nodes{Selector: "os=linux", Kubelet: on(0), Cadvisor: on(10255), KubeProxy: on(10249)}, global)
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for _, j := range jobs {
		if j.AtKubelet {
			at = append(at, j.Name)
		}
		if want := NewSelectors(map[string]Selector{RoleNode: selectorOf(t, "os=linux", "")}); j.Discoveries[0].Selectors != want {
			t.Errorf("%s selects %s, want %s", j.Name, j.Discoveries[0].Selectors, want)
		}
		if j.Yields != YieldsToMonitors || j.Owner.Kind != NodesBlock {
			t.Errorf("%s yields: %d, is of %s", j.Name, j.Yields, j.Owner)
		}
	}
	if !slices.Equal(at, []string{"nodes/kubelet"}) || len(jobs) != 3 {
		t.Errorf("at the kubelet's port are %v of %d jobs", at, len(jobs))
	}
	if _, err := NodeJobs(&config.Nodes{Selector: "a b", Kubelet: on(0)}, global); err == nil {
		t.Error("a selector that cannot be read is taken")
	}
	wrong := on(0)
	wrong.ScrapeTimeout = 60e9
	if _, err := NodeJobs(&config.Nodes{Kubelet: wrong}, global); err == nil || !strings.HasPrefix(err.Error(), "nodes: kubelet: ") {
		t.Errorf("a timeout above the interval: %v", err)
	}
}

// TestHistogramsOfTargets follow the job, and labels of a target before it.
func TestHistogramsOfTargets(t *testing.T) {
	for name, c := range map[string]struct {
		job                            string
		labels                         model.LabelSet
		native, alwaysClassic, convert bool
	}{
		"nothing":        {},
		"the job":        {job: `scrape_native_histograms: true, convert_classic_histograms_to_nhcb: true`, native: true, convert: true},
		"labels":         {labels: model.LabelSet{scrapeNativeLabel: "true", alwaysClassicLabel: "1"}, native: true, alwaysClassic: true},
		"labels, not it": {job: `scrape_native_histograms: true, always_scrape_classic_histograms: true`, labels: model.LabelSet{scrapeNativeLabel: "false"}, alwaysClassic: true},
	} {
		t.Run(name, func(t *testing.T) {
			j := blockOf(t, c.job)
			own := model.LabelSet{"__address__": "a:1"}.Merge(c.labels)
			ts, err := FromGroup(j, &targetgroup.Group{Targets: []model.LabelSet{own}})
			if err != nil {
				t.Fatal(err)
			}
			if native, classic, convert := ts[0].NativeHistograms(); native != c.native || classic != c.alwaysClassic || convert != c.convert {
				t.Errorf("native %t, classic %t, converted %t", native, classic, convert)
			}
		})
	}
}

// TestTimeless is the same for targets that differ in interval and timeout alone.
func TestTimeless(t *testing.T) {
	of := func(address, interval string) *Target {
		ts, err := FromGroup(blockOf(t, ""), &targetgroup.Group{Targets: []model.LabelSet{{"__address__": model.LabelValue(address), "__scrape_interval__": model.LabelValue(interval)}}})
		if err != nil {
			t.Fatal(err)
		}
		return ts[0]
	}
	a, b, other := of("a:1", "30s"), of("a:1", "60s"), of("b:1", "30s")
	if a.Hash == b.Hash || a.Timeless() != b.Timeless() || a.Timeless() == other.Timeless() {
		t.Errorf("hashes are %x and %x, timeless %x, %x and %x", a.Hash, b.Hash, a.Timeless(), b.Timeless(), other.Timeless())
	}
}

// TestFromGroupErrors reports the invalid targets, and returns the others.
func TestFromGroupErrors(t *testing.T) {
	g := &targetgroup.Group{Source: "g", Targets: []model.LabelSet{
		{"__address__": "a:1"},
		{},
		{"__address__": "a/b"},
		{"__address__": "a:1", "__scrape_interval__": "0s"},
		{"__address__": "a:1", "__scrape_timeout__": "2h"},
		{"__address__": "a:1", scrapeNativeLabel: "perhaps"},
		{"__address__": "a:1", "x": "\xff"},
	}}
	ts, err := FromGroup(blockOf(t, ""), g)
	if len(ts) != 1 || err == nil {
		t.Fatalf("%d targets, %v", len(ts), err)
	}
	for i, want := range []string{
		"target 1 of g: no address", "target 2 of g: ", "target 3 of g: scrape interval cannot be 0", "target 4 of g: scrape timeout cannot be greater than scrape interval",
		"target 5 of g: label " + scrapeNativeLabel, `target 6 of g: label x has value "\xff", which is not UTF-8`,
	} {
		if lines := strings.Split(err.Error(), "\n"); len(lines) != 6 || !strings.HasPrefix(lines[i], want) {
			t.Errorf("error is %v, line %d is to be %s", err, i, want)
		}
	}
}
