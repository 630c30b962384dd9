package wal

import "golang.org/x/sys/unix"

func fdatasync(fd int) error { return unix.Fdatasync(fd) }

func forget(fd int, offset, length int64) error {
	return unix.Fadvise(fd, offset, length, unix.FADV_DONTNEED)
}
