package main

import (
	"crypto/subtle"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newCheckout serves counters, a gauge and a classic histogram with exemplars, behind basic auth. Each scrape generates traffic for the time
// since the scrape before it.
func newCheckout() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector())
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "checkout_requests_total", Help: "Requests, by answer.",
	}, []string{"method", "code"})
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{Name: "checkout_requests_in_flight", Help: "Requests that are being answered."})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "checkout_request_duration_seconds", Help: "How long requests take.", Buckets: prometheus.DefBuckets,
	}, []string{"method"})
	reg.MustRegister(requests, inFlight, duration)
	t := newTraffic(20, func() {
		method, code := "GET", "200"
		if rand.IntN(3) == 0 {
			method = "POST"
		}
		if rand.IntN(50) == 0 {
			code = "500"
		}
		requests.WithLabelValues(method, code).Inc()
		duration.WithLabelValues(method).(prometheus.ExemplarObserver).ObserveWithExemplar(
			math.Exp(rand.NormFloat64()-3), prometheus.Labels{"trace_id": fmt.Sprintf("%016x", rand.Uint64())})
		inFlight.Set(float64(rand.IntN(8)))
	})
	pages := t.before(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", onlyWith(checkoutUser, checkoutPassword, pages))
	return mux
}

// newWorker serves a native histogram.
func newWorker() http.Handler {
	reg := prometheus.NewRegistry()
	jobs := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "worker_jobs_total", Help: "Jobs done, by result."}, []string{"result"})
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "worker_job_duration_seconds", Help: "How long jobs take.", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	})
	reg.MustRegister(jobs, duration)
	t := newTraffic(5, func() {
		jobs.WithLabelValues([]string{"done", "done", "done", "failed"}[rand.IntN(4)]).Inc()
		duration.(prometheus.ExemplarObserver).ObserveWithExemplar(
			math.Exp(rand.NormFloat64()), prometheus.Labels{"trace_id": fmt.Sprintf("%016x", rand.Uint64())})
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.before(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})))
	return mux
}

// traffic generates events.
type traffic struct {
	perSecond float64
	event     func()

	mu   sync.Mutex
	last time.Time // guarded by mu
}

func newTraffic(perSecond float64, event func()) *traffic {
	return &traffic{perSecond: perSecond, event: event, last: time.Now().Add(-10 * time.Second)}
}

// before generates events before each request.
func (t *traffic) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.mu.Lock()
		now := time.Now()
		for range min(10_000, int(now.Sub(t.last).Seconds()*t.perSecond)) {
			t.event()
		}
		t.last = now
		t.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// onlyWith requires basic auth.
func onlyWith(user, password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(u), []byte(user))&subtle.ConstantTimeCompare([]byte(p), []byte(password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="checkout"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
