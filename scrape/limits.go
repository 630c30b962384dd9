package scrape

import (
	"fmt"

	"promrelay/targets"
)

// What no configuration can lift, since something would break: the sizes that labels, records and the log can hold.
const (
	// maxText is how many bytes a series' labels may have, before relabelling and after it, and a line and what is in it: HELP, an
	// exemplar. Package labels panics above 2^24 for one name or value, and writes one of 2^24 so that it cannot be read.
	maxText = 1<<24 - 1
	// maxLabels is how many labels a series may have. To add one costs a look at those that a rule has added before.
	maxLabels = 1 << 14
	// maxRecord is how many bytes a record may have: wal takes 2^28, and what one line adds is not asked about.
	maxRecord = 1<<28 - 1<<25
)

// Limits are those that hold for every scrape.
type Limits struct {
	// BodyBytes is the size at which a page is refused, decompressed, in bytes; 0 for none. A body_size_limit of the job goes before it.
	BodyBytes int64
	// LineBytes is how long a line may be, or what stands for one in protobuf, in bytes; 0 for none but what can be held, 16 MB.
	LineBytes int64
	// MemoryBytes is what all scrapes may hold together, beside the series that are known; 0 for none, negative for half of what
	// the process may use.
	MemoryBytes int64
}

// DefaultLimits are those of Options that name none. A large cluster's kube-state-metrics has 100 MB.
var DefaultLimits = Limits{BodyBytes: 256 << 20, LineBytes: 1 << 20, MemoryBytes: -1}

// limits are Limits as they are in use.
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
		return int64(size), j.Owner.Key("body_size_limit")
	}
	return l.BodyBytes, "scrape.body_size_limit"
}

func (l *limits) line() int64 {
	if l.LineBytes <= 0 {
		return maxText
	}
	return min(l.LineBytes, maxText)
}

// tableShare is the share of the memory for scrapes that the series of one target may take, as long as they are known; tableLeast is what
// they may take at any rate, in bytes. A large cluster's kube-state-metrics has 30 MB of them.
const (
	tableShare = 4
	tableLeast = 16 << 20
)

// table is how many bytes the series of one target may take, 0 for what a record can hold.
func (l *limits) table() int {
	if l.memory.limit == 0 {
		return 0
	}
	return int(max(l.memory.limit/tableShare, tableLeast))
}

// sizeError is a page, or a part of one, that is larger than it may be.
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

// fullError is a target whose series take more than they may.
type fullError struct{ sizeError }

func (e fullError) Unwrap() error { return e.sizeError }
