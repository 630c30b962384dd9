package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/cluster"
	"promrelay/informers/manifests"
	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/scrape/order"
	"promrelay/targets"
	"promrelay/wal"
	"promrelay/web"
)

// runOptions are the flags of run.
type runOptions struct {
	ConfigFile, WALDir  string
	Web                 *toolkit.FlagConfig
	Lifecycle, Pprof    bool
	Watch               bool // the configuration file
	LogLevel, LogFormat string
}

// defaultWALDir is relative to the working directory, as Prometheus's storage is.
const defaultWALDir = "data/wal"

func walDir(flag string, cfg *config.Config) string { return cmp.Or(flag, cfg.WAL.Dir, defaultWALDir) }

// restoreBytes is how much of the log's end is read at the start, to know what was written last.
const restoreBytes = 2 * wal.DefaultSegmentBytes

// run is the relay:
//
//	            ┌─────────────────────── reloader ───────────────────────┐
//	            ▼                                                        ▼
//	API server ─► informers.Discovery ─Change─► scrape.Pool ─► wal.WAL ─► relay.Relay ─► receivers
//	or manifests       │    ▲ Hurry (401, 403)     │  ▲         ▲          │
//	                   │    └──────────────────────┘  Guard ────┘ restore  │
//	                   └────────────────────► web.Server ◄─────────────────┘
//
// A part is told of the next ones only through the interfaces that it declares.
func run(o runOptions) error {
	// 1. What there is to do, and whether it can be.
	log, err := newLogger(o.LogLevel, o.LogFormat)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	followMemoryLimit(memlimit.FromCgroup, log)
	seen, _ := fingerprint(o.ConfigFile, nil)
	cfg, err := load(o.ConfigFile)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	reg := web.NewRegistry(log)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector(name))

	// 2. Pages: they take their addresses now, and tell that the relay is starting.
	reload := newReloader(o.ConfigFile, cfg, reg, log)
	reload.watch, reload.seen = o.Watch, seen
	reload.seeMore()
	wo := web.Options{Flags: o.Web, Pprof: o.Pprof, Refused: reload.refused.Load, Version: version, Gatherer: reg, Registerer: reg, Logger: log}
	if o.Lifecycle {
		wo.Reload = reload.reload
	}
	pages, err := web.New(wo)
	if err != nil {
		return err
	}

	// 3. Where objects come from.
	backend, problems, err := newBackend(cfg, log)
	if err != nil {
		return errors.Join(&config.FileError{Path: o.ConfigFile, Err: config.Problems{cfg.Locate(err)}}, pages.Close())
	}

	// 4. The log, and what the process before wrote last.
	dir := walDir(o.WALDir, cfg)
	store, err := wal.Open(wal.Options{
		Dir: dir, MaxBytes: int64(cfg.WAL.MaxBytes), MinFreeBytes: int64(cfg.WAL.MinFreeBytes), SegmentBytes: int64(cfg.WAL.SegmentBytes),
		SyncInterval: cfg.WAL.SyncInterval, Logger: log, Registerer: reg,
	})
	if err != nil {
		return errors.Join(walError(o, cfg, err), pages.Close())
	}
	guard := order.New()
	if err := restore(guard, store); err != nil {
		log.Warn("samples may be written twice", zap.Error(err))
	}

	// 5. Destinations.
	delivery, err := relay.New(relay.Options{WAL: store, Logger: log, Registerer: reg})
	if err != nil {
		return errors.Join(err, store.Close(), pages.Close())
	}
	reload.relay = delivery

	// 6. Scrapes, of targets that discovery finds.
	var discovery *informers.Discovery
	pool, err := scrape.New(scrape.Options{
		Log: store, Guard: guard, ExternalLabels: cfg.Prometheus.GlobalConfig.ExternalLabels, Logger: log, Registerer: reg,
		Unauthorized: func(t *targets.Target) { discovery.Hurry(t) },
		Trusted:      func(at netip.AddrPort) error { return discovery.Trusted(at) },
	})
	if err != nil {
		return errors.Join(err, store.Close(), pages.Close())
	}
	reload.pool = pool
	discovery, err = informers.New(informers.Options{Backend: backend, Sink: pool.Apply, Logger: log, Registerer: reg})
	if err != nil {
		return errors.Join(err, store.Close(), pages.Close())
	}
	reload.discovery = discovery

	// 7. What the configuration says, now and again.
	if err := reload.apply(cfg); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", o.ConfigFile, cfg.Shown(err)), store.Close(), pages.Close())
	}
	pages.Ready(web.Sources{Monitors: discovery, Targets: pool, Destinations: delivery, Problems: problems, Working: store.Ready, FirstLists: discovery.Ready, Known: discovery.Known})
	log.Info("start", zap.String("version", version), zap.String("config", o.ConfigFile), zap.String("wal", dir), zap.Strings("address", *o.Web.WebListenAddresses))

	// 8. All of it, in the order in which it stops.
	err = runParts(ctx, log,
		&part{name: "reloader", run: reload.run, deadline: 5 * time.Second},
		&part{name: "informers", run: discovery.Run, deadline: 5 * time.Second},
		&part{name: "scrape", run: pool.Run, deadline: 10 * time.Second},
		&part{name: "relay", run: delivery.Run, deadline: 5 * time.Second, last: func() error {
			drain, cancel := context.WithTimeout(context.Background(), reload.drainTimeout())
			defer cancel()
			return errors.Join(store.Sync(), delivery.Drain(drain))
		}},
		&part{name: "wal", run: store.Run, deadline: 10 * time.Second},
		&part{name: "wal end", run: idle, last: store.Close, deadline: 10 * time.Second},
		&part{name: "web", run: pages.Run, deadline: 5 * time.Second},
	)
	log.Info("end")
	return err
}

// walError tells who named the directory that cannot be used.
func walError(o runOptions, cfg *config.Config, err error) error {
	switch {
	case o.WALDir != "":
		return fmt.Errorf("--wal.dir=%s: %w", o.WALDir, err)
	case cfg.WAL.Dir != "":
		return &config.FileError{Path: o.ConfigFile, Err: config.Problems{{Line: cfg.Line("wal.dir"), Text: fmt.Sprintf("wal.dir: %s: %v", cfg.WAL.Dir, err)}}}
	}
	return fmt.Errorf("directory of the WAL by default, %s: %w; name another by --wal.dir or wal.dir", defaultWALDir, err)
}

// newBackend returns nil where no objects are needed. Problems is nil where there are no manifests.
func newBackend(cfg *config.Config, log *zap.Logger) (b informers.Backend, problems func() []string, err error) {
	switch {
	case cfg.Manifests != nil:
		m, err := manifests.New(cfg.Manifests.Directory, log)
		if err != nil {
			return nil, nil, err
		}
		return m, m.Problems, nil
	case cfg.Kubernetes != nil:
		b, err = cluster.New(cfg.Kubernetes, name+"/"+version, log)
		return b, nil, err
	}
	return nil, nil, nil
}

func restore(g *order.Guard, store *wal.WAL) error {
	r, err := store.NewReader(store.Recent(restoreBytes))
	if err != nil {
		return err
	}
	return errors.Join(g.RestoreFrom(r), r.Close())
}

// setGC does as Prometheus: the environment goes before the configuration.
func setGC(cfg *config.Config) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(cfg.Prometheus.Runtime.GoGC)
	}
}
