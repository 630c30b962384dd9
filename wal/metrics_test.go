package wal

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func value(c prometheus.Collector) float64 { return testutil.ToFloat64(c) }

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	w := openOn(t, newMemDisk(), func(o *Options) { o.Registerer, o.Grace = reg, -1 })
	defer closeLog(t, w)
	destination(t, w, "main")
	appendNumbered(t, w, 0, 30)
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if value(w.metrics.segments) != float64(len(w.segments)) || value(w.metrics.bytes) != float64(w.size()) || value(w.metrics.maxBytes) != float64(w.opts.MaxBytes) || w.opts.MaxBytes == 0 ||
		value(w.metrics.headSegment) != float64(w.Segment()) {
		t.Errorf("gauges tell %v segments of %v bytes, head %v", value(w.metrics.segments), value(w.metrics.bytes),
			value(w.metrics.headSegment))
	}
	const lost = "promrelay_wal_lost_total"
	if n, err := testutil.GatherAndCount(reg, lost); n != 4 || err != nil {
		t.Errorf("%d series of losses, %v; want 4", n, err)
	}
	if err := w.Keep(nil); err != nil {
		t.Fatal(err)
	}
	if n, err := testutil.GatherAndCount(reg, lost); n != 0 || err != nil {
		t.Errorf("%d series of losses, %v, of a forgotten destination", n, err)
	}
}
