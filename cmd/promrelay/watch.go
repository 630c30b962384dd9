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
	// lookEvery is how often the configuration is looked at where the file system does not tell of changes.
	lookEvery = 10 * time.Second
	// settleFor is how long the directory must be quiet: files are written in parts, and several of them together.
	settleFor = 300 * time.Millisecond
)

// contents is what a configuration holds. Two are equal if the contents are.
type contents struct {
	file [sha256.Size]byte // of the configuration file
	more [sha256.Size]byte // of scrape_config_files
}

// fingerprint reads the configuration file and scrape_config_files. It is false while the file cannot be read, as it is for a moment while
// it is replaced.
func fingerprint(path string, patterns []string) (p contents, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return p, false
	}
	h := sha256.New()
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern) // loading it tells of a bad one
		for _, more := range paths {
			if info, err := os.Stat(more); err != nil || !info.Mode().IsRegular() {
				continue // reading it may wait for ever
			}
			text, err := os.ReadFile(more)
			if err != nil {
				continue
			}
			sum := sha256.Sum256(text)
			h.Write([]byte(more))
			h.Write(sum[:])
		}
	}
	return contents{file: sha256.Sum256(text), more: [sha256.Size]byte(h.Sum(nil))}, true
}

// changes tells that the configuration may have changed: when something happens in the directory of its file, which is where a mount of
// Kubernetes swaps its link ..data, and every now and then. It returns when ctx ends.
func changes(ctx context.Context, path string, out chan<- struct{}, log *zap.Logger) {
	dir := filepath.Dir(path)
	var events chan fsnotify.Event
	var errs chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Info("the configuration file is looked at now and then, the system tells of no changes", zap.Error(err))
	} else {
		defer func() { _ = w.Close() }()
		events, errs = w.Events, w.Errors
		_ = w.Add(dir) // again below; a directory that is away comes back
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			settled = time.After(settleFor)
			continue
		case err := <-errs: // what was missed the ticker finds
			log.Debug("watch the configuration file", zap.Error(err))
		case <-settled:
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
