package web

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// maxKinds bounds how many kinds of panics the log tells of.
const maxKinds = 100

// guard makes a panic cost the one answer that it interrupts.
type guard struct {
	panics *prometheus.CounterVec
	log    *zap.Logger

	mu   sync.Mutex
	told map[string]bool // by page and panic; guarded by mu
}

func newGuard(reg prometheus.Registerer, log *zap.Logger) *guard {
	g := &guard{
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_web_panics_total", Help: "Requests of a page that ended in a panic."}, []string{"page"}),
		log:    log, told: map[string]bool{},
	}
	if reg != nil {
		reg.MustRegister(g.panics)
	}
	return g
}

// page guards what answers for a path.
func (g *guard) page(path string, h http.Handler) http.Handler {
	path = strings.TrimSuffix(path, "{$}")
	panics := g.panics.WithLabelValues(path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := &begun{ResponseWriter: w}
		defer func() {
			v := recover()
			switch {
			case v == nil:
				return
			case v == http.ErrAbortHandler: //nolint:errorlint // it is panicked with as it is
				panic(v)
			}
			panics.Inc()
			g.tell(path, v)
			if begun.yes {
				panic(http.ErrAbortHandler) // so that nobody takes half of an answer for a whole one
			}
			clear(w.Header())
			say(w, http.StatusInternalServerError, "This page could not be made, for a fault in promrelay: "+fmt.Sprint(v)+". The log has the details; please report it.")
		}()
		h.ServeHTTP(begun, r)
	})
}

// tell logs the first panic of a kind.
func (g *guard) tell(path string, v any) {
	key := path + " " + fmt.Sprint(v)
	g.mu.Lock()
	old := g.told[key] || len(g.told) >= maxKinds
	if !old {
		g.told[key] = true
	}
	g.mu.Unlock()
	if !old {
		g.log.Error("a page caused a panic", zap.String("page", path), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	}
}

// begun knows whether an answer has begun.
type begun struct {
	http.ResponseWriter
	yes bool
}

func (b *begun) WriteHeader(status int) {
	b.yes = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }
