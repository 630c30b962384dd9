package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Defaults of Options.
const (
	DefaultSegmentBytes = 64 << 20
	DefaultMaxBytes     = 8 << 30
	DefaultMinFreeBytes = 512 << 20
	DefaultSyncInterval = time.Second
	DefaultGrace        = 10 * time.Minute
)

// Options say where a WAL lies and how much space it may use.
type Options struct {
	// Dir is the directory, made if missing. It belongs to one WAL at a time.
	Dir string
	// SegmentBytes is the size at which a segment is closed, see rotateNow. 0 = DefaultSegmentBytes. It is limited to an
	// eighth of MaxBytes, so that deleting the oldest segment is a small loss.
	SegmentBytes int64
	// MaxBytes bounds the segments together. 0 = DefaultMaxBytes.
	MaxBytes int64
	// MinFreeBytes is the free disk space below which the oldest segments are deleted. 0 = DefaultMinFreeBytes, negative = off.
	MinFreeBytes int64
	// SyncInterval is how often Run makes durable what was appended and acknowledged. 0 = DefaultSyncInterval.
	SyncInterval time.Duration
	// Grace is how long a removed destination can come back to its position, see Keep. 0 = DefaultGrace, negative = not
	// at all.
	Grace time.Duration
	// Logger may be nil: nothing is logged.
	Logger *zap.Logger
	// Registerer may be nil: nothing is registered.
	Registerer prometheus.Registerer
	// Progress is called while Open looks at segments, and while it walks through the newest one. It says how far the step has come. It
	// may be nil.
	Progress func(step OpenStep, done, total int64)

	disk disk // nil = the operating system's
}

// OpenStep is a step of Open that may take long.
type OpenStep string

// The steps of Open, and what they count.
const (
	StepSegments OpenStep = "segments"       // segments
	StepNewest   OpenStep = "newest segment" // bytes
)

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("no directory: Dir is empty"))
	}
	if o.SegmentBytes < 0 {
		errs = append(errs, fmt.Errorf("SegmentBytes is negative: %d", o.SegmentBytes))
	}
	if o.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("MaxBytes is negative: %d", o.MaxBytes))
	}
	if o.SyncInterval < 0 {
		errs = append(errs, fmt.Errorf("SyncInterval is negative: %s", o.SyncInterval))
	}
	setDefault(&o.SegmentBytes, DefaultSegmentBytes)
	setDefault(&o.MaxBytes, DefaultMaxBytes)
	setDefault(&o.MinFreeBytes, DefaultMinFreeBytes)
	setDefault(&o.SyncInterval, DefaultSyncInterval)
	setDefault(&o.Grace, DefaultGrace)
	o.SegmentBytes = min(o.SegmentBytes, max(o.MaxBytes/8, 1))
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.disk == nil {
		o.disk = osDisk{}
	}
	return o, errors.Join(errs...)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// WAL is an open write-ahead log. Its methods are safe for concurrent use.
//
// The mutexes, in the order in which they are taken:
//
//	syncMu    one Sync at a time; guards the files of positions
//	appendMu  one writer at a time; held while a group is written
//	retainMu  one deletion at a time
//	mu        guards the state that all share; never held in a system call
type WAL struct {
	opts    Options
	disk    disk
	log     *zap.Logger
	metrics *metrics
	lock    claim

	syncMu      sync.Mutex
	released    bool // the lock is released: nothing may be written any more
	posTroubled bool // the last attempt to save positions did not succeed

	appendMu sync.Mutex
	active   *segment  // in which groups land; nil after a failure, until the next one is opened
	next     uint64    // number of the next segment, above every number and position ever found
	buf      []byte    // a group as it is written
	troubled error     // why the last segment was given up or could not be opened; nil when all is well
	retryAt  time.Time // while troubled, no segment is opened before

	retainMu sync.Mutex

	// Used only by Run.
	settled      time.Time // before it, free space is not measured again
	freeTroubled bool      // the last attempt to measure it did not succeed
	dirTroubled  bool      // the last look at the directory did not succeed

	mu           sync.Mutex
	segments     []*segment              // in order of their numbers
	dirty        []*segment              // those that must be synced, in the same order; with the active one
	destinations map[string]*Destination // by the name of their file
	head         Position
	bytes        int64         // sum of the segments' disk
	pace         pace          // how fast the log grows
	free         int64         // bytes of the volume, when it was measured last; -1 while that is unknown
	gone         []span        // spans of deleted segments, until every destination is past them
	wake         chan struct{} // closed when something is appended; nil when nobody waits

	acknowledged  chan struct{}         // holds an element while moved positions are not written yet
	unready       atomic.Pointer[error] // why appends do not work, nil = they do; set with appendMu held
	unsavedFiles  atomic.Bool           // the directory was made again, the files of positions were not
	unsyncedNames atomic.Bool           // files were deleted, the directory was not synced since
	closed        atomic.Bool           // set with appendMu held
}

// Open recovers the log in o.Dir and begins a new segment. It succeeds on a full disk too: readers can then drain the log.
func Open(o Options) (*WAL, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	if err := o.refuseVolume(); err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	lock, err := o.disk.Claim(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open write-ahead log: %w", err)
	}
	w := &WAL{
		opts:         o,
		disk:         o.disk,
		log:          o.Logger.Named("wal"),
		lock:         lock,
		destinations: map[string]*Destination{},
		acknowledged: make(chan struct{}, 1),
		next:         1,
		free:         -1,
	}
	w.metrics = newMetrics(o.Registerer)
	w.metrics.maxBytes.Set(float64(o.MaxBytes))
	if err := w.recover(); err != nil {
		return nil, fmt.Errorf("open write-ahead log %s: %w", o.Dir, errors.Join(err, w.release()))
	}
	return w, nil
}

// Run makes durable what was appended and acknowledged, every SyncInterval, and keeps the bounds. It also writes
// acknowledged positions at once, without waiting for the disk. It returns nil when ctx is done; Close comes after it. No
// failure ends it: each is counted and logged.
func (w *WAL) Run(ctx context.Context) error {
	tick := time.NewTicker(w.opts.SyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.maintain()
		case <-w.acknowledged:
			w.notePositions()
		}
	}
}

func (w *WAL) maintain() {
	if w.closed.Load() {
		return // another process may have the directory by now
	}
	w.keepDirectory()
	syncErr, saveErr := w.sync()
	if syncErr != nil {
		w.log.Error("fsync failed, the segment's new data is not durable", zap.NamedError("err", syncErr))
	}
	w.syncMu.Lock()
	w.noteChange(&w.posTroubled, "save of positions", saveErr)
	w.syncMu.Unlock()
	if err := w.forgetRemoved(time.Now()); err != nil {
		w.log.Warn("files of a forgotten destination could not be removed", zap.NamedError("err", err))
	}
	w.keepBounds()
	w.measurePace(time.Now())
}

// noteChange logs when background work begins to fail and when it succeeds again.
func (w *WAL) noteChange(failing *bool, what string, err error) {
	switch {
	case err != nil && !*failing:
		w.log.Error("background work fails", zap.String("what", what), zap.NamedError("err", err))
	case err == nil && *failing:
		w.log.Info("background work succeeds again", zap.String("what", what))
	}
	*failing = err != nil
}

// Head returns the position behind the last appended frame.
func (w *WAL) Head() Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

// Tail returns the position of the first frame of the oldest segment.
func (w *WAL) Tail() Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tailLocked()
}

func (w *WAL) tailLocked() Position {
	if len(w.segments) == 0 {
		return w.head
	}
	return w.segments[0].first()
}

// Recent returns the position of the first frame of the newest segments that together hold at most size bytes. If even the
// newest segment with a frame is larger, it returns the first frame of that segment.
func (w *WAL) Recent(size int64) Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := w.head
	for _, s := range slices.Backward(w.segments) {
		held := s.size.Load() - segmentHeaderBytes
		if size -= held; size < 0 && from.Before(w.head) {
			break
		}
		if held > 0 {
			from = s.first()
		}
	}
	return from
}

// Close ends the segment being written with a closing frame, syncs, and unlocks the directory. Readers may continue to the
// end. Call it after Run has returned.
func (w *WAL) Close() error {
	w.appendMu.Lock()
	if w.closed.Load() {
		w.appendMu.Unlock()
		return nil
	}
	if w.active != nil {
		w.retireLocked(w.active)
		w.active = nil
	}
	w.closed.Store(true)
	w.appendMu.Unlock()
	w.wakeReaders()

	if err := errors.Join(w.Sync(), w.release()); err != nil {
		return fmt.Errorf("close write-ahead log: %w", err)
	}
	return nil
}

// release closes every file except those of readers, and unlocks the directory.
func (w *WAL) release() error {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	w.released = true
	var errs []error
	for _, d := range w.destinations {
		errs = append(errs, d.closeFile())
	}
	for _, s := range w.dirty {
		if s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	w.dirty = nil
	return errors.Join(append(errs, w.lock.Close())...)
}
