package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// disk is the file system as wal uses it. Tests replace it to inject failures. All methods may block on the device.
type disk interface {
	// Claim makes dir with its subdirectory for positions and locks it until the claim is closed.
	Claim(dir string) (claim, error)
	// Open accepts the flags of os.OpenFile. A directory can be opened too, to be synced.
	Open(name string, flag int) (file, error)
	// Rename replaces the file at to, if there is one.
	Rename(from, to string) error
	Remove(name string) error
	// List returns the regular files of dir.
	List(dir string) ([]entry, error)
	// Space measures the file system of dir.
	Space(dir string) (space, error)
}

// claim is a directory that is locked. Its methods are safe for concurrent use.
type claim interface {
	io.Closer
	// Renew makes and locks again those parts of the directory that somebody removed; false if nothing was missing.
	Renew() (bool, error)
}

// space is the size and the free space of a file system for this process, in bytes.
type space struct {
	free, size int64
}

// file is one open file. The caller closes it.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync returns when the data, and the file size needed to read it, are on the device.
	Sync() error
	Truncate(size int64) error
	// Forget drops length bytes at offset from the page cache, 0 = to the end. Dirty pages stay.
	Forget(offset, length int64)
}

type entry struct {
	name string
	size int64 // bytes
}

const (
	lockName     = "lock"
	positionsDir = "positions"
)

// osDisk is the operating system's file system.
type osDisk struct{}

type osFile struct {
	*os.File
	dir bool
}

func (osDisk) Claim(dir string) (claim, error) {
	if err := makeDir(filepath.Join(dir, positionsDir)); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	f, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return &osClaim{dir: dir, lock: f}, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = errors.Join(err, f.Close())
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

type osClaim struct {
	dir string

	mu     sync.Mutex // guards what follows
	lock   *os.File
	closed bool
}

func (c *osClaim) Renew() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, os.ErrClosed
	}
	held, err := c.held()
	if err != nil {
		return false, err
	}
	_, err = os.Stat(filepath.Join(c.dir, positionsDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) || err == nil && held {
		return false, err
	}
	if err := makeDir(filepath.Join(c.dir, positionsDir)); err != nil {
		return false, fmt.Errorf("make directory: %w", err)
	}
	if held {
		return true, nil
	}
	f, err := lockDir(c.dir)
	if err != nil {
		return false, err
	}
	old := c.lock
	c.lock = f
	return true, old.Close()
}

// held reports whether the locked file is still the one that another process would lock.
func (c *osClaim) held() (bool, error) {
	ours, err := c.lock.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(filepath.Join(c.dir, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, there), err
}

func (c *osClaim) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.lock.Close()
}

func (osDisk) Open(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f, info.IsDir()}, nil
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) Remove(name string) error     { return os.Remove(name) }

func (osDisk) List(dir string) ([]entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		info, err := f.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			entries = append(entries, entry{f.Name(), info.Size()})
		}
	}
	return entries, nil
}

func (osDisk) Space(dir string) (space, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == nil {
			block := int64(st.Bsize)                       //nolint:unconvert // not an int64 on every machine
			reserved := int64(st.Bfree) - int64(st.Bavail) // for root
			return space{free: int64(st.Bavail) * block, size: (int64(st.Blocks) - reserved) * block}, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return space{}, fmt.Errorf("measure free space of %s: %w", dir, err)
		}
	}
}

// Sync does not wait for metadata that is not needed to read the file, such as the time of its last change. On a
// directory fdatasync may leave out the names too, so a directory gets an fsync.
func (f osFile) Sync() error {
	if f.dir {
		return f.File.Sync()
	}
	return f.control("fdatasync", fdatasync)
}

// Forget is only advice: if the kernel ignores it, memory is freed later.
func (f osFile) Forget(offset, length int64) {
	_ = f.control("fadvise", func(fd int) error { return forget(fd, offset, length) })
}

// control runs call with the descriptor, which cannot be closed meanwhile, again until no signal interrupts it.
func (f osFile) control(op string, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if ctlErr := raw.Control(func(fd uintptr) {
		for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
			err = call(int(fd))
		}
	}); ctlErr != nil {
		return ctlErr
	}
	if err != nil {
		return &os.PathError{Op: op, Path: f.Name(), Err: err}
	}
	return nil
}

// makeDir makes dir, and missing directories above it, durably. It does not touch existing ones: this process may have no
// access to them.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrNotExist) {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(osDisk{}, filepath.Dir(dir))
}

// syncDir makes the names in dir durable.
func syncDir(d disk, dir string) error {
	f, err := d.Open(dir, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// writeAll writes b at off. A short write is an error.
func writeAll(f file, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		return io.ErrShortWrite
	}
	return err
}
