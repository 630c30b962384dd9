package lastgood

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	retryAfter  = 30 * time.Second // a write that failed
	writeAtMost = 2 * time.Second  // when Run ends

)

// Run writes changes to the disk until ctx ends. Then it writes the rest, for two seconds at most.
func (s *Store) Run(ctx context.Context) {
	for {
		var retry <-chan time.Time
		if !s.flush(ctx.Done()) {
			retry = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeAtMost)
			defer cancel()
			s.flush(end.Done())
			return
		case <-s.wake:
			if retry == nil {
				continue
			}
			select { // more to write is no reason to try the disk earlier
			case <-ctx.Done():
			case <-retry:
			}
		case <-retry:
		}
	}
}

// flush writes until everything is written, or stop is closed. It returns false if a file cannot be written, and logs the error.
func (s *Store) flush(stop <-chan struct{}) (ok bool) {
	for {
		select {
		case <-stop:
			return true
		default:
		}
		dir, name, o := s.next()
		if name == "" {
			return true
		}
		if err := s.write(dir, name, o); err != nil {
			s.fail(name, err)
			return false
		}
	}
}

// next returns a stale file and its new content, nil to remove the file. If no file is stale, name is empty.
func (s *Store) next() (dir, name string, o runtime.Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.stale {
		delete(s.stale, name)
		return s.dir, name, s.objects[name]
	}
	return "", "", nil
}

func (s *Store) fail(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale[name] = true
	if !s.failing {
		s.log.Warn("last good monitors cannot be written", zap.String("directory", s.dir), zap.NamedError("err", err))
	}
	s.failing = true
}

// write makes a file hold an object, or removes it.
func (s *Store) write(dir, name string, o runtime.Object) error {
	var text []byte
	var err error
	if o != nil {
		if text, err = encode(o); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(text)
	s.mu.Lock()
	was, there := s.written[name]
	s.mu.Unlock()
	switch {
	case o == nil:
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case there && was == sum:
		return nil
	default:
		if err := replaceFile(dir, name, text); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		s.log.Info("last good monitors are written again", zap.String("directory", dir))
	}
	s.failing = false
	switch {
	case s.dir != dir: // another one is in use by now, and all is stale
	case o == nil:
		delete(s.written, name)
	default:
		s.written[name] = sum
	}
	return nil
}

// replaceFile writes a temporary file, waits until it is on the disk, and renames it. Then it waits until the new name is on the disk.
func replaceFile(dir, name string, text []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+name+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDirectory(dir)
}

// syncDirectory waits until the names in a directory are on the disk. Some network file systems cannot do that; the files exist anyway.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
