package relay

import (
	"testing"

	"promrelay/config"
)

// TestMetadata is about remote write 1.0, which sends metadata in separate requests.
func TestMetadata(t *testing.T) {
	w, recv := setup(t)
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "protobuf_message: prometheus.WriteRequest\nmetadata_config: {send_interval: 30ms, max_samples_per_send: 3}\n")}},
		func(r *Relay) { r.pace.metadata = 0 })
	wr := newWriter(t, w, 1, 20)
	wr.scrape()
	wait(t, "metadata", func() bool {
		wr.scrape()
		recv.mu.Lock()
		defer recv.mu.Unlock()
		return len(recv.metadata) == 7
	})
	r.drain(t)
	if got := recv.metadata["metric_3"]; got != "COUNTER Help. seconds" {
		t.Errorf("metadata of metric_3: %q", got)
	}
	if n, twice := recv.count(); n != wr.samples || twice != 0 {
		t.Errorf("%d of %d samples arrived, %d twice", n, wr.samples, twice)
	}
}
