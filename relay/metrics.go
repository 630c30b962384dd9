package relay

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which a destination does not get samples.
const (
	dropLost      = "lost"             // damaged in the log, or deleted by its bounds
	dropRelabel   = "relabel"          // by write_relabel_configs
	dropRefused   = "refused"          // by the receiver, for good
	dropAside     = "set_aside"        // of a series that the receiver refused lately
	dropOld       = "too_old"          // by sample_age_limit
	dropHistogram = "native_histogram" // which the destination is not to get
)

var dropReasons = []string{dropLost, dropRelabel, dropRefused, dropAside, dropOld, dropHistogram}

type metrics struct {
	undecodable prometheus.Counter

	samples, exemplars, refusedExemplars, bytes, retries, requests, dropped *prometheus.CounterVec
	duration                                                                *prometheus.HistogramVec
	shards                                                                  *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_relay_" + name, Help: help}, append([]string{"destination"}, labels...))
	}
	m := &metrics{
		undecodable:      prometheus.NewCounter(prometheus.CounterOpts{Name: "promrelay_relay_undecodable_records_total", Help: "Records of the log that could not be read, though their bytes are sound."}),
		samples:          vec("sent_samples_total", "Samples and native histograms that the destination took."),
		exemplars:        vec("sent_exemplars_total", "Exemplars in requests that the destination took."),
		refusedExemplars: vec("refused_exemplars_total", "Exemplars that the destination did not take while it took samples of the same request."),
		bytes:            vec("sent_bytes_total", "Bytes of requests, compressed, repeated ones included."),
		retries:          vec("retries_total", "Requests that had to be sent again."),
		requests:         vec("requests_total", "Requests by the status of the answer; none means that there was no answer.", "status"),
		dropped:          vec("dropped_samples_total", "Samples that the destination does not get.", "reason"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "promrelay_relay_request_duration_seconds", Help: "Time until a request was answered.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 9),
		}, []string{"destination"}),
		shards: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "promrelay_relay_shards", Help: "Requests that may be under way at a time."}, []string{"destination"}),
	}
	if reg != nil {
		reg.MustRegister(m.undecodable, m.samples, m.exemplars, m.refusedExemplars, m.bytes, m.retries, m.requests, m.dropped, m.duration, m.shards)
	}
	return m
}

// destinationMetrics are those of one destination.
type destinationMetrics struct {
	samples, exemplars, refusedExemplars, bytes, retries prometheus.Counter
	requests, dropped                                    *prometheus.CounterVec
	duration                                             prometheus.Observer
	shards                                               prometheus.Gauge
}

func (m *metrics) of(label string) *destinationMetrics {
	curried := prometheus.Labels{"destination": label}
	d := &destinationMetrics{
		samples: m.samples.WithLabelValues(label), exemplars: m.exemplars.WithLabelValues(label), refusedExemplars: m.refusedExemplars.WithLabelValues(label), bytes: m.bytes.WithLabelValues(label),
		retries: m.retries.WithLabelValues(label), requests: m.requests.MustCurryWith(curried), dropped: m.dropped.MustCurryWith(curried),
		duration: m.duration.WithLabelValues(label), shards: m.shards.WithLabelValues(label),
	}
	for _, r := range dropReasons {
		d.dropped.WithLabelValues(r)
	}
	return d
}

// forget drops the metrics of a destination that is no more.
func (m *metrics) forget(label string) {
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.samples, m.exemplars, m.refusedExemplars, m.bytes, m.retries, m.requests, m.dropped, m.duration, m.shards} {
		v.DeletePartialMatch(prometheus.Labels{"destination": label})
	}
}

func (m *destinationMetrics) request(v verdict) {
	status := "none"
	if v.status != 0 {
		status = statusText(v.status)
	}
	m.requests.WithLabelValues(status).Inc()
}
