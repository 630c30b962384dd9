package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// guard limits the damage of a panic to the one answer that it interrupts.
type guard struct {
	panics panics
	total  *prometheus.CounterVec
}

func newGuard(reg prometheus.Registerer, log *zap.Logger) *guard {
	g := &guard{total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_web_panics_total", Help: "Requests of a page that ended in a panic."}, []string{"page"})}
	g.panics = panics{log: log, message: "a page caused a panic", key: "page", count: func(page string) { g.total.WithLabelValues(page).Inc() }}
	if reg != nil {
		reg.MustRegister(g.total)
	}
	return g
}

// page guards the handler of a path.
func (g *guard) page(path string, h http.Handler) http.Handler {
	path = strings.TrimSuffix(path, "{$}")
	g.total.WithLabelValues(path) // 0 until it panics
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w}
		value := g.panics.call(func() string { return path }, func() { h.ServeHTTP(a, r) })
		switch {
		case value == nil:
		case value == http.ErrAbortHandler || a.begun: //nolint:errorlint // net/http compares it so, too
			panic(http.ErrAbortHandler) // so that nobody mistakes half of an answer for a complete one
		default:
			clear(w.Header())
			say(w, http.StatusInternalServerError, "This page cannot be shown because of a fault in promrelay: "+fmt.Sprint(value)+". The log has the details; please report it.")
		}
	})
}

// answer knows whether it has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
