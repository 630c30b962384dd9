package informers

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// manifestBytes is how large a file of manifests may be.
const manifestBytes = 256 << 20

// readRegular reads a regular file of at most most bytes. It returns an error for anything else, and never waits for it: a link in a
// directory of manifests may lead to a device that never ends, or to a pipe that nobody writes to.
func readRegular(path string, most int64) ([]byte, error) {
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
		return nil, fmt.Errorf("it is no regular file (mode %s), and is not read", info.Mode())
	case info.Size() > most:
		return nil, tooLargeToRead(most)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most { // it has grown, or is one of /proc
		err = tooLargeToRead(most)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

func tooLargeToRead(most int64) error {
	return fmt.Errorf("it has more than %d bytes, and is not read", most)
}
