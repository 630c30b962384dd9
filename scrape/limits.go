package scrape

import (
	"fmt"

	"promrelay/targets"
)

// These bounds cannot be configured: labels, records and the log cannot hold more.
const (
	// maxText bounds, in bytes, the labels of a series before and after relabelling, and a line
	// with its contents. Package labels panics above 2^24 bytes for one name or value, and cannot
	// read one of exactly 2^24.
	maxText = 1<<24 - 1
	// maxLabels bounds the labels of a series. Adding one takes time in proportion to those that a
	// rule has added before.
	maxLabels = 1 << 14
	// maxRecord bounds a record, in bytes. The log accepts 2^28. The difference is room for one
	// line, which is added without a check.
	maxRecord = 1<<28 - 1<<25
)

// Limits hold for every scrape.
type Limits struct {
	// BodyBytes is the size at which a page is refused, decompressed, in bytes; 0 means no limit. A
	// body_size_limit of the job replaces it.
	BodyBytes int64
	// LineBytes bounds a line, or a part of protobuf, in bytes; 0 means 16 MB, which is the most
	// that labels can hold.
	LineBytes int64
	// MemoryBytes bounds the memory of all scrapes together, without the series that are known
	// already, in bytes; 0 means no limit, negative half of what the process may use.
	MemoryBytes int64
}

// DefaultLimits are the limits if Options have none. The page of kube-state-metrics in a large
// cluster has 100 MB.
var DefaultLimits = Limits{BodyBytes: 256 << 20, LineBytes: 1 << 20, MemoryBytes: -1}

// limits are Limits in use.
type limits struct {
	Limits
	memory *memory
}

func newLimits(l Limits) *limits {
	n := l.MemoryBytes
	if n < 0 {
		n = memoryLimit()
	}
	return &limits{l, newMemory(n)}
}

// body returns the limit of a page of the job, and the key that sets it.
func (l *limits) body(j *targets.Job) (bytes int64, key string) {
	if size := j.Config.BodySizeLimit; size > 0 {
		return int64(size), j.LimitKey("body_size_limit")
	}
	return l.BodyBytes, "scrape.body_size_limit"
}

// line returns how many bytes a line may have.
func (l *limits) line() int64 {
	if l.LineBytes <= 0 {
		return maxText
	}
	return min(l.LineBytes, maxText)
}

// The series of one target may use one part in tableShare of the memory for scrapes, and at least
// minTableLimit bytes. Those of kube-state-metrics in a large cluster use 30 MB.
const (
	tableShare    = 4
	minTableLimit = 16 << 20
)

// table returns how many bytes the series of one target may use, 0 for as much as a record can
// hold.
func (l *limits) table() int {
	if l.memory.limit == 0 {
		return 0
	}
	return int(max(l.memory.limit/tableShare, minTableLimit))
}

// sizeError is about a page, or a part of one, that is too large.
type sizeError struct {
	what  string
	bytes int64 // 0 where it is not known
	limit int64
	key   string // of the configuration, "" if none changes the limit
}

func (e sizeError) Error() string {
	text := fmt.Sprintf("%s has more than %d bytes", e.what, e.limit)
	if e.bytes > 0 {
		text = fmt.Sprintf("%s has %d bytes, more than %d", e.what, e.bytes, e.limit)
	}
	if e.key != "" {
		text = e.key + ": " + text
	}
	return text
}

// fullError is about a target whose series use too much memory.
type fullError struct{ sizeError }

func (e fullError) Unwrap() error { return e.sizeError }
