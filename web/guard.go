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

// kinds remembers which panics the log has told of. The zero value has told of none.
type kinds struct {
	mu   sync.Mutex
	told map[string]bool // guarded by mu
}

// first reports whether the log is to tell of a panic: it is the first of its value in this place.
func (k *kinds) first(place string, value any) bool {
	key := place + " " + fmt.Sprint(value)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.told[key] || len(k.told) >= maxKinds {
		return false
	}
	if k.told == nil {
		k.told = map[string]bool{}
	}
	k.told[key] = true
	return true
}

// guard makes a panic cost the one answer that it interrupts.
type guard struct {
	panics *prometheus.CounterVec
	log    *zap.Logger
	told   kinds // by page
}

func newGuard(reg prometheus.Registerer, log *zap.Logger) *guard {
	g := &guard{
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_web_panics_total", Help: "Requests of a page that ended in a panic."}, []string{"page"}),
		log:    log,
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
	if g.told.first(path, v) {
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
