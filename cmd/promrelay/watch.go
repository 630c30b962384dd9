package main

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// lookEvery is how often the configuration is read if the file system does not report changes.
	lookEvery = 10 * time.Second
	// settleFor is how long the directory must be quiet. Files are written in parts, and several of them together.
	settleFor = 300 * time.Millisecond
)

// contents holds checksums of a configuration's files. It is comparable.
type contents struct {
	file     [sha256.Size]byte // of the configuration file
	included [sha256.Size]byte // of scrape_config_files
}

// fingerprint reads the configuration file and scrape_config_files. It returns false while the configuration file cannot be read, for
// example while somebody replaces it.
func fingerprint(path string, patterns []string) (p contents, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return p, false
	}
	h := sha256.New()
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern) // loading the configuration refuses a bad pattern
		for _, included := range paths {
			if info, err := os.Stat(included); err != nil || !info.Mode().IsRegular() {
				continue // reading a FIFO or a device may block for ever
			}
			text, err := os.ReadFile(included)
			if err != nil {
				continue
			}
			sum := sha256.Sum256(text)
			h.Write([]byte(included))
			h.Write(sum[:])
		}
	}
	return contents{file: sha256.Sum256(text), included: [sha256.Size]byte(h.Sum(nil))}, true
}

// changes sends to out when the configuration may have changed: after a change in the directory of its file, where a Kubernetes mount
// swaps its link ..data, and at each lookEvery. It returns when ctx ends.
func changes(ctx context.Context, path string, out chan<- struct{}, log *zap.Logger) {
	dir := filepath.Dir(path)
	var events chan fsnotify.Event
	var errs chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Info("changes of the configuration file are not reported by the system; it is read at intervals", zap.Duration("every", lookEvery), zap.NamedError("err", err))
	} else {
		defer func() { _ = w.Close() }()
		events, errs = w.Events, w.Errors
		_ = w.Add(dir) // again below, for a directory that was removed and is back
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	settled := time.NewTimer(settleFor)
	defer settled.Stop()
	settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settled.Reset(settleFor)
			continue
		case err := <-errs: // the ticker finds what was missed
			log.Debug("watch of the configuration file failed", zap.NamedError("err", err))
		case <-settled.C:
		case <-look.C:
			if w != nil {
				_ = w.Add(dir)
			}
		}
		select {
		case out <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}
