package relay

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons why a destination does not get samples.
const (
	dropLost       = "lost"                 // damaged in the log, or deleted there
	dropRelabel    = "relabel"              // by write_relabel_configs
	dropRefused    = "refused"              // by the receiver, finally
	dropAside      = "set_aside"            // of a series that is set aside, since the receiver refuses it
	dropTooLarge   = "too_large"            // a sample alone, for the receiver
	dropNotWritten = "not_written"          // as the receiver says, although it answered 2xx
	dropOutOfOrder = "out_of_order_at_most" // the receiver has them, or has newer ones
	dropOld        = "too_old"              // by sample_age_limit
	dropHistogram  = "native_histogram"     // that the destination does not get
	dropVersion    = "version"              // exemplars: 1.0 does not carry them

	// atMost ends a reason where the number is an upper bound: the receiver does not say how many samples it did not store.
	atMost = "_at_most"
)

var (
	dropReasons = []string{
		dropLost, dropRelabel, dropRefused, dropRefused + atMost, dropAside, dropTooLarge, dropNotWritten, dropNotWritten + atMost,
		dropOutOfOrder, dropOld, dropHistogram,
	}
	dropExemplarReasons = []string{dropRefused, dropVersion}
)

type metrics struct {
	undecodable prometheus.Counter

	samples, exemplars, bytes, retries, requests           *prometheus.CounterVec
	dropped, droppedExemplars, unclear, noMetadata, panics *prometheus.CounterVec
	duration                                               *prometheus.HistogramVec
	shards                                                 *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_relay_" + name, Help: help}, append([]string{"destination"}, labels...))
	}
	m := &metrics{
		undecodable:      prometheus.NewCounter(prometheus.CounterOpts{Name: "promrelay_relay_undecodable_records_total", Help: "Records of the log that could not be read, though their bytes are sound."}),
		samples:          vec("sent_samples_total", "Samples and native histograms that the destination took."),
		exemplars:        vec("sent_exemplars_total", "Exemplars in requests that the destination took."),
		bytes:            vec("sent_bytes_total", "Bytes of requests, compressed, repeated ones included."),
		retries:          vec("retries_total", "Requests that had to be sent again."),
		requests:         vec("requests_total", "Requests by the status of the answer; none means that there was no answer.", "status"),
		dropped:          vec("dropped_samples_total", "Samples that the destination does not get. A reason that ends in at_most is an upper bound: some of them may be stored.", "reason"),
		droppedExemplars: vec("dropped_exemplars_total", "Exemplars that the destination does not get while it gets the samples.", "reason"),
		unclear:          vec("unclear_refusals_total", "Requests that the destination refused in part without saying how many samples: they count as sent."),
		noMetadata:       vec("failed_metadata_requests_total", "Requests with metadata alone, of remote write 1.0, that the destination did not take."),
		panics:           vec("panics_total", "Faults of the relay itself, after which the destination began again at its position."),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "promrelay_relay_request_duration_seconds", Help: "Time until a request was answered.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 9),
		}, []string{"destination"}),
		shards: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "promrelay_relay_shards", Help: "Requests that may be under way at a time."}, []string{"destination"}),
	}
	if reg != nil {
		reg.MustRegister(m.undecodable)
		for _, v := range m.vectors() {
			reg.MustRegister(v)
		}
	}
	return m
}

// vector is a family of metrics with the label destination.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

func (m *metrics) vectors() []vector {
	return []vector{m.samples, m.exemplars, m.bytes, m.retries, m.requests, m.dropped, m.droppedExemplars, m.unclear, m.noMetadata, m.panics, m.duration, m.shards}
}

// destinationMetrics are the metrics of one destination.
type destinationMetrics struct {
	samples, exemplars, bytes, retries, unclear, metadataFailures, panics prometheus.Counter
	requests, dropped, droppedExemplars                                   *prometheus.CounterVec
	duration                                                              prometheus.Observer
	shards                                                                prometheus.Gauge
}

func (m *metrics) of(label string) *destinationMetrics {
	curried := prometheus.Labels{"destination": label}
	d := &destinationMetrics{
		samples: m.samples.WithLabelValues(label), exemplars: m.exemplars.WithLabelValues(label), bytes: m.bytes.WithLabelValues(label),
		retries: m.retries.WithLabelValues(label), unclear: m.unclear.WithLabelValues(label), metadataFailures: m.noMetadata.WithLabelValues(label),
		panics:   m.panics.WithLabelValues(label),
		requests: m.requests.MustCurryWith(curried), dropped: m.dropped.MustCurryWith(curried), droppedExemplars: m.droppedExemplars.MustCurryWith(curried),
		duration: m.duration.WithLabelValues(label), shards: m.shards.WithLabelValues(label),
	}
	for _, r := range dropReasons {
		d.dropped.WithLabelValues(r)
	}
	for _, r := range dropExemplarReasons {
		d.droppedExemplars.WithLabelValues(r)
	}
	return d
}

// forget drops the metrics of a removed destination.
func (m *metrics) forget(label string) {
	for _, v := range m.vectors() {
		v.DeletePartialMatch(prometheus.Labels{"destination": label})
	}
}

func (m *destinationMetrics) request(a answer) {
	status := "none"
	if a.status != 0 {
		status = strconv.Itoa(a.status)
	}
	m.requests.WithLabelValues(status).Inc()
}
