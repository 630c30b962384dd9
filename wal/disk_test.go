package wal

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// memDisk is a file system in memory that can fail, fill up, and lose what was not synced.
type memDisk struct {
	mu       sync.Mutex
	live     map[string]*memFile // by path
	durable  map[string]*memFile // names as of the last sync of their directory
	claimed  bool
	removed  bool  // the directory is, see removeAll
	capacity int64 // bytes of all files, 0 = no limit
	reserved int64 // bytes that others take of capacity
	handles  int   // open files
	forgot   int   // calls of Forget
	badFrom  int64 // bytes badFrom to badTo-1 of every file cannot be read
	badTo    int64
	// fault is asked before every operation. A write stops after n bytes of what it was given. Nil = no faults.
	fault func(op, path string) (n int, err error)
}

type memFile struct {
	data   []byte
	synced []byte // what a power loss leaves at least
}

type memHandle struct {
	disk   *memDisk
	file   *memFile // nil for a directory
	path   string
	closed bool
}

func newMemDisk() *memDisk {
	return &memDisk{live: map[string]*memFile{}, durable: map[string]*memFile{}}
}

func (d *memDisk) check(op, path string) error {
	if d.fault == nil {
		return nil
	}
	if _, err := d.fault(op, path); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

type memClaim struct{ *memDisk }

func (c memClaim) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claimed = false
	return nil
}

func (c memClaim) Renew() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check("renew", dir); err != nil || !c.removed {
		return false, err
	}
	c.removed = false
	return true, nil
}

// removeAll removes the directory. Open files stay open.
func (d *memDisk) removeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.live)
	clear(d.durable)
	d.removed = true
}

func (d *memDisk) Claim(dir string) (claim, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.claimed {
		return nil, fmt.Errorf("lock %s: %w", dir, ErrLocked)
	}
	d.claimed = true
	return memClaim{d}, nil
}

func (d *memDisk) Open(name string, flag int) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check("open", name); err != nil {
		return nil, err
	}
	h := &memHandle{disk: d, path: name, file: d.live[name]}
	switch {
	case d.removed:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case name == dir || name == filepath.Join(dir, positionsDir):
	case h.file == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case h.file != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EEXIST}
	case h.file == nil:
		h.file = &memFile{}
		d.live[name] = h.file
	case flag&os.O_TRUNC != 0:
		h.file.data = nil
	}
	d.handles++
	return h, nil
}

func (d *memDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check("rename", from); err != nil {
		return err
	}
	d.live[to] = d.live[from]
	delete(d.live, from)
	return nil
}

func (d *memDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check("remove", name); err != nil {
		return err
	}
	if d.live[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	delete(d.live, name)
	return nil
}

func (d *memDisk) List(dir string) ([]entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check("list", dir); err != nil {
		return nil, err
	}
	var entries []entry
	for _, path := range slices.Sorted(maps.Keys(d.live)) {
		if filepath.Dir(path) == dir {
			entries = append(entries, entry{filepath.Base(path), int64(len(d.live[path].data))})
		}
	}
	return entries, nil
}

func (d *memDisk) Space(dir string) (space, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check("space", dir); err != nil {
		return space{}, err
	}
	if d.capacity == 0 {
		return space{1 << 50, 1 << 50}, nil
	}
	return space{d.freeLocked(), d.capacity}, nil
}

func (d *memDisk) freeLocked() int64 {
	free := d.capacity - d.reserved
	for _, f := range d.live {
		free -= int64(len(f.data))
	}
	return free
}

func (h *memHandle) ReadAt(b []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return 0, fs.ErrClosed
	}
	if err := h.disk.check("read", h.path); err != nil {
		return 0, err
	}
	var n int
	if off < int64(len(h.file.data)) {
		n = copy(b, h.file.data[off:])
	}
	if off < h.disk.badTo && off+int64(n) > h.disk.badFrom {
		return int(max(0, h.disk.badFrom-off)), &fs.PathError{Op: "read", Path: h.path, Err: syscall.EIO}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt(b []byte, off int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return 0, fs.ErrClosed
	}
	n, err := len(b), error(nil)
	if h.disk.fault != nil {
		var good int
		if good, err = h.disk.fault("write", h.path); err != nil {
			n = min(n, good)
		}
	}
	if grow := off + int64(n) - int64(len(h.file.data)); h.disk.capacity > 0 && grow > h.disk.freeLocked() {
		n = max(0, n-int(grow-max(0, h.disk.freeLocked())))
		err = syscall.ENOSPC
	}
	if need := off + int64(n) - int64(len(h.file.data)); need > 0 {
		h.file.data = append(h.file.data, make([]byte, need)...)
	}
	copy(h.file.data[off:], b[:n])
	if err != nil {
		err = &fs.PathError{Op: "write", Path: h.path, Err: err}
	}
	return n, err
}

func (h *memHandle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	if err := h.disk.check("sync", h.path); err != nil {
		return err
	}
	if h.file != nil {
		h.file.synced = slices.Clone(h.file.data)
		return nil
	}
	inHere := func(path string, _ *memFile) bool { return filepath.Dir(path) == h.path }
	maps.DeleteFunc(h.disk.durable, inHere)
	for path, f := range h.disk.live {
		if inHere(path, f) {
			h.disk.durable[path] = f
		}
	}
	return nil
}

func (h *memHandle) Truncate(size int64) error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if err := h.disk.check("truncate", h.path); err != nil {
		return err
	}
	h.file.data = slices.Clone(h.file.data[:min(size, int64(len(h.file.data)))])
	return nil
}

func (h *memHandle) Forget(int64, int64) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	h.disk.forgot++
}

func (h *memHandle) Close() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	h.disk.handles--
	return nil
}

// kill returns the disk as the next process finds it after SIGKILL: all that was written is there.
func (d *memDisk) kill() *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newMemDisk()
	for path, f := range d.live {
		c := &memFile{slices.Clone(f.data), slices.Clone(f.synced)}
		next.live[path] = c
		if d.durable[path] == f {
			next.durable[path] = c
		}
	}
	return next
}

// Kinds of power loss: how much of the unsynced data remains.
type powerLoss int

const (
	nothingUnsynced powerLoss = iota // nothing
	somePrefix                       // of each file a prefix of what was appended; of the names some
	someSectors                      // of each file some sectors, the others as before or zeros; of the names some
)

// crash returns the disk as it is found after a power loss.
func (d *memDisk) crash(how powerLoss, rnd *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newMemDisk()
	paths := slices.Collect(maps.Keys(d.live))
	for path := range d.durable {
		if d.live[path] == nil {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		f := d.durable[path]
		if how != nothingUnsynced && rnd.IntN(2) == 0 {
			f = d.live[path]
		}
		if f == nil {
			continue
		}
		data := f.left(how, rnd)
		next.live[path] = &memFile{data, slices.Clone(data)}
		next.durable[path] = next.live[path]
	}
	return next
}

func (f *memFile) left(how powerLoss, rnd *rand.Rand) []byte {
	if how == nothingUnsynced {
		return slices.Clone(f.synced)
	}
	size := len(f.data)
	if n := len(f.data) - len(f.synced); n > 0 {
		size = len(f.synced) + rnd.IntN(n+1)
	}
	if how == somePrefix && len(f.data) >= len(f.synced) {
		return append(slices.Clone(f.synced), f.data[min(len(f.synced), size):size]...)
	}
	const sector = 16 // far smaller than a real one, to cut through more
	left := make([]byte, size)
	copy(left, f.synced)
	for at := 0; at < size; at += sector {
		if rnd.IntN(2) == 0 {
			copy(left[at:min(at+sector, size)], f.data[at:])
		}
	}
	return left
}
