// Package web shows what the relay does: /targets for people, /api/v1/targets in Prometheus's format, /metrics, and health.
//
// Promises: a request sees the state of each part at one moment. It delays discovery, scrapes and delivery only while it copies that
// state. No credentials are shown. A panic in a page affects only that answer. Pages work without scripts. Not promised: that two parts
// are seen at the same moment.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/targets"
	"promrelay/wal"
)

// Monitors gives the state of discovery. Its methods do not block for long; the caller owns what they return.
type Monitors interface {
	Monitors() []targets.MonitorStatus
	// Off returns the resources that are wanted and not watched, each with the reason.
	Off() map[string]string
}

// Targets gives the state of scrapes.
type Targets interface {
	// Statuses returns the targets of one job, in no order.
	Statuses(job string) []scrape.Status
	// Jobs returns the jobs that have or had targets, in no order.
	Jobs() []*targets.Job
	// Metadata returns what a target says of its metric families, or of one. False: it is being scraped at this moment.
	Metadata(t *targets.Target, family string) ([]scrape.Metadata, bool)
}

// Destinations gives the state of delivery.
type Destinations interface {
	Statuses() []relay.Status
}

// Tap gives the samples that are sent while it is open.
type Tap interface {
	// Next waits for the next samples of the wanted series. It returns nil if ctx ends.
	Next(ctx context.Context, wanted func(labels.Labels) bool) ([]relay.TappedSeries, error)
	// Omitted counts the samples that were left out, since the reader did not keep up.
	Omitted() uint64
	Close()
}

// Options are what a Server needs.
type Options struct {
	// Flags name addresses, sockets and the file for TLS and authentication, as exporter-toolkit has them.
	Flags *toolkit.FlagConfig
	// Lifecycle lets POST /-/reload reload the configuration.
	Lifecycle bool
	// Pprof serves /debug/pprof.
	Pprof bool
	// Tap answers /api/v1/tap.
	Tap     bool
	Version string
	// CommandLine are the values of the program's flags, by name. None of them is a secret.
	CommandLine map[string]string
	Gatherer    prometheus.Gatherer
	Registerer  prometheus.Registerer // of the server's own metrics; nil means none
	Logger      *zap.Logger           // nil means none
}

// Server answers HTTP requests.
type Server struct {
	options   Options
	listeners []net.Listener
	sources   atomic.Pointer[Sources]
	guard     *guard
	log       *zap.Logger
	started   time.Time
}

// Sources give the pages their data.
type Sources struct {
	Monitors     Monitors
	Targets      Targets
	Destinations Destinations
	// Problems are errors of manifests; nil if there are no manifests to read.
	Problems func() []string
	// Working returns why the relay is not ready, or nil; a nil function means that it always is.
	Working func() error
	// FirstLists returns an error while the relay waits for the first lists of objects. After that it returns a remark about them for the
	// answer of /-/ready. A nil function means that there is nothing to wait for.
	FirstLists func() (remark string, err error)
	// WAL returns the state of the log. It does not wait for the disk.
	WAL func() wal.Status
	// History has the points of the last hour; nil means none.
	History *History
	// Watches returns the states of the resources that are watched, or may be; it is empty without a cluster and manifests.
	Watches func() []targets.Watch
	// Config returns the configuration in force as YAML, without secrets.
	Config func() string
	// Known reports whether all objects were read once. Until then the page does not say that there are no monitors. Nil means always.
	Known func() bool
	// Turned returns when each loop advanced last, by name; nil if there is none. A time may be in the future: until then the loop waits
	// on purpose.
	Turned func() map[string]time.Time
	// Reload reads the configuration file again. It is called only with Options.Lifecycle.
	Reload func() error
	// Refused returns the version of the configuration file that was refused, nil if the file is in force; a nil function means that it
	// always is.
	Refused func() *Refused
	// Explain says how far something gets on the way to the receivers; nil if nothing can be explained.
	Explain func(targets.Subject) targets.Explanation
	// Tap shows the samples that are sent to a destination, or to all if that is empty. It is called only with Options.Tap.
	Tap func(destination string) (Tap, error)
	// Loaded returns when the configuration in force was loaded.
	Loaded func() time.Time
}

// New checks the file for TLS and authentication, and listens at the addresses. So it returns an error at once if an address is in use.
func New(o Options) (*Server, error) {
	if o.Flags == nil || o.Gatherer == nil {
		return nil, errors.New("web: Flags and Gatherer must be given")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if err := toolkit.Validate(*o.Flags.WebConfigFile); err != nil {
		return nil, fmt.Errorf("--web.config.file=%s: %w", *o.Flags.WebConfigFile, err)
	}
	s := &Server{options: o, log: o.Logger.Named("web"), started: time.Now().UTC()}
	s.guard = newGuard(o.Registerer, s.log)
	if sockets := o.Flags.WebSystemdSocket; sockets != nil && *sockets {
		return s, nil
	}
	for _, address := range *o.Flags.WebListenAddresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--web.listen-address=%s: %w", address, err), s.Close())
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// Close stops listening. It is for a Server that does not Run.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Ready gives the pages their data. Before that they answer that the relay is starting.
func (s *Server) Ready(src Sources) { s.sources.Store(&src) }

// lingerFor is how long requests under way may take when the server ends. Connections without a request, which browsers keep open, take
// as long.
const lingerFor = 500 * time.Millisecond

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan error, 1)
	logger := zapslog.NewHandler(s.log.Core(), zapslog.WithName("web"))
	go func() {
		if len(s.listeners) == 0 {
			done <- toolkit.ListenAndServe(srv, s.options.Flags, slog.New(logger))
			return
		}
		done <- toolkit.ServeMultiple(s.listeners, srv, s.options.Flags, slog.New(logger))
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve web pages: %w", err)
	case <-ctx.Done():
	}
	// A request that takes longer is cut off.
	linger, cancel := context.WithTimeout(context.WithoutCancel(ctx), lingerFor)
	defer cancel()
	err := srv.Shutdown(linger)
	if err != nil {
		err = srv.Close()
	}
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(method, path string, h http.Handler) { mux.Handle(method+" "+path, s.guard.page(path, h)) }
	handleFunc := func(path string, h http.HandlerFunc) { handle(http.MethodGet, path, h) }
	for path, page := range map[string]func(http.ResponseWriter, *http.Request, *Sources){
		"/{$}": s.overviewPage, "/targets": s.targetsPage, "/monitor": s.monitorPage, "/destinations": s.destinationsPage,
		"/wal": s.walPage, "/config": s.configPage, "/status": s.statusPage, "/top": s.topPage, "/service-discovery": s.discoveryPage, "/relabel": s.relabelPage, "/tap": s.tapPage,
	} {
		handle(http.MethodGet, path, gzhttp.GzipHandler(s.whenReady(page)))
	}
	handle(http.MethodPost, "/relabel", gzhttp.GzipHandler(s.whenReady(s.relabelPage)))
	for name, contentType := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": javascript, "theme.js": javascript} {
		handle(http.MethodGet, "/"+name, gzhttp.GzipHandler(file(name, contentType)))
	}
	for path, f := range s.apis() {
		handle(http.MethodGet, "/api/v1/"+path, gzhttp.GzipHandler(s.api(f)))
	}
	handleFunc("/api/v1/tap", s.tapAPI) // not compressed, because the reader gets each sample at once
	for _, path := range noSamples {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			handle(method, "/api/v1/"+path, s.api(noSamplesAPI))
		}
	}
	handle(http.MethodGet, "/metrics", promhttp.HandlerFor(s.options.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	handleFunc("/-/healthy", s.healthy)
	handleFunc("/-/ready", s.whenReady(ready))
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		handle(method, "/-/reload", http.HandlerFunc(s.reload))
	}
	if s.options.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// apis are the paths of Prometheus's API that are answered, below /api/v1/.
func (s *Server) apis() map[string]apiFunc {
	return map[string]apiFunc{
		"targets": targetsAPI, "explain": explainAPI, "targets/metadata": metadataAPI, "targets/relabel_steps": stepsAPI,
		"scrape_pools": poolsAPI, "scrape_pools/config": poolConfigAPI,
		"status/config": configAPI, "status/flags": s.flagsAPI, "status/buildinfo": s.buildAPI, "status/runtimeinfo": s.runtimeAPI,
	}
}

func (s *Server) whenReady(h func(http.ResponseWriter, *http.Request, *Sources)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		src := s.sources.Load()
		if src == nil {
			say(w, http.StatusServiceUnavailable, "promrelay is starting.")
			return
		}
		h(w, r, src)
	}
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if !s.options.Lifecycle {
		say(w, http.StatusForbidden, "Reloading is not enabled: start promrelay with --web.enable-lifecycle.")
		return
	}
	s.whenReady(func(w http.ResponseWriter, _ *http.Request, src *Sources) {
		if err := src.Reload(); err != nil {
			say(w, http.StatusInternalServerError, "the configuration stays as it was: "+err.Error())
			return
		}
		say(w, http.StatusOK, "The configuration was loaded.")
	})(w, r)
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}
