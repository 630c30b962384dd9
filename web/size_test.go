package web

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/scrape"
	"promrelay/targets"
)

// jobNamed is a job with nothing but what the page looks at.
func jobNamed(name string) *targets.Job {
	return &targets.Job{
		Name: name, Owner: targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: name},
		Config: &promconfig.ScrapeConfig{
			JobName: name, Scheme: "http", MetricsPath: "/metrics", MetricNameValidationScheme: model.UTF8Validation,
			ScrapeInterval: model.Duration(30 * time.Second), ScrapeTimeout: model.Duration(10 * time.Second),
		},
	}
}

// manyTargets is a world of monitors with as many targets each as Kubernetes' labels make them long, all in one state of health.
func manyTargets(t testing.TB, monitors, each int, health scrape.Health) *world {
	t.Helper()
	w := &world{statuses: map[string][]scrape.Status{}}
	for m := range monitors {
		name := fmt.Sprintf("application-%d", m)
		job := jobNamed("serviceMonitor/team-" + name + "/" + name + "/0")
		group := &targetgroup.Group{Source: "s", Labels: model.LabelSet{}}
		for i := range 3 {
			group.Labels[model.LabelName(fmt.Sprintf("__meta_kubernetes_service_annotation_%d", i))] = "some value that is neither short nor long"
		}
		for i := range each {
			group.Targets = append(group.Targets, model.LabelSet{
				"__address__": model.LabelValue(fmt.Sprintf("10.%d.%d.%d:8080", m%250, i/250, i%250)), "namespace": model.LabelValue("team-" + name),
				"pod": model.LabelValue(fmt.Sprintf("%s-7d9f8b6c5-%05d", name, i)), "container": "application", "endpoint": "http-metrics", "service": model.LabelValue(name), "job": model.LabelValue(name),
			})
		}
		made, err := targets.FromGroup(job, group)
		if err != nil || len(made) != each {
			t.Fatalf("%d targets, %v", len(made), err)
		}
		for _, target := range made {
			s := scrape.Status{Target: target, Health: health, LastScrape: time.Now(), Duration: time.Millisecond, Samples: 1234, Series: 1234}
			if health == scrape.HealthDown {
				s.Error = "Get \"" + target.URL + "\": dial tcp 10.0.0.1:8080: connect: connection refused"
			}
			w.statuses[job.Name] = append(w.statuses[job.Name], s)
		}
		w.monitors = append(w.monitors, targets.MonitorStatus{
			Owner: targets.Owner{Kind: targets.ServiceMonitor, Namespace: "team-" + name, Name: name}, State: targets.Accepted, Jobs: []targets.JobStatus{{Job: job}},
		})
	}
	return w
}

// 10,000 targets are at most 1 MB of HTML, in every view and however they are spread; what is left out can be reached.
func TestSizeOfThePage(t *testing.T) {
	if testing.Short() {
		t.Skip("30,000 targets take a while with the race detector")
	}
	for name, c := range map[string]struct {
		monitors, each int
		health         scrape.Health
	}{
		"one job, down":     {1, 10000, scrape.HealthDown},
		"ten each, down":    {1000, 10, scrape.HealthDown},
		"one each, all off": {10000, 1, scrape.HealthDown},
	} {
		w := manyTargets(t, c.monitors, c.each, c.health)
		s, srv := newServer(t, nil)
		s.Ready(w.sources())
		job := w.monitors[0].Jobs[0].Job.Name
		opened := ""
		for _, m := range w.monitors[:min(maxOpen, len(w.monitors))] {
			opened += "&open=" + url.QueryEscape("ServiceMonitor/"+m.Owner.Namespace+"/"+m.Owner.Name)
		}
		for _, query := range []string{"", "?filter=application", "?state=" + string(c.health), "?job=" + job, "?job=" + job + "&from=500", "?monitor=ServiceMonitor/team-application-0/application-0", "?" + opened} {
			_, body := ask(t, "GET", srv.URL+"/targets"+query)
			if len(body) > 1<<20 {
				t.Errorf("%s: /targets%.40s is %d bytes", name, query, len(body))
			}
		}
		if c.monitors > 1 {
			continue
		}
		if n := linked(t, srv.URL, "targets?job="+url.QueryEscape(job)); n != c.each {
			t.Errorf("%s: by links from a job's page %d targets can be reached, want %d", name, n, c.each)
		}
	}
}

// linked follows the links to more targets of a job, and counts its targets.
func linked(t *testing.T, server, link string) (n int) {
	t.Helper()
	seen := map[string]bool{}
	for link != "" {
		_, body := ask(t, "GET", server+"/"+link)
		for part := range strings.SplitSeq(body, `<a class="url" href="`) {
			if address, _, _ := strings.Cut(part, `"`); strings.HasPrefix(address, "http://") {
				seen[address] = true
			}
		}
		link = ""
		if before, _, ok := strings.Cut(body, "more target"); ok {
			_, link, _ = cutLast(before, `href="`)
			link, _, _ = strings.Cut(link, `"`)
			link = html.UnescapeString(link)
		}
	}
	return len(seen)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
