package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/targets"
)

// The answer of /api/v1/targets: the same as in Prometheus's API, plus monitors.
type (
	apiTargets struct {
		Monitors            []apiMonitor   `json:"monitors"` // those without targets, too
		ActiveTargets       []apiTarget    `json:"activeTargets"`
		DroppedTargets      []apiDropped   `json:"droppedTargets"`
		DroppedTargetCounts map[string]int `json:"droppedTargetCounts"`
	}
	apiTarget struct {
		DiscoveredLabels   labels.Labels `json:"discoveredLabels"`
		Labels             labels.Labels `json:"labels"`
		ScrapePool         string        `json:"scrapePool"`
		ScrapeURL          string        `json:"scrapeUrl"`
		GlobalURL          string        `json:"globalUrl"`
		LastError          string        `json:"lastError"`
		LastScrape         time.Time     `json:"lastScrape"`
		LastScrapeDuration float64       `json:"lastScrapeDuration"` // seconds
		Health             string        `json:"health"`
		ScrapeInterval     string        `json:"scrapeInterval"`
		ScrapeTimeout      string        `json:"scrapeTimeout"`
	}
	apiDropped struct {
		DiscoveredLabels map[string]string `json:"discoveredLabels"`
		ScrapePool       string            `json:"scrapePool"`
		Reason           string            `json:"reason"` // why; Prometheus has no such field
	}
	apiMonitor struct {
		Kind      string   `json:"kind"`      // "nodes" and "scrape_config" are blocks of the configuration
		Namespace string   `json:"namespace"` // empty for blocks of the configuration
		Name      string   `json:"name"`
		State     string   `json:"state"`
		Reason    string   `json:"reason"`   // why it is not accepted, or has no targets
		LastGood  bool     `json:"lastGood"` // it is rejected, and its last good version is scraped
		Jobs      []apiJob `json:"jobs"`
	}
	apiJob struct {
		ScrapePool string   `json:"scrapePool"`
		Reason     string   `json:"reason"` // why it has no targets
		Notes      []string `json:"notes"`
		Problems   []string `json:"problems"`
	}
)

// targetsAPI answers /api/v1/targets. Its parameters are state (active, dropped or any) and scrapePool.
func targetsAPI(r *http.Request, src *Sources) (any, []string, error) {
	pool, state := r.FormValue("scrapePool"), strings.ToLower(r.FormValue("state"))
	out := apiTargets{Monitors: []apiMonitor{}, ActiveTargets: []apiTarget{}, DroppedTargets: []apiDropped{}}
	both := state == "" || state == "any"
	if both || state == "dropped" {
		out.DroppedTargetCounts = map[string]int{}
	}
	for _, m := range src.Monitors.Monitors() {
		out.addMonitor(&m, pool)
		for _, j := range m.Jobs {
			if out.DroppedTargetCounts != nil {
				out.DroppedTargetCounts[j.Job.Name] = len(j.Dropped)
			}
			if pool != "" && pool != j.Job.Name {
				continue
			}
			if both || state == "active" {
				out.addActive(src, j.Job.Name)
			}
			if out.DroppedTargetCounts == nil {
				continue
			}
			keep := int(j.Job.Config.KeepDroppedTargets)
			for i, d := range j.Dropped {
				if keep > 0 && i >= keep {
					break
				}
				out.DroppedTargets = append(out.DroppedTargets, apiDropped{d.Discovered, j.Job.Name, d.Reason})
			}
		}
	}
	slices.SortStableFunc(out.ActiveTargets, func(a, b apiTarget) int {
		return cmp.Or(cmp.Compare(a.ScrapePool, b.ScrapePool), cmp.Compare(a.ScrapeURL, b.ScrapeURL), labels.Compare(a.Labels, b.Labels))
	})
	slices.SortStableFunc(out.DroppedTargets, func(a, b apiDropped) int { return cmp.Compare(a.ScrapePool, b.ScrapePool) })
	return out, nil, nil
}

// addMonitor adds a monitor with its jobs. With a pool it adds only that job, and leaves out monitors without
// the job.
func (a *apiTargets) addMonitor(m *targets.MonitorStatus, pool string) {
	out := apiMonitor{
		Kind: string(m.Owner.Kind), Namespace: m.Owner.Namespace, Name: m.Owner.Name,
		State: string(m.State), Reason: cmp.Or(m.Reason, m.Why), LastGood: m.LastGood, Jobs: []apiJob{},
	}
	for _, j := range m.Jobs {
		if pool == "" || pool == j.Job.Name {
			out.Jobs = append(out.Jobs, apiJob{j.Job.Name, j.Why, append([]string{}, j.Notes...), append([]string{}, j.Problems...)})
		}
	}
	if pool == "" || len(out.Jobs) > 0 {
		a.Monitors = append(a.Monitors, out)
	}
}

func (a *apiTargets) addActive(src *Sources, job string) {
	for _, s := range src.Targets.Statuses(job) {
		t := s.Target
		a.ActiveTargets = append(a.ActiveTargets, apiTarget{
			DiscoveredLabels: targets.ShownLabels(t.Discovered()), Labels: t.Public(), ScrapePool: job, ScrapeURL: t.ShownURL(), GlobalURL: t.ShownURL(),
			LastError: s.Error, LastScrape: s.LastScrape, LastScrapeDuration: s.Duration.Seconds(), Health: string(s.Health),
			ScrapeInterval: cmp.Or(t.Labels.Get(model.ScrapeIntervalLabel), model.Duration(t.Interval).String()),
			ScrapeTimeout:  cmp.Or(t.Labels.Get(model.ScrapeTimeoutLabel), model.Duration(t.Timeout).String()),
		})
	}
}
