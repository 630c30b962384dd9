package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/wal"
)

// Status is the state of a destination.
type Status struct {
	Name     string // of the destination in logs and metrics
	URL      string // without what may be secret
	Version  int    // of remote write: 1 or 2
	Reason   string // why Version is 1 although the configuration leaves it open: the answer to 2.0
	Position wal.Position
	Behind   uint64    // samples between the position and the head of the log
	Newest   int64     // timestamp of the newest sample that was stored, milliseconds since the epoch, 0 for none
	Rate     float64   // samples a second that were acknowledged recently, 0 while requests wait
	Written  float64   // samples a second that came to the log recently
	Shards   int       // requests that may be under way at a time
	Error    string    // why requests wait; empty if they do not
	Advice   string    // how a person can help, empty if there is no advice
	Aside    int       // series that are set aside, since the receiver refuses them
	Refusals []Refusal // kinds of answers that cost samples, the latest first

	// BehindBytes is the size of what lies between the position and the head of the log.
	BehindBytes int64
	// Sent counts the samples that the destination took since the start of the relay.
	Sent uint64
	// Last is the last answer, also if it is a good one.
	Last LastAnswer
	// AsideSeries are some of the series that are set aside, those first that were set aside first.
	AsideSeries []AsideSeries

	// Drops returns the rule of write_relabel_configs that drops a series, and its index; nil if it is sent.
	Drops func(labels.Labels) (*relabel.Config, int)

	// Confirmed: the receiver has understood Version, now or before a restart.
	Confirmed bool
	// Stored is the last time that something was stored; zero if nothing was stored since the start.
	Stored time.Time
}

// Lag is how old the newest stored sample is while samples wait. It is 0 if none wait, or if nothing is known of the time.
func (s Status) Lag(now time.Time) time.Duration {
	if s.Behind == 0 || s.Newest == 0 {
		return 0
	}
	return max(now.Sub(time.UnixMilli(s.Newest)), 0)
}

// upToDate is how many seconds of new samples may wait for a destination that has caught up: a batch is filled, and a request is under way.
const upToDate = 10

// CatchUp is how long it takes at the present rate until no more samples wait than usual: 0 if that is so now. False: the destination does
// not gain on the samples that come to the log.
func (s Status) CatchUp() (d time.Duration, ok bool) {
	excess := float64(s.Behind) - upToDate*s.Written
	switch gain := s.Rate - s.Written; {
	case s.Error == "" && excess <= 0:
		return 0, true
	case s.Error == "" && gain > 0.01*s.Written && gain > 0:
		return time.Duration(min(excess/gain, maxCatchUp) * float64(time.Second)), true
	}
	return 0, false
}

// maxCatchUp bounds CatchUp, in seconds.
const maxCatchUp = 1e9

// Statuses returns the statuses of the destinations, in the order of the configuration.
func (r *Relay) Statuses() []Status {
	head := r.wal.Head()
	running := r.runners()
	out := make([]Status, 0, len(running))
	for _, n := range running {
		out = append(out, n.current.Load().status(head))
	}
	return out
}

// status returns the status of the destination. Head is the head of the log.
func (d *destination) status(head wal.Position) Status {
	s := Status{Name: d.position.Label(), URL: d.url, Position: d.position.Position(), Sent: countOf(d.metrics.samples)}
	s.Drops = d.packer.catalog.drops
	s.Aside, s.AsideSeries = d.splitter.asideSeries()
	s.Newest, s.Stored = d.sender.delivered()
	s.Shards, s.Rate, s.Written = d.governor.state()
	s.Version, s.Reason = d.sender.dialect.inForce()
	s.Confirmed = d.sender.dialect.understood()
	d.sender.report.fill(&s)
	if s.Error != "" {
		s.Rate = 0
	}
	if s.Position.Count < head.Count {
		s.Behind, s.BehindBytes = head.Count-s.Position.Count, d.wal.Behind(s.Position)
	}
	return s
}

// countOf returns the value of a counter.
func countOf(c prometheus.Counter) uint64 {
	var m dto.Metric
	_ = c.Write(&m) // a counter's own method has no error
	return uint64(m.GetCounter().GetValue())
}
