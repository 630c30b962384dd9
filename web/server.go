// Package web shows what the relay does: /targets for people, /api/v1/targets as Prometheus gives it, /metrics, and health.
//
// Promises: a request sees one moment of each part, and does not hold up discovery, scrapes or delivery for longer than it takes
// to copy that. No credentials are shown. A page that panics costs that answer alone. The first look needs no scripts. Not promised:
// that two parts are seen at the same moment.
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
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"promrelay/informers"
	"promrelay/relay"
	"promrelay/scrape"
)

// Monitors is what is known of discovery. None of the methods blocks for long; what they return is the caller's.
type Monitors interface {
	Monitors() []informers.MonitorStatus
	// Off tells of resources that are wanted and not watched, and why.
	Off() map[string]string
}

// Targets is what is known of scraping.
type Targets interface {
	// Statuses are those of one job's targets, in no order.
	Statuses(job string) []scrape.Status
}

// Destinations is what is known of delivery.
type Destinations interface {
	Statuses() []relay.Status
}

// Options are what a Server needs.
type Options struct {
	// Flags name addresses, sockets and the file for TLS and authentication, as exporter-toolkit has them.
	Flags *toolkit.FlagConfig
	// Lifecycle lets POST /-/reload reload the configuration.
	Lifecycle bool
	// Pprof serves /debug/pprof.
	Pprof      bool
	Version    string
	Gatherer   prometheus.Gatherer
	Registerer prometheus.Registerer // of the server's own metrics; nil means none
	Logger     *zap.Logger           // nil means none
}

// Server answers HTTP requests.
type Server struct {
	options   Options
	listeners []net.Listener
	sources   atomic.Pointer[Sources]
	guard     *guard
	log       *zap.Logger
}

// Sources are what the pages tell of.
type Sources struct {
	Monitors     Monitors
	Targets      Targets
	Destinations Destinations
	// Problems are errors of manifests; nil where there are none to read.
	Problems func() []string
	// Working tells why /-/ready is to refuse, or nil; a nil one never does.
	Working func() error
	// FirstLists tells why /-/ready is to wait for the first lists of objects, and else what it is ready with; a nil one waits for nothing.
	FirstLists func() (remark string, err error)
	// Known tells whether all objects were read once, so that there are no monitors where none is told; nil for always.
	Known func() bool
	// Turned tells when each loop that must advance turned last, by its name; nil where there is none. A time may lie ahead: until then
	// the loop waits on purpose.
	Turned func() map[string]time.Time
	// Reload reads the configuration file again. It is called only with Options.Lifecycle.
	Reload func() error
	// Refused is the version of the configuration file that is not in force, nil if it is; a nil function says that it always is.
	Refused func() *Refused
}

// New checks the file for TLS and authentication, and takes the addresses, so that one that is in use is known at once.
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
	s := &Server{options: o, log: o.Logger.Named("web")}
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

// Close gives back the addresses of a Server that does not Run.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Ready gives the pages what they show. Until then they answer that the relay is starting.
func (s *Server) Ready(src Sources) { s.sources.Store(&src) }

// lingerFor is how long requests under way may take when the server ends. Connections without a request, which browsers keep ready, cost
// as much.
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
	// A request that does not end is cut off.
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
	handleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "targets", http.StatusFound) })
	handle(http.MethodGet, "/targets", gzhttp.GzipHandler(s.whenReady(s.targetsPage)))
	handle(http.MethodGet, "/page.css", gzhttp.GzipHandler(file("page.css", "text/css; charset=utf-8")))
	handle(http.MethodGet, "/page.js", gzhttp.GzipHandler(file("page.js", "text/javascript; charset=utf-8")))
	handle(http.MethodGet, "/api/v1/targets", gzhttp.GzipHandler(s.whenReady(targetsAPI)))
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
