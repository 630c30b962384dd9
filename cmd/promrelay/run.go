package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
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
	Node                nodeName
	Web                 *toolkit.FlagConfig
	Lifecycle, Pprof    bool
	Tap                 bool
	Watch               bool // the configuration file
	LogLevel, LogFormat string
	Flags               map[string]string // all flags of run as they were given, for pages
}

func runCommand(app *kingpin.Application) subcommand {
	c := app.Command("run", "Scrape and relay, until SIGTERM."+examples("run --config.file=promrelay.yml --wal.dir=data/wal", "run --config.file=promrelay.yml --log.level=debug --web.listen-address=127.0.0.1:9099"))
	o := runOptions{Web: kingpinflag.AddFlags(c, ":9099")}
	c.Flag("config.file", configHelp).Default("promrelay.yml").StringVar(&o.ConfigFile)
	c.Flag("config.watch", "Reload the configuration file when it changes. With --no-config.watch only SIGHUP and /-/reload do.").Default("true").BoolVar(&o.Watch)
	c.Flag("wal.dir", "Directory of the write-ahead log; overrides wal.dir of the configuration file. (default data/wal)").StringVar(&o.WALDir)
	o.Node.flag(c)
	c.Flag("web.enable-lifecycle", "Reload the configuration file at POST /-/reload.").BoolVar(&o.Lifecycle)
	c.Flag("web.enable-pprof", "Serve /debug/pprof.").BoolVar(&o.Pprof)
	c.Flag("web.enable-tap", "Show samples that are being sent, at /api/v1/tap and with the command tap. Samples may be confidential.").BoolVar(&o.Tap)
	// No enums: kingpin's error for a wrong value does not name the flag.
	c.Flag("log.level", "Only log messages of this severity or above: "+strings.Join(logLevels, ", ")+".").Default("info").HintOptions(logLevels...).StringVar(&o.LogLevel)
	c.Flag("log.format", "Format of log messages: "+strings.Join(logFormats, ", ")+".").Default("logfmt").HintOptions(logFormats...).StringVar(&o.LogFormat)
	return subcommand{c, func() error {
		o.Flags = map[string]string{}
		for _, f := range c.Model().Flags {
			o.Flags[f.Name] = f.Value.String()
		}
		return run(o)
	}}
}

// defaultWALDir is relative to the working directory, as Prometheus's storage is.
const defaultWALDir = "data/wal"

func walDir(flag string, cfg *config.Config) string { return cmp.Or(flag, cfg.WAL.Dir, defaultWALDir) }

// restoreBytes is how much of the log's end is read at the start, to find the last timestamp of each series.
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
// Each part gets what it needs when it is made or started. It knows other parts only through the interfaces and functions that it declares.
func run(o runOptions) error {
	// 1. The configuration.
	if err := o.Node.check(); err != nil {
		return err
	}
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
	included, _ := fingerprint(o.ConfigFile, cfg.Prometheus.ScrapeConfigFiles) // now, because opening the log may take long
	seen.included = included.included
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	reg := web.NewRegistry(log)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector(name))
	parts := newGroup(log)
	defer parts.stop()

	// 2. Pages. They answer from now on; until the relay is ready they say that it is starting.
	pages, err := web.New(web.Options{Flags: o.Web, Lifecycle: o.Lifecycle, Pprof: o.Pprof, Tap: o.Tap, Version: version, CommandLine: o.Flags, Gatherer: reg, Registerer: reg, Logger: log})
	if err != nil {
		return err
	}
	parts.start(&part{name: "web", run: pages.Run, deadline: 5 * time.Second})

	// 3. The source of objects.
	backend, problems, err := newBackend(cfg, log)
	if err != nil {
		return &config.FileError{Path: o.ConfigFile, Err: config.Problems{cfg.Locate(err)}}
	}

	// 4. The log, and the last samples of the previous process.
	dir := walDir(o.WALDir, cfg)
	store, err := wal.Open(wal.Options{
		Dir: dir, MaxBytes: int64(cfg.WAL.MaxBytes), MinFreeBytes: int64(cfg.WAL.MinFreeBytes), SegmentBytes: int64(cfg.WAL.SegmentBytes),
		SyncInterval: cfg.WAL.SyncInterval, Logger: log, Registerer: reg, Progress: openProgress(log),
	})
	if err != nil {
		return walError(o, cfg, err)
	}
	parts.start(&part{name: "wal end", run: idle, last: store.Close, deadline: 10 * time.Second})
	guard := order.New()
	if err := restore(guard, store, log); err != nil {
		log.Warn("samples may be written twice: the end of the log cannot be read", zap.NamedError("err", err))
	}

	// 5. Destinations, discovery, and scrapes of the targets that it finds.
	delivery, err := relay.New(relay.Options{WAL: store, Logger: log, Registerer: reg})
	if err != nil {
		return err
	}
	discovery, err := informers.New(informers.Options{Backend: backend, Node: o.Node.Name, Logger: log, Registerer: reg})
	if err != nil {
		return err
	}
	pool, err := scrape.New(scrape.Options{
		Log: store, Guard: guard, ExternalLabels: cfg.Prometheus.GlobalConfig.ExternalLabels, Logger: log, Registerer: reg,
		Unauthorized: discovery.Hurry, Trusted: discovery.Trusted,
	})
	if err != nil {
		return err
	}

	// 6. The configuration is put in force, now and after each change.
	reload := newReloader(reloaderOptions{
		Path: o.ConfigFile, Config: cfg, Seen: seen, Watch: o.Watch, Follow: newFollower(cfg, backend, log), Registerer: reg, Logger: log,
		Parts: []prepare{
			func(c *config.Config) (func(), error) { return delivery.Prepare(settings(c)) },
			func(c *config.Config) (func(), error) { return func() { pool.SetLimits(limits(c)); setGC(c) }, nil },
			discovery.Prepare,
		},
	})
	if err := reload.apply(cfg); err != nil {
		return fmt.Errorf("%s: %w", o.ConfigFile, cfg.Shown(err))
	}
	if reload.follow != nil {
		reload.lookAtObject(ctx) // now, so that discovery begins with it
	}
	history := web.NewHistory(delivery, store.Status)
	pages.Ready(web.Sources{
		Monitors: discovery, Targets: pool, Destinations: delivery, Problems: problems, Working: store.Ready, FirstLists: discovery.Ready,
		Known: discovery.Known, Reload: reload.reload, Refused: reload.refused.Load,
		WAL: store.Status, History: history, Watches: discovery.Watches, Config: reload.text, Loaded: reload.loadedAt,
		Tap:     func(destination string) (web.Tap, error) { return delivery.Tap(destination) },
		Explain: func(s targets.Subject) targets.Explanation { return discovery.Explain(s, live(pool, delivery)) },
		Turned: func() map[string]time.Time {
			if ctx.Err() != nil { // parts stop one after the other
				return nil
			}
			return turned(discovery, pool, delivery)
		},
	})
	log.Info("started", zap.String("version", version), zap.String("config", o.ConfigFile), zap.String("wal", dir), onNode(o.Node.Name), zap.Strings("address", *o.Web.WebListenAddresses))

	// 7. All parts run. They stop in the reverse order.
	parts.start(&part{name: "wal", run: store.Run, deadline: 10 * time.Second})
	parts.start(&part{name: "relay", run: delivery.Run, deadline: 5 * time.Second, last: func() error {
		drain, cancel := context.WithTimeout(context.Background(), reload.drainTimeout())
		defer cancel()
		return errors.Join(store.Sync(), delivery.Drain(drain))
	}})
	parts.start(&part{name: "scrape", run: pool.Run, deadline: 10 * time.Second})
	parts.start(&part{name: "informers", run: func(ctx context.Context) error { return discovery.Run(ctx, pool.Apply) }, deadline: 5 * time.Second})
	parts.start(&part{name: "reloader", run: reload.run, deadline: 5 * time.Second})
	parts.start(&part{name: "history", run: history.Run, deadline: time.Second})
	err = parts.wait(ctx)
	parts.stop()
	log.Info("stopped")
	return err
}

// turned returns when each loop of the relay advanced last, by name.
func turned(d *informers.Discovery, p *scrape.Pool, r *relay.Relay) map[string]time.Time {
	out := map[string]time.Time{"discovery": d.Turned(), "scrapes": p.Turned()}
	for destination, at := range r.Turned() {
		out["destination "+destination] = at
	}
	return out
}

// walError adds to an error the place where the unusable directory is named.
func walError(o runOptions, cfg *config.Config, err error) error {
	switch {
	case o.WALDir != "":
		return fmt.Errorf("--wal.dir=%s: %w", o.WALDir, err)
	case cfg.WAL.Dir != "":
		return &config.FileError{Path: o.ConfigFile, Err: config.Problems{{Line: cfg.Line("wal.dir"), Text: fmt.Sprintf("wal.dir: %s: %v", cfg.WAL.Dir, err)}}}
	}
	return fmt.Errorf("default directory of the WAL, %s: %w; set another one with --wal.dir or wal.dir", defaultWALDir, err)
}

// newBackend returns nil if no objects are needed. Problems is nil if there are no manifests.
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

// setGC sets the GC percentage as Prometheus does: the environment overrides the configuration.
func setGC(cfg *config.Config) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(cfg.Prometheus.Runtime.GoGC)
	}
}
