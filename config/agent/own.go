package agent

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// OwnJob is the job that scrapes the relay itself. Alerts and dashboards ask for its name.
const OwnJob = "promrelay"

// SelfJob reports whether YAML adds the job OwnJob: it does unless the object has a job of that name.
func (r *Result) SelfJob() bool {
	return r.Jobs == nil || !slices.ContainsFunc(r.Jobs.Content, func(job *yaml.Node) bool {
		var named struct {
			Name string `yaml:"job_name"`
		}
		return job.Decode(&named) == nil && named.Name == OwnJob
	})
}

// jobsWithOwn are the jobs, and the one that scrapes the relay.
func (r *Result) jobsWithOwn() *yaml.Node {
	if !r.SelfJob() {
		return r.Jobs
	}
	job, static := newBlock(), newBlock()
	static.set("targets", []string{"localhost:9099"})
	job.set("job_name", OwnJob)
	job.list("static_configs", []*block{static})
	own := sequence([]*block{job})
	own.Content[0].HeadComment = "The relay itself, for its alerts and dashboards."
	if r.Jobs != nil {
		own.Content = append(own.Content, r.Jobs.Content...)
	}
	return own
}
