package targets

import (
	promconfig "github.com/prometheus/prometheus/config"
)

// Job is how one group of targets is found and scraped. It does not change; an edited one is another Job of the same name.
type Job struct {
	// Name as the operator gives it: serviceMonitor/<ns>/<name>/<i>, podMonitor/..., probe/<ns>/<name>,
	// scrapeConfig/<ns>/<name>; the job_name of a scrape_config; nodes/kubelet and so on of node jobs.
	Name string
	// Config holds the scrape settings and the rules. Its service discovery is left out.
	Config *promconfig.ScrapeConfig
}

// Change is what happened to one job.
type Change struct {
	Job     *Job
	Gone    bool      // the job is no more, nor are its targets
	Added   []*Target // also one that is there already and was discovered otherwise
	Removed []*Target
}
