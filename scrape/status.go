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

// Status is what is known of a target.
type Status struct {
	Target     *targets.Target
	Health     Health
	Error      string // of the last scrape
	LastScrape time.Time
	Duration   time.Duration
	Samples    int // on the last page, after relabelling
	Series     int // that the target feeds now
	Bytes      int // of the last page, decompressed
}
