package scrape

import (
	"github.com/prometheus/client_golang/prometheus"

	"promrelay/scrape/order"
)

// The reasons for which samples are dropped before they reach the log.
const (
	dropLate     = "out_of_order"
	dropRepeated = "repeated" // its series has a sample of the same time; usual with cadvisor
	dropTwice    = "duplicate"
	dropFuture   = "out_of_bounds"
	dropLog      = "log_error"
	dropClock    = "clock" // its series has newer ones, from before the clock went back
)

// The directions in which the clock was set.
const (
	clockAhead = "ahead"
	clockBack  = "back"
)

// metrics are the metrics of scraping.
type metrics struct {
	targets     prometheus.Gauge
	scrapes     *prometheus.CounterVec
	duration    prometheus.Histogram
	late        prometheus.Histogram
	samples     prometheus.Counter
	dropped     *prometheus.CounterVec
	limited     *prometheus.CounterVec
	clockSteps  *prometheus.CounterVec
	panics      prometheus.Counter
	bytes       prometheus.Counter
	parsedLines prometheus.Counter
	walkedLines prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, guard *order.Guard) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "promrelay_scrape_" + name, Help: help})
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_scrape_" + name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	m := &metrics{
		targets:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "promrelay_scrape_targets", Help: "Targets that are scraped."}),
		scrapes:     vec("scrapes_total", "Scrapes, by whether the target was up.", "health", "up", "down"),
		duration:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "promrelay_scrape_duration_seconds", Help: "Time from the start of a scrape to its end in the log.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}),
		late:        prometheus.NewHistogram(prometheus.HistogramOpts{Name: "promrelay_scrape_start_delay_seconds", Help: "How much later than planned scrapes began.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}),
		samples:     counter("samples_total", "Samples given to the log, staleness markers and report series included."),
		dropped:     vec("dropped_samples_total", "Samples not given to the log, though relabelling left them.", "reason", dropLate, dropRepeated, dropTwice, dropFuture, dropLog, dropClock),
		clockSteps:  vec("clock_steps_total", "How often the clock was found to have been set by more than a second, by where it went.", "direction", clockAhead, clockBack),
		limited:     vec("limited_total", "Scrapes that failed because a limit was exceeded.", "limit", "sample_limit", "native_histogram_bucket_limit", "label_limit", "body_size_limit", "target_limit", "size", "memory_limit"),
		panics:      counter("panics_total", "Panics, defects of promrelay, each of which cost a scrape at most."),
		bytes:       counter("bytes_total", "Bytes of pages read, decompressed."),
		walkedLines: counter("walked_samples_total", "Samples whose line was the expected one and needed no parser."),
		parsedLines: counter("parsed_samples_total", "Samples whose line was parsed in full."),
	}
	if reg != nil {
		reg.MustRegister(m.targets, m.scrapes, m.duration, m.late, m.samples, m.dropped, m.limited, m.clockSteps, m.panics, m.bytes, m.parsedLines, m.walkedLines,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "promrelay_scrape_series", Help: "Series whose order is guarded."}, func() float64 { return float64(guard.Series()) }))
	}
	return m
}
