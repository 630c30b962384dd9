package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// CheckVolume checks the volume of dir, or of the nearest existing directory above it, against Options.MinFreeBytes, which
// is wal.min_free_bytes in the configuration. With an error Open would fail; the warning is empty if all is well. A volume that
// cannot be measured is no error.
func CheckVolume(dir string, minFreeBytes int64) (warning string, err error) {
	return checkVolume(osDisk{}, dir, minFreeBytes)
}

func checkVolume(d disk, dir string, minFree int64) (warning string, err error) {
	setDefault(&minFree, DefaultMinFreeBytes)
	if minFree < 0 {
		return "", nil
	}
	at := dir
	s, err := d.Space(at)
	for errors.Is(err, os.ErrNotExist) && filepath.Dir(at) != at {
		at = filepath.Dir(at)
		s, err = d.Space(at)
	}
	if err != nil { // some file systems do not report it
		s = space{}
	}
	switch {
	case s.size <= 0:
		return "", nil
	case s.size <= minFree:
		return "", fmt.Errorf("wal.min_free_bytes is %s, and the volume of %s has %s in all: every segment would be deleted as soon as it is full; "+
			"use a larger volume, or set wal.min_free_bytes below %s, to %s for instance, or to -1 for no floor",
			inUnits(minFree), dir, inUnits(s.size), inUnits(s.size), inUnits(s.size/16))
	case s.free < minFree:
		return fmt.Sprintf("wal.min_free_bytes is %s, and the volume of %s has %s free: the oldest segments are deleted, whether delivered or not; "+
			"make room, or set wal.min_free_bytes lower", inUnits(minFree), dir, inUnits(s.free)), nil
	}
	return "", nil
}

// inUnits writes n bytes with a unit of 1024, in the form that the configuration accepts.
func inUnits(n int64) string {
	unit := 0
	for n >= 10<<10 && unit < 4 {
		n, unit = n>>10, unit+1
	}
	return fmt.Sprint(n, []string{"B", "KB", "MB", "GB", "TB"}[unit])
}

// refuseVolume is checkVolume for Open. Open continues after a warning.
func (o Options) refuseVolume() error {
	warning, err := checkVolume(o.disk, o.Dir, o.MinFreeBytes)
	if warning != "" {
		o.Logger.Named("wal").Warn("disk space is short", zap.String("reason", warning))
	}
	return err
}
