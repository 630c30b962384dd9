package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/config"
	"promrelay/config/redact"
	"promrelay/targets"
)

type (
	apiPools struct {
		ScrapePools []string `json:"scrapePools"`
	}
	apiSteps struct {
		Steps []apiStep `json:"steps"`
	}
	// apiStep is a relabel rule and what it leaves of the labels.
	apiStep struct {
		Rule   relabel.Config `json:"rule"`
		Output labels.Labels  `json:"output"` // empty after a rule that drops the target
		Keep   bool           `json:"keep"`
	}
)

// poolsAPI answers /api/v1/scrape_pools: a pool is a job.
func poolsAPI(_ *http.Request, src *Sources) (any, []string, error) {
	out := apiPools{ScrapePools: []string{}}
	for _, m := range src.Monitors.Monitors() {
		for _, j := range m.Jobs {
			out.ScrapePools = append(out.ScrapePools, j.Job.Name)
		}
	}
	slices.Sort(out.ScrapePools)
	return out, nil, nil
}

// poolConfigAPI answers /api/v1/scrape_pools/config: the scrape configuration that a job stands for. It lacks the discovery of objects of
// the relay's own cluster.
func poolConfigAPI(r *http.Request, src *Sources) (any, []string, error) {
	j, err := askedJob(r, src)
	if err != nil {
		return nil, nil, err
	}
	c := *j.Config
	if len(j.Static) > 0 {
		c.ServiceDiscoveryConfigs = append(slices.Clip(c.ServiceDiscoveryConfigs), discovery.StaticConfig(j.Static))
	}
	text, err := config.ShownYAML(&c)
	if err != nil {
		return nil, nil, err
	}
	return apiConfig{text}, nil, nil
}

// stepsAPI answers /api/v1/targets/relabel_steps: what each relabel rule of a job does to given labels.
func stepsAPI(r *http.Request, src *Sources) (any, []string, error) {
	if r.FormValue("scrapePool") == "" {
		return nil, nil, missingParameter("scrapePool")
	}
	text := r.FormValue("labels")
	if text == "" {
		return nil, nil, missingParameter("labels")
	}
	var ls labels.Labels
	if err := json.Unmarshal([]byte(text), &ls); err != nil {
		return nil, nil, apiError{badData, fmt.Errorf("error parsing labels: %w: want an object of strings such as {\"__address__\": \"10.0.0.1:80\"}", err)}
	}
	j, err := askedJob(r, src)
	if err != nil {
		return nil, nil, err
	}
	out := apiSteps{Steps: []apiStep{}}
	b, keep := labels.NewBuilder(ls), true
	for _, rule := range j.Config.RelabelConfigs {
		keep = keep && relabel.ProcessBuilder(b, rule)
		step := apiStep{Rule: *rule, Output: labels.EmptyLabels(), Keep: keep}
		step.Rule.Replacement = redact.Param(rule.TargetLabel, rule.Replacement)
		if keep {
			step.Output = targets.ShownLabels(b.Labels())
		}
		out.Steps = append(out.Steps, step)
	}
	return out, nil, nil
}

// askedJob returns the job that the parameter scrapePool names.
func askedJob(r *http.Request, src *Sources) (*targets.Job, error) {
	name := r.FormValue("scrapePool")
	if name == "" {
		return nil, missingParameter("scrapePool")
	}
	for _, j := range src.Targets.Jobs() {
		if j.Name == name {
			return j, nil
		}
	}
	for _, m := range src.Monitors.Monitors() { // a job that never had targets
		for _, j := range m.Jobs {
			if j.Job.Name == name {
				return j.Job, nil
			}
		}
	}
	return nil, apiError{badData, fmt.Errorf("error retrieving scrape config: %w: %q; /api/v1/scrape_pools lists them", errNoPool, clip(name))}
}

var errNoPool = errors.New("scrape pool not found")
