package main

import (
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

	"promrelay/config"
	"promrelay/informers"
	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/web"
)

// errEmptyFile refuses what is seldom meant: a file that is about to be written, or that a full disk has cut off.
var errEmptyFile = errors.New("the file is empty: want at least one key; write {} to take away all jobs and destinations")

// reloader brings the configuration file to the parts, at the start, on SIGHUP and when it is asked to.
type reloader struct {
	path      string
	relay     *relay.Relay
	discovery *informers.Discovery
	pool      *scrape.Pool
	log       *zap.Logger
	success   prometheus.Gauge
	time      prometheus.Gauge
	refused   atomic.Pointer[web.Refused] // the file as it is now, nil if it is in force

	watch bool // reload when the file changes
	gone  bool // the log says that the file is gone; of run alone

	mu  sync.Mutex // held while a configuration is applied
	cfg *config.Config

	seenMu sync.Mutex
	seen   contents // of what was tried last, whether it was good or not
}

func newReloader(path string, cfg *config.Config, reg prometheus.Registerer, log *zap.Logger) *reloader {
	r := &reloader{
		path: path, cfg: cfg, log: log,
		success: prometheus.NewGauge(prometheus.GaugeOpts{Name: "promrelay_config_last_reload_successful", Help: "Whether the configuration file was good when it was read last."}),
		time:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "promrelay_config_last_reload_success_timestamp_seconds", Help: "When a good configuration was read last."}),
	}
	reg.MustRegister(r.success, r.time)
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
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			_ = r.reload() // which logs its error
		case <-changed:
			r.lookAfter()
			if r.changed() {
				_ = r.reload()
			}
		}
	}
}

// lookAfter tells once that the file is gone, and once that it is back. The directory has been quiet for a while when it is called: while
// a ConfigMap's link is swapped or an editor replaces the file, nobody looks.
func (r *reloader) lookAfter() {
	_, err := os.Stat(r.path)
	switch gone := errors.Is(err, fs.ErrNotExist); {
	case gone && !r.gone:
		r.gone = true
		r.log.Warn("the configuration file is gone; the one in force stays", zap.String("config", r.path))
	case err == nil && r.gone:
		r.gone = false
		r.log.Info("the configuration file is back", zap.String("config", r.path))
	}
}

// changed tells whether the file holds something else than what was tried last.
func (r *reloader) changed() bool {
	now, ok := fingerprint(r.path, r.patterns())
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	return ok && now != r.seen
}

// see notes what the files hold, before they are read: a change in between is found later.
func (r *reloader) see() {
	now, _ := fingerprint(r.path, r.patterns())
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	r.seen = now
}

// seeMore notes what scrape_config_files hold, which a reload may have made others.
func (r *reloader) seeMore() {
	now, _ := fingerprint(r.path, r.patterns())
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	r.seen.more = now.more
}

// patterns are scrape_config_files of the configuration in force.
func (r *reloader) patterns() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Prometheus.ScrapeConfigFiles
}

// reload reads the file again. After an error, which is logged, everything is as it was.
func (r *reloader) reload() error {
	r.see()
	next, err := load(r.path)
	if err == nil && next.Empty() {
		err = &config.FileError{Path: r.path, Err: errEmptyFile}
	}
	if err == nil {
		if err = r.apply(next); err != nil {
			err = next.Shown(err)
		}
	}
	if err != nil {
		r.success.Set(0)
		r.refused.Store(&web.Refused{At: time.Now(), Error: err.Error()})
		r.log.Error("keep the old configuration", zap.String("config", r.path), zap.Error(err))
		return err
	}
	r.refused.Store(nil)
	r.log.Info("loaded the configuration", zap.String("config", r.path))
	r.seeMore()
	return nil
}

// apply makes the parts do as c says.
func (r *reloader) apply(c *config.Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := needsRestart(r.cfg, c); err != nil {
		return err
	}
	if err := r.relay.Apply(settings(c)); err != nil {
		return err
	}
	r.pool.SetLimits(limits(c))
	if err := r.discovery.Apply(c); err != nil { // load has made sure that it takes c
		return err
	}
	setGC(c)
	for _, w := range c.Warnings {
		r.log.Warn("configuration", zap.String("config", r.path), zap.String("warning", w))
	}
	for _, n := range c.Notes().Strings() {
		r.log.Info("configuration", zap.String("config", r.path), zap.String("note", n))
	}
	r.cfg = c
	r.success.Set(1)
	r.time.Set(float64(time.Now().UnixMilli()) / 1000)
	return nil
}

// limits are those of the block scrape.
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
