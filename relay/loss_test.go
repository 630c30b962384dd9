package relay

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"promrelay/config"
	"promrelay/wal"
)

// sumOf adds up the series of a counter.
func sumOf(t *testing.T, reg prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestLostIsWhatNeverArrived lets a bound delete segments during an outage: what the relay still has in memory arrives
// and is not counted as lost, and what it has not is counted to the sample.
func TestLostIsWhatNeverArrived(t *testing.T) {
	for name, tt := range map[string]struct {
		feed int // bytes that the feed holds
		lost bool
	}{
		"all in memory": {feedBytes, false},
		"not all":       {32 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			w, err := wal.Open(wal.Options{Dir: t.TempDir(), MaxBytes: 128 << 10, MinFreeBytes: -1, Logger: zaptest.NewLogger(t), Registerer: reg})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeWAL(t, w) })
			recv := newReceiver(t)
			var well atomic.Bool
			recv.answer = func(int, http.ResponseWriter, []string) int {
				if well.Load() {
					return 0
				}
				return http.StatusServiceUnavailable
			}
			r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "protobuf_message: io.prometheus.write.v2.Request\n")}},
				func(r *Relay) { r.feed.limit = tt.feed })
			wr := newWriter(t, w, 2, 50)
			for i := range uint64(600) {
				wr.scrape()
				wait(t, "the feed to have read it", func() bool { return r.feed.end() >= 2*(i+1) })
			}
			if sumOf(t, reg, "promrelay_wal_deleted_segments_total") == 0 {
				t.Fatal("no segment was deleted")
			}
			well.Store(true)
			r.drain(t)
			n, _ := recv.count()
			lost := sumOf(t, reg, "promrelay_wal_lost_total")
			if float64(wr.samples-n) != lost || (lost > 0) != tt.lost {
				t.Errorf("%d of %d samples arrived, %v are counted as lost", n, wr.samples, lost)
			}
		})
	}
}
