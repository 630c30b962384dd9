package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"promrelay/config"
	"promrelay/scrape"
	"promrelay/web"
)

// errEmptyFile refuses a file that is about to be written, or that a full disk has cut off. Few users want an empty configuration.
var errEmptyFile = errors.New("the file is empty: want at least one key; write {} to remove all jobs and destinations")

// prepare is the first of two steps in which a part adopts a configuration: it checks the configuration, builds what the part needs,
// and changes nothing. Commit, the second step, puts the configuration in force and cannot fail.
type prepare func(*config.Config) (commit func(), err error)

// reloaderOptions are what a reloader needs.
type reloaderOptions struct {
	Path       string
	Config     *config.Config // as it was read at the start
	Seen       contents       // of Path, before it was read
	Watch      bool           // reload when the file changes
	Follow     *follower      // of the object that gives the block monitors; nil for none
	Parts      []prepare      // in the order in which they commit
	Registerer prometheus.Registerer
	Logger     *zap.Logger
}

// reloader puts the configuration file in force in all parts: at the start, on SIGHUP, on request and when the file changes.
type reloader struct {
	path    string
	watch   bool
	parts   []prepare
	log     *zap.Logger
	success prometheus.Gauge
	time    prometheus.Gauge
	refused atomic.Pointer[web.Refused] // the file as it is now; nil if it is in force
	follow  *follower                   // nil: there is no such object
	missing bool                        // the log says that the file is gone; only run uses it

	reloading sync.Mutex // held while the file or the object is applied; taken before mu
	broken    error      // why the file is not in force; guarded by reloading

	mu     sync.Mutex // held while a configuration is applied
	cfg    *config.Config
	loaded time.Time // when cfg was put in force

	seenMu sync.Mutex
	seen   contents // of the version that was tried last, good or not
}

func newReloader(o reloaderOptions) *reloader {
	r := &reloader{
		path: o.Path, cfg: o.Config, seen: o.Seen, watch: o.Watch, follow: o.Follow, parts: o.Parts, log: o.Logger,
		success: prometheus.NewGauge(prometheus.GaugeOpts{Name: "promrelay_config_last_reload_successful", Help: "Whether the configuration file was good when it was read last."}),
		time:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "promrelay_config_last_reload_success_timestamp_seconds", Help: "When a good configuration was read last."}),
	}
	o.Registerer.MustRegister(r.success, r.time)
	return r
}

// run reloads on SIGHUP, and when the file changes.
func (r *reloader) run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	changed := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	if r.watch {
		wg.Go(func() { changes(ctx, r.path, changed, r.log) })
	}
	if r.follow != nil {
		wg.Go(func() { r.followObject(ctx) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			_ = r.reload() // reload logs its error
		case <-changed:
			r.noteMissing()
			if r.changed() {
				_ = r.reload()
			}
		}
	}
}

// noteMissing logs once that the file is gone, and once that it is back. It is called when the directory has been quiet for a while, so
// not while a ConfigMap's link is swapped or an editor replaces the file.
func (r *reloader) noteMissing() {
	_, err := os.Stat(r.path)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && !r.missing:
		r.missing = true
		r.log.Warn("the configuration file is gone; the one in force stays", zap.String("config", r.path))
	case err == nil && r.missing:
		r.missing = false
		r.log.Info("the configuration file is back", zap.String("config", r.path))
	}
}

// changed reports whether the files differ from the version that was tried last.
func (r *reloader) changed() bool {
	now, ok := fingerprint(r.path, r.patterns())
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	return ok && now != r.seen
}

// see notes the content of the files. It is called before they are read, so that a change in between is found later.
func (r *reloader) see() {
	now, _ := fingerprint(r.path, r.patterns())
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	r.seen = now
}

// seeIncluded notes the content of scrape_config_files. A reload may have changed which files these are.
func (r *reloader) seeIncluded() {
	now, _ := fingerprint(r.path, r.patterns())
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	r.seen.included = now.included
}

// patterns are the scrape_config_files of the configuration in force.
func (r *reloader) patterns() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Prometheus.ScrapeConfigFiles
}

// reload reads the file again. After an error, which is logged, everything is as it was.
func (r *reloader) reload() error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	r.see()
	if r.broken = r.load(r.follow.block()); r.broken != nil {
		err := r.broken
		r.refuse(err)
		r.log.Error("configuration refused; the old one stays in force", zap.String("config", r.path), zap.NamedError("err", err))
		return err
	}
	r.accept()
	r.log.Info("configuration loaded", zap.String("config", r.path))
	r.seeIncluded()
	return nil
}

// load reads the file, with the block monitors of the object that it follows, and applies it.
func (r *reloader) load(monitors *yaml.Node) error {
	next, err := loadFollowing(r.path, monitors)
	if err != nil {
		return err
	}
	if next.Empty() {
		return &config.FileError{Path: r.path, Err: errEmptyFile}
	}
	if err := r.apply(next); err != nil {
		return next.Shown(err)
	}
	return nil
}

// refuse shows why the file, or the object that it follows, is not in force.
func (r *reloader) refuse(err error) {
	r.success.Set(0)
	r.refused.Store(&web.Refused{At: time.Now(), Error: err.Error()})
}

// accept shows that the file and the object that it follows are in force, or which of them still is not.
func (r *reloader) accept() {
	if err := cmp.Or(r.broken, r.follow.problem()); err != nil {
		r.refuse(err)
		return
	}
	r.success.Set(1)
	r.refused.Store(nil)
}

// followObject applies changes of the object that the file follows, until ctx ends.
func (r *reloader) followObject(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		r.lookAtObject(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lookAtObject reads the object once. A version that is refused leaves the last good one in force.
func (r *reloader) lookAtObject(ctx context.Context) {
	f := r.follow
	loaded := false
	err := f.look(ctx, func(block *yaml.Node) error {
		r.reloading.Lock()
		defer r.reloading.Unlock()
		err := r.load(block)
		if err != nil && r.load(f.block()) != nil {
			return errFile
		}
		if loaded = err == nil; loaded {
			r.broken = nil
			f.set(block, nil)
			r.accept()
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		why := fmt.Errorf("%s: %w", f, err)
		if p := f.problem(); p != nil && errors.Is(err, p) {
			why = p
		}
		if f.set(nil, why) {
			r.refuse(why)
			r.log.Error("object refused; the last good version stays in force", zap.Stringer("object", f), zap.NamedError("err", err))
		}
	case loaded:
		r.log.Info("object loaded", zap.Stringer("object", f))
	case f.set(f.block(), nil):
		r.reloading.Lock()
		defer r.reloading.Unlock()
		r.accept()
	}
}

// apply puts c in force in all parts, or in none if it returns an error.
func (r *reloader) apply(c *config.Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := needsRestart(r.cfg, c); err != nil {
		return err
	}
	var commits []func()
	for _, prepare := range r.parts {
		commit, err := prepare(c)
		if err != nil {
			return err
		}
		commits = append(commits, commit)
	}
	for _, commit := range commits {
		commit()
	}
	for _, w := range c.Warnings {
		r.log.Warn("configuration", zap.String("config", r.path), zap.String("warning", w))
	}
	for _, n := range c.Notes().Strings() {
		r.log.Info("configuration", zap.String("config", r.path), zap.String("note", n))
	}
	r.cfg = c
	r.success.Set(1)
	r.loaded = time.Now()
	r.time.Set(float64(r.loaded.UnixMilli()) / 1000)
	return nil
}

// limits are the limits of the scrape block.
func limits(c *config.Config) scrape.Limits {
	s := c.Scrape
	return scrape.Limits{BodyBytes: int64(s.BodySizeLimit), LineBytes: int64(s.LineSizeLimit), MemoryBytes: int64(s.MemoryLimit)}
}

// needsRestart names the blocks that a running relay cannot change.
func needsRestart(old, next *config.Config) error {
	var errs []error
	for block, same := range map[string]bool{
		"kubernetes": reflect.DeepEqual(old.Kubernetes, next.Kubernetes),
		"manifests":  reflect.DeepEqual(old.Manifests, next.Manifests),
		"wal":        old.WAL == next.WAL,
	} {
		if !same {
			errs = append(errs, fmt.Errorf("block %s has changed: that needs a restart", block))
		}
	}
	return errors.Join(errs...)
}

func (r *reloader) drainTimeout() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Relay.DrainTimeout
}

// text is the configuration in force as YAML, without secrets.
func (r *reloader) text() string {
	r.mu.Lock()
	cfg := r.cfg
	r.mu.Unlock()
	return cfg.Text()
}

// loadedAt is when the configuration in force was loaded.
func (r *reloader) loadedAt() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loaded
}
