package web

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// Registry is a prometheus.Registry that survives panics. If a collector or the function of a metric panics, only its own metrics are
// missing in that one reading. With client_golang alone the whole page would be lost: it recovers from panics in Collect, but not in
// Write.
type Registry struct {
	*prometheus.Registry
	panics panics
	total  prometheus.Counter
}

// NewRegistry returns a Registry that holds nothing but the count of its panics. A nil log discards messages.
func NewRegistry(log *zap.Logger) *Registry {
	if log == nil {
		log = zap.NewNop()
	}
	r := &Registry{Registry: prometheus.NewRegistry(), total: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "promrelay_metrics_panics_total", Help: "Panics while metrics were read, each of which cost those of one collector at one reading.",
	})}
	r.panics = panics{log: log.Named("web"), message: "a metric caused a panic", key: "collector", count: func(string) { r.total.Inc() }}
	r.Registry.MustRegister(r.total)
	return r
}

// Register implements prometheus.Registerer.
func (r *Registry) Register(c prometheus.Collector) error {
	return r.Registry.Register(guardedCollector{c, r})
}

// MustRegister implements prometheus.Registerer.
func (r *Registry) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		r.Registry.MustRegister(guardedCollector{c, r})
	}
}

// firstMetric names a collector by the first of its metrics.
func firstMetric(c prometheus.Collector) (first string) {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		c.Describe(descs)
	}()
	for d := range descs {
		if first == "" {
			first = d.String()
		}
	}
	return first
}

// guardedCollector is a collector whose panics are caught.
type guardedCollector struct {
	prometheus.Collector
	of *Registry
}

// Collect implements prometheus.Collector. It keeps the metrics that were collected before a panic.
func (g guardedCollector) Collect(out chan<- prometheus.Metric) {
	collected := make(chan prometheus.Metric)
	go func() {
		defer close(collected)
		g.call(func() { g.Collector.Collect(collected) })
	}()
	for m := range collected {
		if m = g.read(m); m != nil {
			out <- m
		}
	}
}

// read calls Write, and with it the function of a metric that has one. It returns nil after a panic.
func (g guardedCollector) read(m prometheus.Metric) (out prometheus.Metric) {
	g.call(func() {
		r := readMetric{desc: m.Desc()}
		r.err = m.Write(&r.is)
		out = &r
	})
	return out
}

func (g guardedCollector) call(f func()) {
	g.of.panics.call(func() string { return firstMetric(g.Collector) }, f)
}

// readMetric is a metric that was read already.
type readMetric struct {
	desc *prometheus.Desc
	is   dto.Metric
	err  error
}

// Desc implements prometheus.Metric.
func (r *readMetric) Desc() *prometheus.Desc { return r.desc }

// Write implements prometheus.Metric.
func (r *readMetric) Write(out *dto.Metric) error {
	proto.Merge(out, &r.is)
	return r.err
}
