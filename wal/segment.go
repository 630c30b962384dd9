package wal

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	segmentSuffix = ".wal"
	unknownSuffix = ".unknown" // added to the name of a segment whose version is not known
	numberDigits  = 20
)

// segment is one file of the log, with the state that readers and the writer share about it. A field is set before the
// segment is shared, and does not change after that, unless its comment says otherwise.
type segment struct {
	number uint64
	path   string
	layout *layout
	start  uint64 // running count before the first frame
	// created is when the segment was begun, milliseconds since the epoch; 0 if its header is damaged.
	created int64
	torn    bool // left by a process that did not close it: an unreadable end was never finished

	size   atomic.Int64  // where the last whole frame ends: readers never look behind it
	synced atomic.Int64  // bytes known to be on the device
	end    atomic.Uint64 // running count behind the last frame; the highest number while it can grow
	closed atomic.Bool   // size and end are final; set after them, so read it before them
	gone   atomic.Bool   // deleted; set before the file is

	disk    int64 // bytes of the file, with the closing frame; guarded by WAL.mu
	missing bool  // somebody removed the file, and this is recorded; guarded by WAL.mu

	// The writer's file: Append uses it until closed is set, Sync until it is closed.
	file file
	// Bytes of frames that were appended with and without Repeated; guarded by WAL.appendMu.
	repeated, fresh int64
}

// segmentName is the name of a segment's file. Names sort as numbers do.
func segmentName(number uint64) string {
	return fmt.Sprintf("%0*d%s", numberDigits, number, segmentSuffix)
}

// parseSegmentName also accepts the name of a segment kept aside: its number must not be used again either.
func parseSegmentName(name string) (number uint64, aside, ok bool) {
	name, aside = strings.CutSuffix(name, unknownSuffix)
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != numberDigits {
		return 0, false, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, aside, err == nil && number > 0 && number < maxNumber
}

// createSegment makes a segment that begins at the running count start. Name and header are durable when it returns: after a
// power loss, at least the number and the running count are still there.
func createSegment(d disk, dir string, number, start uint64) (*segment, error) {
	s := &segment{
		number:  number,
		path:    filepath.Join(dir, segmentName(number)),
		layout:  layouts[version],
		start:   start,
		created: time.Now().UnixMilli(),
		disk:    segmentHeaderBytes,
	}
	s.size.Store(segmentHeaderBytes)
	s.synced.Store(segmentHeaderBytes)
	s.end.Store(math.MaxUint64)

	f, err := d.Open(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, fmt.Errorf("create segment %d: %w", number, err)
	}
	h := segmentHeader{version: version, number: number, created: s.created, start: start}
	err = writeAll(f, h.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(d, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("create segment %d: %w", number, errors.Join(err, f.Close(), d.Remove(s.path)))
	}
	s.file = f
	return s, nil
}

// finish makes size and end final. Nothing is appended after it.
func (s *segment) finish(end uint64) {
	s.end.Store(end)
	s.closed.Store(true)
}

// first returns the position of the first frame.
func (s *segment) first() Position {
	return Position{Segment: s.number, Offset: s.layout.headerBytes, Count: s.start}
}

// passed reports whether a destination at p has nothing left to read in the segment.
func (s *segment) passed(p Position) bool {
	return s.closed.Load() && (s.number < p.Segment || s.number == p.Segment && p.Offset >= s.size.Load())
}

// waiting returns how much of the running count in a closed segment a destination at p has not acknowledged.
func (s *segment) waiting(p Position) uint64 {
	if s.passed(p) {
		return 0
	}
	return gap(max(p.Count, s.start), s.end.Load())
}

// gap returns the difference of two running counts. It is 0 if the count runs backwards, which happens only in a directory
// mixed from two others.
func gap(from, to uint64) uint64 {
	if to <= from {
		return 0
	}
	return to - from
}
