package scrape

import (
	"time"

	"promrelay/targets"
)

// Health is whether the last scrape of a target went well.
type Health string

// The healths, in the words of Prometheus's API.
const (
	HealthUnknown Health = "unknown"
	HealthUp      Health = "up"
	HealthDown    Health = "down"
)

// Status is what the last scrape of a target found.
type Status struct {
	Target     *targets.Target
	Health     Health
	Error      string    // "" if the scrape went well
	LastScrape time.Time // when it began, zero if there was none
	Duration   time.Duration
	Advice     string // how a person can help; "" if the scrape went well
	Page       int    // samples on the page, before relabelling
	Samples    int    // on the page, after relabelling
	Repeated   int    // of Samples: not newer than the last one of their series
	Future     int    // of Samples: too far ahead
	DroppedBy  int    // index of the rule for samples that drops the most series; -1 for none
	Series     int    // that the target feeds now
	Bytes      int    // of the page, decompressed
	Added      int    // series that were new in the last hour, without those of the target's first page
}
