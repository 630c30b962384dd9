package main

import (
	"context"
	"fmt"
	"time"

	"promrelay/targets"
)

// relayTargets is the answer of /api/v1/targets, as far as the report needs it.
type relayTargets struct {
	Monitors []struct {
		Kind, Namespace, Name string
		State                 targets.State
		Reason                string
		Jobs                  []struct {
			ScrapePool, Reason string
			Notes, Problems    []string
		}
	}
	ActiveTargets []struct {
		DiscoveredLabels, Labels                             map[string]string
		ScrapePool, ScrapeURL, ScrapeInterval, ScrapeTimeout string
		Health, LastError                                    string
		LastScrape                                           time.Time
	}
	DroppedTargets []struct {
		DiscoveredLabels   map[string]string
		ScrapePool, Reason string
	}
	DroppedTargetCounts map[string]int
}

// report returns the report of a running relay.
func (c apiClient) report(ctx context.Context) (report, error) {
	var answer relayTargets
	if err := c.get(ctx, "/api/v1/targets", nil, &answer); err != nil {
		return report{}, err
	}
	if answer.Monitors == nil {
		return report{}, fmt.Errorf("%s: its answer has no monitors: is this a Prometheus, and no relay?", c)
	}
	r := report{Monitors: []reportMonitor{}}
	jobs := map[string]*reportJob{}
	for _, m := range answer.Monitors {
		rm := reportMonitor{Kind: targets.Kind(m.Kind), Namespace: m.Namespace, Name: m.Name, State: m.State, Jobs: make([]reportJob, len(m.Jobs))}
		if m.State == targets.Accepted {
			rm.Why = m.Reason
		} else {
			rm.Reason = m.Reason
		}
		for i, j := range m.Jobs {
			rm.Jobs[i] = reportJob{Name: j.ScrapePool, Targets: []reportTarget{}, Notes: append(j.Notes, j.Problems...), Why: j.Reason, dropped: answer.DroppedTargetCounts[j.ScrapePool]}
			jobs[j.ScrapePool] = &rm.Jobs[i]
		}
		r.Monitors = append(r.Monitors, rm)
	}
	for _, t := range answer.ActiveTargets {
		if j := jobs[t.ScrapePool]; j != nil {
			rt := reportTarget{
				URL: t.ScrapeURL, Labels: t.Labels, Discovered: t.DiscoveredLabels, Interval: t.ScrapeInterval, Timeout: t.ScrapeTimeout,
				Health: t.Health, LastError: t.LastError,
			}
			if !t.LastScrape.IsZero() {
				rt.LastScrape = &t.LastScrape
			}
			j.Targets = append(j.Targets, rt)
		}
	}
	for _, d := range answer.DroppedTargets {
		if j := jobs[d.ScrapePool]; j != nil {
			j.Dropped = append(j.Dropped, reportDropped{Discovered: d.DiscoveredLabels, Reason: d.Reason})
		}
	}
	return r, nil
}
