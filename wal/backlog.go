package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.uber.org/zap"
)

// Backlog is what a log holds for a destination.
type Backlog struct {
	ID      string // may hold credentials, where it is a URL
	Label   string // names the destination in logs and metrics
	Samples uint64 // of the running count, between its acknowledged position and the end of the log
}

// Backlogs returns the backlog of each destination whose position is stored in dir, in the order of their files' names. It
// takes no lock and writes nothing, so another process may have the log open; then the result is that of one moment. It
// leaves out damaged positions.
func Backlogs(dir string) ([]Backlog, error) {
	w := &WAL{
		opts: Options{Dir: dir}, disk: osDisk{}, log: zap.NewNop(), metrics: newMetrics(nil),
		destinations: map[string]*Destination{},
	}
	found, err := w.backlogs()
	if err != nil {
		return nil, fmt.Errorf("read write-ahead log %s: %w", dir, err)
	}
	return found, nil
}

// backlogs reads positions first: so no append or acknowledgement in between makes a backlog negative.
func (w *WAL) backlogs() ([]Backlog, error) {
	entries, err := w.disk.List(w.positionsPath(""))
	if err != nil {
		return nil, fmt.Errorf("list positions: %w", err)
	}
	var known []*Destination
	for _, e := range entries {
		if filepath.Ext(e.name) != positionSuffix {
			continue
		}
		d, err := w.loadPosition(e.name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if d.known {
			known = append(known, d)
			w.head.Count = max(w.head.Count, d.position.Count)
		}
	}
	tail, err := w.measure()
	if err != nil {
		return nil, err
	}
	found := make([]Backlog, 0, len(known))
	for _, d := range known {
		found = append(found, Backlog{d.id, d.label, gap(max(d.position.Count, tail), w.head.Count)})
	}
	return found, nil
}

// measure returns the running count at the beginning of the oldest segment, and sets w.head.Count to the one behind the
// newest segment. It skips segments that are deleted meanwhile, and segments that cannot be read at all.
func (w *WAL) measure() (tail uint64, err error) {
	entries, err := w.disk.List(w.opts.Dir)
	if err != nil {
		return 0, fmt.Errorf("list segments: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		_, aside, ok := parseSegmentName(e.name)
		return !ok || aside || e.size < segmentHeaderBytes
	})
	_, err = w.measureFirst(slices.Backward(entries), true)
	if err != nil {
		return 0, err
	}
	return w.measureFirst(slices.All(entries), false)
}

// measureFirst returns the running count at the beginning of the first of the segments that can be read.
func (w *WAL) measureFirst(entries func(func(int, entry) bool), end bool) (start uint64, err error) {
	for _, e := range entries {
		number, _, _ := parseSegmentName(e.name)
		s := &segment{number: number, path: filepath.Join(w.opts.Dir, e.name), disk: e.size}
		var readable bool
		err := w.withFile(s, func(f file) (err error) {
			if readable, err = w.readSegment(f, s); readable && err == nil && end && s.torn {
				err = w.findEnd(f, s)
			}
			return err
		})
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || err == nil && !readable {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read segment %d: %w", number, err)
		}
		return s.start, nil
	}
	return w.head.Count, nil
}
