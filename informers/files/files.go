// Package files reads files that somebody may have replaced with something else, such as a device.
//
// Promises: it reads regular files only, never more than the caller's limit, and never waits for another process.
// Not promised: that a file does not change while it is read.
package files

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// ReadRegular reads a regular file of at most limit bytes. Anything else is an error, at once: a link may lead to a device that
// never ends, or to a pipe that nobody writes to.
func ReadRegular(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a regular file (mode %s), and is not read", info.Mode())
	case info.Size() > limit:
		return nil, tooLarge(limit)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit { // it has grown, or is one of /proc
		err = tooLarge(limit)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

func tooLarge(limit int64) error {
	return fmt.Errorf("it has more than %d bytes, and is not read", limit)
}
