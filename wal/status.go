package wal

import (
	"cmp"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Status is the state of a log at one moment.
type Status struct {
	Dir      string
	Segments []SegmentStatus // the oldest first
	Head     Position
	Bytes    int64 // of all segments
	MaxBytes int64
	// MinFreeBytes is the floor of free space, negative for none. Free is the free space of the volume when it was measured last, -1 if
	// that is unknown.
	MinFreeBytes, Free int64
	// Appended is how many bytes were appended since the start, and Rate how many a second recently.
	Appended     uint64
	Rate         float64
	Destinations []DestinationStatus // by label
	// Corruptions counts the damaged places that readers met since the start.
	Corruptions uint64
	// Unready is why appends do not work; empty if they do.
	Unready string
}

// SegmentStatus is the state of a segment.
type SegmentStatus struct {
	Number  uint64
	Bytes   int64
	Samples uint64 // of the running count
	// First is when the segment was begun, zero if its header is damaged. Last is when the next one was begun, zero for the newest.
	First, Last time.Time
	Closed      bool // nothing is appended to it any more
}

// DestinationStatus is the state of a destination in the log.
type DestinationStatus struct {
	Label    string
	Position Position
	Samples  uint64 // between its position and the head, those that are no longer in the log included
	Bytes    int64  // of segments between its position and the head
	// ForgetAt is when a removed destination is forgotten; zero for one that is not removed.
	ForgetAt time.Time
}

// UntilFull is how long the log can grow at the present rate, if no segment is deleted meanwhile, until the oldest segments are deleted to
// make room. It is negative if that is unknown, since nothing is appended.
func (s Status) UntilFull() time.Duration {
	room := s.MaxBytes - s.Bytes
	if s.Free >= 0 && s.MinFreeBytes >= 0 {
		room = min(room, s.Free-s.MinFreeBytes)
	}
	if s.Rate <= 0 {
		return -1
	}
	return time.Duration(min(float64(max(room, 0))/s.Rate*float64(time.Second), math.MaxInt64/2))
}

// Status returns the state of the log. It does not wait for the disk.
func (w *WAL) Status() Status {
	s := Status{Dir: w.opts.Dir, MaxBytes: w.opts.MaxBytes, MinFreeBytes: w.opts.MinFreeBytes}
	var m dto.Metric
	if w.metrics.corruptions.Write(&m) == nil {
		s.Corruptions = uint64(m.GetCounter().GetValue())
	}
	if err := w.Ready(); err != nil {
		s.Unready = err.Error()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Head, s.Bytes, s.Free, s.Appended, s.Rate = w.head, w.bytes, w.free, w.pace.bytes, w.pace.rate
	s.Segments = make([]SegmentStatus, 0, len(w.segments))
	for i, g := range w.segments {
		one := SegmentStatus{Number: g.number, Bytes: g.disk, Closed: g.closed.Load(), First: timeOf(g.created)}
		one.Samples = gap(g.start, min(g.end.Load(), w.head.Count))
		if i+1 < len(w.segments) {
			one.Last = timeOf(w.segments[i+1].created)
		}
		s.Segments = append(s.Segments, one)
	}
	for _, d := range w.destinations {
		s.Destinations = append(s.Destinations, DestinationStatus{
			Label: d.label, Position: d.position, Samples: gap(d.position.Count, w.head.Count), Bytes: w.behindLocked(d.position), ForgetAt: d.forgetAt,
		})
	}
	slices.SortFunc(s.Destinations, func(a, b DestinationStatus) int { return cmp.Compare(a.Label, b.Label) })
	return s
}

// Behind returns how many bytes of segments lie between a position and the head.
func (w *WAL) Behind(p Position) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.behindLocked(p)
}

func (w *WAL) behindLocked(p Position) (bytes int64) {
	for _, s := range slices.Backward(w.segments) {
		if s.number < p.Segment {
			break
		}
		from := s.layout.headerBytes
		if s.number == p.Segment {
			from = p.Offset
		}
		bytes += max(s.size.Load()-from, 0)
	}
	return bytes
}

// timeOf returns the zero time for 0 milliseconds.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// paceOver is over which time the rate of appends is averaged.
const paceOver = time.Minute

// pace measures how fast the log grows.
type pace struct {
	bytes uint64 // appended since the start
	rate  float64

	measured      uint64    // bytes at the last measurement
	begun, before time.Time // the first and the last measurement
}

// measure updates the rate. Until paceOver has passed, it is the average since the first measurement.
func (p *pace) measure(now time.Time) {
	if p.begun.IsZero() {
		p.begun, p.before, p.measured = now, now, p.bytes
		return
	}
	took := now.Sub(p.before)
	if took <= 0 {
		return
	}
	share := 1 - math.Exp(-took.Seconds()/min(now.Sub(p.begun), paceOver).Seconds())
	if p.before.Equal(p.begun) {
		share = 1
	}
	p.rate += share * (float64(p.bytes-p.measured)/took.Seconds() - p.rate)
	p.measured, p.before = p.bytes, now
}

func (w *WAL) measurePace(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pace.measure(now)
}

// noteFree keeps the free space of the volume for Status.
func (w *WAL) noteFree(volume space, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free = volume.free; err != nil {
		w.free = -1
	}
}
