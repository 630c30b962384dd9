package targets

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Live is what a running relay knows of scrapes and destinations. The zero Live knows nothing: the steps after the targets are then
// not known.
type Live struct {
	// Scrapes returns the last scrapes of a job's targets; nil if they are not known.
	Scrapes func(job string) []Scraped
	// Destinations returns the state of the destinations; nil if it is not known.
	Destinations func() []Delivered
}

// Scraped is what the last scrape of a target found.
type Scraped struct {
	Target *Target
	Health string // up, down or unknown, as in Prometheus's API
	Error  string // empty if the scrape went well
	Mend   string // what to change so that it goes well
	At     time.Time
	// Page is how many samples the page had, and Samples how many of them were left after metric relabelling.
	Page, Samples int
	// Repeated samples are no news: their series has a sample of that time or a later one, perhaps from another target. Future ones
	// have a timestamp that is too far ahead.
	Repeated, Future int
	// DroppedBy is the index of the rule for samples that drops the most series of the page; -1 for none.
	DroppedBy int
}

// Delivered is the state of a destination.
type Delivered struct {
	Name   string
	Behind uint64        // samples that wait
	Lag    time.Duration // age of the newest stored sample; 0 if nothing was stored
	Error  string        // why requests wait; empty if they do not
	Mend   string        // what to change about Error
	// Refusals are recent answers that cost samples, in one sentence each.
	Refusals []string
	// Aside are some of the series that are set aside because the receiver refuses them.
	Aside []Aside
	// Drops returns the rule of write_relabel_configs that drops series with these labels, and its index; nil if they are sent.
	Drops func(labels.Labels) (rule *relabel.Config, index int)
}

// Aside is a series that a receiver refuses.
type Aside struct {
	Labels labels.Labels // as it is sent
	Error  string        // the receiver's words
}
