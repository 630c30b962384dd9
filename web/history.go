package web

import (
	"context"
	"slices"
	"sync"
	"time"

	"promrelay/relay"
	"promrelay/wal"
)

// The history has a point each historyEvery, over an hour.
const (
	historyEvery  = 15 * time.Second
	historyPoints = int(time.Hour / historyEvery)
)

// Point is what the relay did at one moment of the last hour.
type Point struct {
	At       time.Time
	Scraped  float64 // samples a second that came to the log since the point before
	Appended float64 // bytes a second
	WALBytes int64
	// Destinations are those that there were at the time, in the order of the configuration.
	Destinations []DestinationPoint
}

// DestinationPoint is the part of a Point that concerns one destination.
type DestinationPoint struct {
	Name        string
	Sent        float64 // samples a second that it took since the point before
	Lag         float64 // seconds; 0 if nothing waits
	Behind      uint64  // samples that wait
	BehindBytes int64
}

// History keeps points of the last hour in memory: some hundred bytes for each point and destination.
type History struct {
	destinations Destinations
	log          func() wal.Status

	mu     sync.Mutex
	points []Point // the oldest first, at most historyPoints; guarded by mu

	before reading // only Run uses it
}

// reading holds the counts at the last point.
type reading struct {
	at       time.Time
	samples  uint64
	appended uint64
	sent     map[string]uint64
}

// NewHistory returns a history without points. Run adds them.
func NewHistory(d Destinations, log func() wal.Status) *History {
	return &History{destinations: d, log: log}
}

// Run adds a point each historyEvery, until ctx ends.
func (h *History) Run(ctx context.Context) error {
	tick := time.NewTicker(historyEvery)
	defer tick.Stop()
	for {
		h.add(time.Now(), h.log(), h.destinations.Statuses())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Points returns the points of the last hour, the oldest first. The caller must not change them.
func (h *History) Points() []Point {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.points)
}

// add adds a point. The first reading makes none, since there is nothing to compare it with.
func (h *History) add(now time.Time, log wal.Status, destinations []relay.Status) {
	next := reading{at: now, samples: log.Head.Count, appended: log.Appended, sent: map[string]uint64{}}
	last, took := h.before, now.Sub(h.before.at).Seconds()
	p := Point{At: now, Scraped: growth(last.samples, next.samples, took), Appended: growth(last.appended, next.appended, took), WALBytes: log.Bytes}
	for _, d := range destinations {
		next.sent[d.Name] = d.Sent
		one := DestinationPoint{Name: d.Name, Lag: d.Lag(now).Seconds(), Behind: d.Behind, BehindBytes: d.BehindBytes}
		if before, ok := last.sent[d.Name]; ok {
			one.Sent = growth(before, d.Sent, took)
		}
		p.Destinations = append(p.Destinations, one)
	}
	h.before = next
	if last.at.IsZero() || took <= 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.points) >= historyPoints {
		h.points = slices.Delete(h.points, 0, len(h.points)-historyPoints+1)
	}
	h.points = append(h.points, p)
}

// growth returns how much a count grew in a second; 0 if it began anew.
func growth(from, to uint64, seconds float64) float64 {
	if to < from || seconds <= 0 {
		return 0
	}
	return float64(to-from) / seconds
}
