package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/relay"
	"promrelay/scrape"
)

// reloader brings the configuration file to the parts, at the start, on SIGHUP and when it is asked to.
type reloader struct {
	path      string
	relay     *relay.Relay
	discovery *informers.Discovery
	pool      *scrape.Pool
	log       *zap.Logger
	success   prometheus.Gauge
	time      prometheus.Gauge

	mu  sync.Mutex // held while a configuration is applied
	cfg *config.Config
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

// run reloads on SIGHUP.
func (r *reloader) run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			_ = r.reload() // which logs its error
		}
	}
}

// reload reads the file again. After an error, which is logged, everything is as it was.
func (r *reloader) reload() error {
	next, err := load(r.path)
	if err == nil {
		err = r.apply(next)
	}
	if err != nil {
		r.success.Set(0)
		r.log.Error("keep the old configuration", zap.String("config", r.path), zap.Error(err))
		return err
	}
	r.log.Info("loaded the configuration", zap.String("config", r.path))
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
