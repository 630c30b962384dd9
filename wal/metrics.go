package wal

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	segments        prometheus.Gauge
	bytes           prometheus.Gauge
	maxBytes        prometheus.Gauge
	headSegment     prometheus.Gauge
	unknown         prometheus.Gauge
	appendedFrames  prometheus.Counter
	appendedBytes   prometheus.Counter
	fsyncSeconds    prometheus.Histogram
	fsyncFailures   prometheus.Counter
	writeFailures   prometheus.Counter
	corruptions     prometheus.Counter
	deleted         *prometheus.CounterVec // by reason
	lost            *prometheus.CounterVec // by destination and reason
	removed         prometheus.Counter
	renewed         prometheus.Counter
	damagedPosition prometheus.Counter
	unsavedPosition prometheus.Counter
}

// newMetrics registers with reg unless it is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "promrelay_wal_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "promrelay_wal_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promrelay_wal_" + name, Help: help}, labels)
	}
	m := &metrics{
		segments:       gauge("segments", "Segments on disk."),
		bytes:          gauge("bytes", "Bytes of segments on disk."),
		maxBytes:       gauge("max_bytes", "Bytes that segments may take on disk, by wal.max_bytes."),
		headSegment:    gauge("head_segment", "Number of the segment being written."),
		unknown:        gauge("unknown_segments", "Segments kept aside: their version is not known, nothing in them is sound, or they cannot be opened."),
		appendedFrames: counter("appended_frames_total", "Frames appended."),
		appendedBytes:  counter("appended_bytes_total", "Bytes of frames appended."),
		fsyncSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "promrelay_wal_fsync_duration_seconds",
			Help:    "Duration of fsync of segments.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		fsyncFailures: counter("fsync_failures_total", "Segments given up because fsync failed."),
		writeFailures: counter("write_failures_total", "Writes to segments, and attempts to open one, that failed."),
		corruptions:   counter("corruptions_total", "Damaged places that readers met in segments and skipped."),
		deleted:       counters("deleted_segments_total", "Segments deleted.", "reason"),
		lost: counters("lost_total",
			"Samples that a destination never had because their segment was gone; counted when it has acknowledged what comes behind them.",
			"destination", "reason"),
		removed:         counter("removed_total", "Samples that waited for removed destinations, counted when these are forgotten."),
		renewed:         counter("directory_renewals_total", "Times that the directory was made again because somebody had removed it."),
		damagedPosition: counter("position_damages_total", "Files of acknowledged positions found damaged."),
		unsavedPosition: counter("position_write_failures_total", "Acknowledged positions that could not be saved."),
	}
	for _, reason := range []string{reasonAcknowledged, reasonMaxBytes, reasonMinFree, reasonDiskFull} {
		m.deleted.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(m.segments, m.bytes, m.maxBytes, m.headSegment, m.unknown, m.appendedFrames, m.appendedBytes,
			m.fsyncSeconds, m.fsyncFailures, m.writeFailures, m.corruptions, m.deleted, m.lost,
			m.removed, m.renewed, m.damagedPosition, m.unsavedPosition)
	}
	return m
}

// addDestination shows a destination's losses from zero on.
func (m *metrics) addDestination(label string) {
	for _, reason := range lossReasons {
		m.lost.WithLabelValues(label, reason)
	}
}

func (m *metrics) removeDestination(label string) {
	m.lost.DeletePartialMatch(prometheus.Labels{"destination": label})
}
