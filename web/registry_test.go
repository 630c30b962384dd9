package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// halfCollector gives one metric, and panics before the second.
type halfCollector struct{ first, second *prometheus.Desc }

func (c halfCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.first; ch <- c.second }

func (c halfCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(c.first, prometheus.GaugeValue, 1)
	panic("broken half")
}

// A panic in a collector or in the function of a metric loses only its own metrics. It is logged once, and counted.
func TestPanicInAMetric(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	reg := NewRegistry(zap.New(core))
	words := "broken gauge"
	gauge := func(name string) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: "h"}, func() float64 { panic(words) })
	}
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sound_total", Help: "h"}, []string{"l"})
	counted.WithLabelValues("a").Add(3)
	lasting := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sound_seconds", Help: "h", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1})
	lasting.(prometheus.ExemplarObserver).ObserveWithExemplar(0.5, prometheus.Labels{"trace": "t1"})
	reg.MustRegister(counted, lasting, halfCollector{prometheus.NewDesc("half_first", "h", nil, nil), prometheus.NewDesc("half_second", "h", nil, nil)})
	for _, name := range []string{"broken_a", "broken_b"} {
		if err := reg.Register(gauge(name)); err != nil {
			t.Fatal(err)
		}
	}
	_, srv := newServer(t, func(o *Options) { o.Logger, o.Registerer, o.Gatherer = zap.New(core), reg, reg })
	const readings = 3
	for range readings {
		status, body := ask(t, "GET", srv.URL+"/metrics")
		if status != http.StatusOK || strings.Contains(body, "broken_") || strings.Contains(body, "half_second") {
			t.Errorf("got %d %q", status, body)
		}
		for _, want := range []string{`sound_total{l="a"} 3`, `sound_seconds_bucket{le="1"} 1`, "half_first 1", "promrelay_metrics_panics_total "} {
			if !strings.Contains(body, want) {
				t.Errorf("there is no %q in %q", want, body)
			}
		}
	}
	words = "broken otherwise" // a new kind, of both gauges
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); f.GetName() == "sound_seconds" && (h.GetSchema() != 3 || h.GetBucket()[0].GetExemplar() == nil) {
			t.Errorf("the histogram is %v", h)
		}
	}
	var m dto.Metric
	if err := reg.total.Write(&m); err != nil || m.GetCounter().GetValue() != 3*(readings+1) {
		t.Errorf("%v panics are counted, %v", m.GetCounter().GetValue(), err)
	}
	entries := logs.FilterMessage("a metric caused a panic").All()
	if len(entries) != 5 { // of three collectors, of two of them two kinds
		t.Fatalf("the log tells of %d kinds: %v", len(entries), entries)
	}
	of := map[string]string{}
	for _, l := range entries {
		fields := l.ContextMap()
		of[fields["collector"].(string)] += fields["stack"].(string)
	}
	for name, place := range map[string]string{"broken_a": "TestPanicInAMetric", "broken_b": "TestPanicInAMetric", "half_first": "halfCollector"} {
		found := false
		for collector, stack := range of {
			found = found || strings.Contains(collector, `"`+name+`"`) && strings.Contains(stack, place)
		}
		if !found {
			t.Errorf("nothing tells of %s with a stack that has %s: %v", name, place, of)
		}
	}
}

// A collector that is registered twice, or that reports an error, is an error as without the guard. A collector that is
// unregistered is gone.
func TestRegistry(t *testing.T) {
	reg := NewRegistry(nil)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
	reg.MustRegister(gauge)
	if err := reg.Register(gauge); !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
		t.Errorf("registered twice: %v", err)
	}
	if !reg.Unregister(gauge) {
		t.Error("the gauge cannot be taken out")
	}
	if families, err := reg.Gather(); err != nil || len(families) != 1 {
		t.Errorf("got %v, %v", families, err)
	}
	bad := errors.New("bad")
	reg.MustRegister(invalid{prometheus.NewInvalidMetric(prometheus.NewDesc("i", "h", nil, nil), bad)})
	if _, err := reg.Gather(); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("a metric that cannot be read: %v", err)
	}
}

type invalid struct{ prometheus.Metric }

func (i invalid) Describe(ch chan<- *prometheus.Desc) { ch <- i.Desc() }

func (i invalid) Collect(ch chan<- prometheus.Metric) { ch <- i.Metric }
