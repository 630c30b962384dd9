package informers

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"promrelay/informers/guard"
	"promrelay/targets"
)

// metrics are those of discovery.
type metrics struct {
	reads    *prometheus.CounterVec // of Secrets and ConfigMaps
	builds   *prometheus.CounterVec
	monitors *prometheus.GaugeVec
	work     prometheus.Histogram
	panics   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		reads: f.NewCounterVec(prometheus.CounterOpts{
			Name: "promrelay_references_reads_total", Help: "Reads of Secrets and ConfigMaps that monitors name, by result.",
		}, []string{"result"}),
		builds: f.NewCounterVec(prometheus.CounterOpts{
			Name: "promrelay_discovery_groups_total", Help: "Target groups made of objects, by role.",
		}, []string{"role"}),
		monitors: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "promrelay_monitors", Help: "Monitors, by kind and state.",
		}, []string{"kind", "state"}),
		work: f.NewHistogram(prometheus.HistogramOpts{
			Name: "promrelay_discovery_batch_duration_seconds", Help: "How long it took to make targets of a batch of changes.",
			NativeHistogramBucketFactor: 1.1, Buckets: []float64{.001, .01, .1, 1, 10},
		}),
	}
	m.panics = f.NewCounterVec(prometheus.CounterOpts{
		Name: "promrelay_discovery_panics_total", Help: "Panics that were caught, by the part of discovery that each of them cost.",
	}, []string{"part"})
	for _, part := range guard.Parts {
		m.panics.WithLabelValues(string(part))
	}
	for _, result := range []string{"ok", "forbidden", "error"} {
		m.reads.WithLabelValues(result)
	}
	for _, kind := range targets.Kinds {
		for _, state := range []targets.State{targets.Accepted, targets.Pending, targets.Rejected, targets.Unselected} {
			m.monitors.WithLabelValues(string(kind), string(state))
		}
	}
	return m
}

// register makes the metric that is read from the watches.
func (d *Discovery) register(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "promrelay_discovery_unheard_resources", Help: "Kinds of objects whose changes do not arrive: the API server does not answer, or refuses the watch.",
	}, func() float64 {
		n := 0
		for _, w := range d.watched {
			if w.unheard() {
				n++
			}
		}
		return float64(n)
	})
}

func (m *metrics) read(err error) {
	result := "ok"
	switch {
	case apierrors.IsForbidden(err):
		result = "forbidden"
	case err != nil:
		result = "error"
	}
	m.reads.WithLabelValues(result).Inc()
}
