package compare

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// target is one of job serviceMonitor/shop/cart/0, whose labels are job="cart", instance and those given.
func target(address string, more ...string) Target {
	t := Target{
		Pool: "serviceMonitor/shop/cart/0", URL: "http://" + address + "/metrics", Interval: "30s", Timeout: "10s", Health: "up",
		Labels: map[string]string{"job": "cart", "instance": address}, Discovered: map[string]string{"__address__": address, "__metrics_path__": "/metrics"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		t.Labels[more[i]] = more[i+1]
	}
	return t
}

func with(t Target, change func(*Target)) Target {
	t.Labels, t.Discovered = maps.Clone(t.Labels), maps.Clone(t.Discovered)
	change(&t)
	return t
}

// shown is each difference as one line.
func shown(r *Result) (out []string) {
	for _, d := range r.Differences {
		out = append(out, d.Kind+" "+d.Job+": "+d.Text+" ["+strings.Join(d.Targets, " ")+"]")
	}
	return out
}

func TestTargets(t *testing.T) {
	const a, b, pool = "10.0.0.1:80", "10.0.0.2:80", "serviceMonitor/shop/cart/0"
	accepted := map[string]Monitor{"ServiceMonitor/shop/cart": {Pools: []string{pool}}}
	for name, c := range map[string]struct {
		prometheus []Target
		relay      Relay
		same       int
		want       []string
	}{
		"the same":                      {[]Target{target(a), target(b)}, Relay{Targets: []Target{target(b), target(a)}}, 2, nil},
		"the same, by another job name": {[]Target{target(a)}, Relay{Targets: []Target{with(target(a), func(t *Target) { t.Pool = "nodes/kubelet" })}}, 1, nil},
		"a secret in a parameter": {
			[]Target{with(target(a), func(t *Target) { t.URL += "?token=abc" })}, Relay{Targets: []Target{with(target(a), func(t *Target) { t.URL += "?token=xxxxx" })}}, 1, nil,
		},
		"vmagent does not say intervals": {[]Target{with(target(a), func(t *Target) { t.Interval, t.Timeout = "", "" })}, Relay{Targets: []Target{target(a)}}, 1, nil},
		"labels": {
			[]Target{target(a, "pod", "x", "node", "n"), target(b, "pod", "x", "node", "n")},
			Relay{Targets: []Target{target(a, "pod", "y", "zone", "z"), target(b, "pod", "y", "zone", "z")}},
			0,
			[]string{"labels " + pool + `: without label node; label pod is "y" instead of "x"; with the additional label zone [http://` + a + "/metrics http://" + b + "/metrics]"},
		},
		"URL": {
			[]Target{target(a)},
			Relay{Targets: []Target{with(target(a), func(t *Target) { t.URL = "https://10.0.0.1/x" })}},
			0,
			[]string{"url " + pool + ": at the relay https://10.0.0.1/x [http://" + a + "/metrics]"},
		},
		"interval": {
			[]Target{target(a)},
			Relay{Targets: []Target{with(target(a), func(t *Target) { t.Interval, t.Timeout = "15s", "5s" })}},
			0,
			[]string{"interval " + pool + ": interval 30s at Prometheus, 15s at the relay; timeout 10s at Prometheus, 5s at the relay [http://" + a + "/metrics]"},
		},
		"down": {
			[]Target{target(a)},
			Relay{Targets: []Target{with(target(a), func(t *Target) { t.Health, t.Error = "down", "it answers 403" })}},
			0,
			[]string{"down " + pool + ": it answers 403 [http://" + a + "/metrics]"},
		},
		"not selected": {
			[]Target{target(a), target(b)},
			Relay{},
			0,
			[]string{"missing " + pool + ": the relay does not select this monitor, or does not see it: look at the selectors of its block monitors [http://" + a + "/metrics http://" + b + "/metrics]"},
		},
		"rejected": {
			[]Target{target(a)},
			Relay{Monitors: map[string]Monitor{"ServiceMonitor/shop/cart": {Rejected: true, Reason: "no such Secret"}}},
			0,
			[]string{"missing " + pool + ": the relay rejects this monitor: no such Secret [http://" + a + "/metrics]"},
		},
		"dropped": {
			[]Target{target(a)},
			Relay{Monitors: accepted, Dropped: []Dropped{{pool, "rule 3", map[string]string{"__address__": b}}, {pool, "rule 4", map[string]string{"__address__": a, "__metrics_path__": "/metrics"}}}},
			0,
			[]string{"missing " + pool + ": the relay drops it: rule 4 [http://" + a + "/metrics]"},
		},
		"no targets": {
			[]Target{target(a)},
			Relay{Monitors: map[string]Monitor{"ServiceMonitor/shop/cart": {Reason: "no Service", Pools: []string{pool}}}},
			0,
			[]string{"missing " + pool + ": no Service [http://" + a + "/metrics]"},
		},
		"not discovered": {[]Target{target(a)}, Relay{Monitors: accepted}, 0, []string{"missing " + pool + ": the relay has not discovered it [http://" + a + "/metrics]"}},
		"a job of scrape_configs": {
			[]Target{with(target(a), func(t *Target) { t.Pool = "edge" })}, Relay{}, 0, []string{"missing edge: the relay has no such job: look at its scrape_configs [http://" + a + "/metrics]"},
		},
		"another shard": {
			[]Target{target(a)},
			Relay{Targets: []Target{target(a), target(b)}},
			1,
			[]string{"extra " + pool + ": Prometheus has not discovered it, or another shard has it (give --prometheus for each) [http://" + b + "/metrics]"},
		},
		"another monitor": {
			nil,
			Relay{Targets: []Target{target(a)}},
			0,
			[]string{"extra " + pool + ": Prometheus has no such job: its selectors differ, or another shard has it (give --prometheus for each) [http://" + a + "/metrics]"},
		},
		"terminating": {
			[]Target{target(b)},
			Relay{Targets: []Target{target(b), with(target(a), func(t *Target) {
				t.Discovered["__meta_kubernetes_endpointslice_endpoint_conditions_terminating"] = "true"
			})}},
			1,
			[]string{"extra " + pool + ": its pod is terminating: with EndpointSlices such pods stay targets until they are gone (docs/fidelity.md) [http://" + a + "/metrics]"},
		},
		"nodes": {
			nil,
			Relay{Targets: []Target{with(target(a), func(t *Target) { t.Pool = "nodes/kubelet" })}},
			0,
			[]string{"extra nodes/kubelet: the relay's block nodes scrapes it, and no monitor of Prometheus does [http://" + a + "/metrics]"},
		},
		"scraped twice": {
			[]Target{target(a)}, Relay{Targets: []Target{target(a), target(a)}}, 1, []string{"extra " + pool + ": Prometheus has it once less [http://" + a + "/metrics]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := Targets(c.prometheus, c.relay)
			if got := shown(r); !slices.Equal(got, c.want) || r.Same != c.same {
				t.Errorf("%d the same, and\n%s\nwant %d and\n%s", r.Same, strings.Join(got, "\n"), c.same, strings.Join(c.want, "\n"))
			}
			if r.Prometheus != len(c.prometheus) || r.Relay != len(c.relay.Targets) {
				t.Errorf("%d and %d targets", r.Prometheus, r.Relay)
			}
		})
	}
}

func TestMerged(t *testing.T) {
	if all := Merged([]Target{target("a"), target("b")}, []Target{target("b"), target("c")}); len(all) != 3 {
		t.Errorf("%v", all)
	}
}

// answers is a receiver that knows the answers to queries that contain some text.
type answers map[string]model.Vector

func (a answers) Query(_ context.Context, query string, _ time.Time) (model.Vector, error) {
	for part, v := range a {
		if strings.HasPrefix(query, part) {
			return v, nil
		}
	}
	return nil, errors.New("unexpected query " + query)
}

func vector(values map[string]float64, more ...string) (out model.Vector) {
	for _, job := range slices.Sorted(maps.Keys(values)) {
		m := model.Metric{"job": model.LabelValue(job)}
		if len(more) > 0 {
			m[nameLabel] = model.LabelValue(more[0])
		}
		out = append(out, &model.Sample{Metric: m, Value: model.SampleValue(values[job])})
	}
	return out
}

func TestSeries(t *testing.T) {
	const old, fresh = `{r="a"}`, `{r="b"}`
	less := `count by (job, promrelay_compare_name) (group without (r) (label_replace(last_over_time(`
	const series, samples = "count by (__name__, job) (last_over_time(", `sum by (job) (label_replace(count_over_time(`
	named := func(values map[string]float64) model.Vector {
		v := vector(values)
		for _, s := range v {
			s.Metric[model.MetricNameLabel] = "requests_total"
		}
		return v
	}
	var r Result
	err := Question{Old: old, New: fresh, Window: 5 * time.Minute}.Compare(t.Context(), answers{
		series + old: named(map[string]float64{"cart": 10, "shop": 10, "gone": 3}), series + fresh: named(map[string]float64{"cart": 10, "shop": 9}),
		samples + `{r="a",__name__="requests_total"}[5m]), "promrelay_compare_name", "requests_total", "", ""))`: vector(map[string]float64{"cart": 100, "shop": 100, "gone": 30}),
		samples + `{r="b",`: vector(map[string]float64{"cart": 110, "shop": 80}),
		less + old:          vector(map[string]float64{"shop": 2, "gone": 3}, "requests_total"), less + fresh: vector(map[string]float64{"shop": 1}, "other"),
	}, &r)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"series gone: 3 series are missing at the relay: requests_total []", "samples gone: 30 samples of Prometheus, 0 of the relay []",
		"series shop: 2 series are missing at the relay: requests_total []", "series shop: 1 series is only at the relay: other []", "samples shop: 100 samples of Prometheus, 80 of the relay []",
	}
	if got := shown(&r); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, q := range []Question{{Old: "{", New: fresh}, {Old: old, New: old}, {Old: old, New: "sum(x)"}} {
		if err := q.Compare(t.Context(), answers{}, &r); err == nil || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%v: %v", q, err)
		}
	}
}

// TestWrite keeps a page on one screen: some targets of each difference, however many there are.
func TestWrite(t *testing.T) {
	var many []Target
	for i := range 100 {
		many = append(many, target("10.0.1."+string(rune('a'+i%26))+":"+time.Duration(i).String()))
	}
	var b strings.Builder
	Targets(many, Relay{}).Write(&b)
	for _, want := range []string{"Targets: 100 at Prometheus, 0 at the relay, 0 the same.", "100 targets only Prometheus scrapes:", "and 97 more", "will change"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
	if n := strings.Count(b.String(), "\n"); n > 15 {
		t.Errorf("%d lines", n)
	}
	b.Reset()
	Targets(many[:1], Relay{}).Write(&b)
	if want := "\n1 target only Prometheus scrapes:\n"; !strings.Contains(b.String(), want) {
		t.Errorf("%q is missing in\n%s", want, &b)
	}
	b.Reset()
	Targets([]Target{target("a")}, Relay{Targets: []Target{target("a")}}).Write(&b)
	if want := "Targets: 1 at Prometheus, 1 at the relay, 1 the same.\n\nNothing differs: dashboards and alerts will not change.\n"; b.String() != want {
		t.Errorf("%s", &b)
	}
}
