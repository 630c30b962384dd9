package relay

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/config"
)

func BenchmarkEncode(b *testing.B) {
	for _, proto := range []string{"protobuf_message: io.prometheus.write.v2.Request\n", "protobuf_message: prometheus.WriteRequest\n"} {
		b.Run(strings.Fields(proto)[1], func(b *testing.B) {
			w := openWAL(b, b.TempDir())
			defer closeWAL(b, w)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
			}))
			defer srv.Close()
			r, err := New(Options{WAL: w})
			if err != nil {
				b.Fatal(err)
			}
			settings := Settings{Destinations: []config.Destination{dest(b, srv.URL, proto)}, ExternalLabels: labels.FromStrings("cluster", "c1")}
			clients, err := r.clients(settings)
			if err != nil {
				b.Fatal(err)
			}
			d, err := r.newDestination(settings, clients[0])
			if err != nil {
				b.Fatal(err)
			}
			wr := newWriter(b, w, 1, 2500)
			wr.scrape()
			reader, err := w.NewReader(w.Tail())
			if err != nil {
				b.Fatal(err)
			}
			defer reader.Close()
			dec := decoder{log: r.log, metrics: r.metrics}
			var blk block
			for blk.table == nil {
				e, _, err := reader.TryNext()
				if err != nil {
					b.Fatal(err)
				}
				dec.decode(e, &blk)
			}
			d.sender.size = newRequestSize(1 << 30)
			d.packer.start(1)
			s := d.packer.shards[0]
			var size, packed int
			for b.Loop() {
				d.packer.encode(context.Background(), &blk)
				if len(s.queue) > 0 {
					b.Fatal("sealed early")
				}
				q := s.batch.seal()
				size, packed = q.size, len(q.payload)
				d.progress.start(1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*2500), "ns/sample")
			b.ReportMetric(float64(size)/2500, "bytes/sample")
			b.ReportMetric(float64(packed)/2500, "packed-bytes/sample")
		})
	}
}
