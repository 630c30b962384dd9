package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
)

const (
	extraMagic       = "\x89PREXT\r\n"
	extraSuffix      = ".extra"
	extraHeaderBytes = len(extraMagic) + 4
	maxExtra         = 16 << 20
)

// SetExtra stores up to 16 MiB of the caller's bytes in a file next to the position; empty bytes remove the file. The bytes outlive a
// SIGKILL. They are not synced: after a power loss they may be missing or be those of an earlier call, but never other bytes. So the
// caller must be able to work without them. Only one goroutine at a time may call SetExtra.
func (d *Destination) SetExtra(b []byte) error {
	w := d.wal
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.released {
		return ErrClosed
	}
	path := w.positionsPath(d.extraName())
	if len(b) == 0 {
		err := w.disk.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, syncDir(w.disk, w.positionsPath(""))); err != nil {
			return fmt.Errorf("remove what is kept beside the position of %s: %w", d.label, err)
		}
		return nil
	}
	if len(b) > maxExtra {
		return fmt.Errorf("%d bytes beside the position of %s: %w", len(b), d.label, ErrTooLarge)
	}
	if err := d.writeExtra(path, b); err != nil {
		return fmt.Errorf("keep bytes beside the position of %s: %w", d.label, err)
	}
	return nil
}

func (d *Destination) writeExtra(path string, b []byte) error {
	f, err := d.wal.disk.Open(path+temporarySuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	head := binary.LittleEndian.AppendUint32([]byte(extraMagic), crc32.Checksum(b, castagnoli))
	if err := errors.Join(writeAll(f, append(head, b...), 0), f.Close()); err != nil {
		return err
	}
	return d.wal.disk.Rename(path+temporarySuffix, path)
}

// Extra returns the bytes last given to SetExtra, also by an earlier process. It returns none if there are none or they are damaged.
func (d *Destination) Extra() []byte {
	f, err := d.wal.disk.Open(d.wal.positionsPath(d.extraName()), os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, int64(extraHeaderBytes+maxExtra)))
	if err != nil || len(b) < extraHeaderBytes || string(b[:len(extraMagic)]) != extraMagic {
		return nil
	}
	b, sum := b[extraHeaderBytes:], binary.LittleEndian.Uint32(b[len(extraMagic):])
	if crc32.Checksum(b, castagnoli) != sum {
		return nil
	}
	return b
}

func (d *Destination) extraName() string {
	return strings.TrimSuffix(d.name, positionSuffix) + extraSuffix
}
