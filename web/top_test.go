package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/scrape"
	"promrelay/targets"
)

// costly gives a job n targets in a namespace, the i-th of which has i times the costs of s.
func (w *world) costly(t *testing.T, name, namespace string, n int, s scrape.Status) {
	t.Helper()
	job := &targets.Job{Name: "serviceMonitor/" + name + "/0", Owner: targets.Owner{Kind: targets.ServiceMonitor, Namespace: "monitoring", Name: name}, Config: &promconfig.ScrapeConfig{
		JobName: name, Scheme: "http", MetricsPath: "/metrics", MetricNameValidationScheme: model.UTF8Validation, ScrapeInterval: model.Duration(time.Minute), ScrapeTimeout: model.Duration(time.Second),
	}}
	group := &targetgroup.Group{Source: "s", Labels: model.LabelSet{"namespace": model.LabelValue(namespace)}}
	for i := range n {
		group.Targets = append(group.Targets, model.LabelSet{"__address__": model.LabelValue(fmt.Sprintf("10.0.0.%d:80", i+1))})
	}
	made, err := targets.FromGroup(job, group)
	if err != nil || len(made) != n {
		t.Fatalf("%d targets, %v", len(made), err)
	}
	for i, target := range made {
		one := s
		one.Target, one.Series, one.Samples, one.Bytes, one.Added = target, s.Series*(i+1), s.Samples*(i+1), s.Bytes*(i+1), s.Added*(i+1)
		w.statuses[job.Name] = append(w.statuses[job.Name], one)
	}
}

func TestTop(t *testing.T) {
	w := &world{statuses: map[string][]scrape.Status{}}
	w.costly(t, "small", "a", 4, scrape.Status{Series: 10, Samples: 10, Bytes: 5, Added: 100}) // 10 times that together
	w.costly(t, "large", "a", 1, scrape.Status{Series: 1000, Samples: 900, Bytes: 1})
	w.costly(t, "other", "", 2, scrape.Status{Series: 100, Samples: 50, Bytes: 100}) // 3 times
	src := w.sources()
	names := func(costs []Cost) (out string) {
		for _, c := range costs {
			out += fmt.Sprintf("%s %d/%d/%d/%d/%d, ", c.Name, c.Targets, c.Series, c.Samples, c.Bytes, c.Added)
		}
		return out
	}
	top := newTop(&src, "", 2)
	for got, want := range map[string]string{
		names([]Cost{top.Total}): "total 7/1400/1150/351/1000, ",
		names(top.Monitors):      "ServiceMonitor monitoring/large 1/1000/900/1/0, ServiceMonitor monitoring/other 2/300/150/300/0, ",
		names(top.Namespaces):    "a 5/1100/1000/51/1000, monitoring 2/300/150/300/0, ",
		names(top.Targets):       "http://10.0.0.1:80/metrics 1/1000/900/1/0, http://10.0.0.2:80/metrics 1/200/100/200/0, ",
	} {
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	for by, want := range map[string]string{"bytes": "other", "added": "small", "samples": "large", "nonsense": "large"} {
		if got := newTop(&src, by, 1).Monitors[0].Owner.Name; got != want {
			t.Errorf("by %s: %s costs most, want %s", by, got, want)
		}
	}
}
