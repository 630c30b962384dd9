package web

import (
	"net/http"
	"slices"
	"time"

	"promrelay/wal"
)

// segmentsShown bounds the segments of the page of the log, the newest first.
const segmentsShown = 200

// walPage is what wal.html shows.
type walPage struct {
	wal.Status
	Full         string // when it is full, in words
	Percent      int    // of MaxBytes
	Segments     []wal.SegmentStatus
	MoreSegments int
	Positions    []walPosition
	Size, Growth spark
}

// walPosition is a destination in the log.
type walPosition struct {
	wal.DestinationStatus
	Oldest  time.Time // when the segment at its position was begun; zero if that is unknown
	Removed string    // when a removed destination is forgotten; empty if it is not removed
}

func (s *Server) walPage(w http.ResponseWriter, _ *http.Request, src *Sources) {
	if src.WAL == nil {
		say(w, http.StatusNotFound, "There is no log.")
		return
	}
	s.show(w, src, content{file: "wal.html", title: "WAL", active: "wal", body: newWALPage(src.WAL(), src.History.Points(), time.Now())})
}

func newWALPage(status wal.Status, points []Point, now time.Time) *walPage {
	p := &walPage{Status: status, Full: untilFull(status)}
	if status.MaxBytes > 0 {
		p.Percent = int(100 * status.Bytes / status.MaxBytes)
	}
	begun := map[uint64]time.Time{}
	for _, s := range status.Segments {
		begun[s.Number] = s.First
	}
	newest := slices.Clone(status.Segments)
	slices.Reverse(newest)
	p.Segments, p.MoreSegments = atMost(newest, segmentsShown)
	for _, d := range status.Destinations {
		one := walPosition{DestinationStatus: d, Oldest: begun[d.Position.Segment]}
		if !d.ForgetAt.IsZero() {
			one.Removed = "removed; forgotten in " + seconds(max(d.ForgetAt.Sub(now), time.Second))
		}
		p.Positions = append(p.Positions, one)
	}
	p.Size = plot("Size of the log", points, func(p Point) float64 { return float64(p.WALBytes) }, func(v float64) string { return bytesOf(v) })
	p.Growth = plot("Bytes a second", points, func(p Point) float64 { return p.Appended }, func(v float64) string { return bytesOf(v) })
	return p
}

// untilFull says when the log is full at its present rate.
func untilFull(s wal.Status) string {
	switch d := s.UntilFull(); {
	case d < 0:
		return "not at this rate"
	case d == 0:
		return "now"
	case d > 1000*24*time.Hour:
		return "more than 1000 days"
	default:
		return seconds(d)
	}
}

// plot draws one value of the points of the last hour.
func plot(name string, points []Point, value func(Point) float64, show func(float64) string) spark {
	drawn := make([]point, 0, len(points))
	for _, p := range points {
		drawn = append(drawn, point{p.At, value(p)})
	}
	return newSpark(name, drawn, show)
}
