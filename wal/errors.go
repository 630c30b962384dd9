package wal

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrClosed is returned by a writer after Close, and by a reader that has read everything after Close.
	ErrClosed = errors.New("write-ahead log is closed")
	// ErrLocked is returned by Open when another process, or another WAL of this one, has the directory.
	ErrLocked = errors.New("directory is in use")
	// ErrTooLarge is returned for a frame, a group or a destination's id that is larger than its bound.
	ErrTooLarge = errors.New("too large")
	// ErrBeyondHead is returned by NewReader for a position at which nothing has been appended yet.
	ErrBeyondHead = errors.New("position is beyond the head")

	errDamaged = errors.New("damaged")
)

// RotatedError says that a group would not land in the segment it was encoded for. Nothing was written.
type RotatedError struct {
	Segment uint64 // number of the segment in which the group would land now
}

func (e *RotatedError) Error() string {
	return fmt.Sprintf("group lands in segment %d", e.Segment)
}

// CorruptionError is a damaged place in a segment. Readers continue behind it: they log and count it, and do not return it.
type CorruptionError struct {
	Segment uint64
	Offset  int64 // bytes from the start of the segment to the first frame that was hit
}

func (e *CorruptionError) Error() string {
	return fmt.Sprintf("segment %d is damaged at offset %d", e.Segment, e.Offset)
}

// isFull reports whether err means that the disk, or the share of it we may use, is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
