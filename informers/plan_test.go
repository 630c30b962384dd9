package informers

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/config"
)

// TestGlobalCountsForMonitors: limits in global hold for the jobs of monitors and nodes, too, and so do the extra series of scrapes.
func TestGlobalCountsForMonitors(t *testing.T) {
	const nets = "global: {sample_limit: 5, body_size_limit: 1MB, extra_scrape_metrics: true}\nnodes: {}\n"
	for text, want := range map[string]struct {
		samples uint
		extra   bool
	}{
		nets + "monitors: {}\n":                         {5, true},
		nets + "monitors: {sampleLimit: 4}\n":           {4, true},
		nets + "monitors: {enforcedSampleLimit: 3}\n":   {3, true},
		"nodes: {}\nmonitors: {enforcedSampleLimit: 3}": {3, false},
	} {
		c, err := config.Load([]byte(text), "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPlan(c, "own", "")
		if err != nil {
			t.Fatal(err)
		}
		m := &monitoringv1.ServiceMonitor{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "m"}}
		m.Spec.Endpoints = []monitoringv1.Endpoint{{Port: "web"}}
		r := p.settings.Compile(m, nil)
		if r.Err != nil || len(r.Jobs) != 1 {
			t.Fatalf("%+v", r)
		}
		if job := r.Jobs[0].Config; job.SampleLimit != want.samples || job.ExtraScrapeMetricsEnabled() != want.extra || (job.BodySizeLimit > 0) != want.extra {
			t.Errorf("%s: sample limit %d, body size limit %d, extra %v", text, job.SampleLimit, job.BodySizeLimit, job.ExtraScrapeMetricsEnabled())
		}
		for owner, jobs := range p.blocks {
			for _, j := range jobs {
				if j.Config.ExtraScrapeMetricsEnabled() != want.extra || (j.Config.SampleLimit > 0) != want.extra {
					t.Errorf("%s: %v has sample limit %d, extra %v", text, owner, j.Config.SampleLimit, j.Config.ExtraScrapeMetricsEnabled())
				}
			}
		}
	}
}

// TestLegacyNamesOfMonitors need no word about how names are escaped, which global does not say either.
func TestLegacyNamesOfMonitors(t *testing.T) {
	for text, want := range map[string]string{
		"monitors: {nameValidationScheme: Legacy}\n":                                              "underscores",
		"global: {metric_name_validation_scheme: legacy}\nmonitors: {}\n":                         "underscores",
		"global: {metric_name_escaping_scheme: dots}\nmonitors: {nameValidationScheme: Legacy}\n": "dots",
		"monitors: {}\n": "allow-utf-8",
	} {
		c, err := config.Load([]byte(text), "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPlan(c, "own", "")
		if err != nil {
			t.Fatal(err)
		}
		m := &monitoringv1.ServiceMonitor{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "m"}}
		m.Spec.Endpoints = []monitoringv1.Endpoint{{Port: "web"}}
		r := p.settings.Compile(m, nil)
		if r.Err != nil || r.Jobs[0].Config.MetricNameEscapingScheme != want {
			t.Errorf("%s: %v, want %s", text, r.Err, want)
		}
	}
}
