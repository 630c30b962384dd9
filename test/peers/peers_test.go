package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/goleak"

	"promrelay/test/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestReceivers writes to each receiver, ends it, starts it again and reads everything back.
func TestReceivers(t *testing.T) {
	for name, start := range map[string]func(context.Context, Options) (*Receiver, error){
		"prometheus": StartPrometheus, "victoriametrics": StartVictoriaMetrics,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := start(t.Context(), Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Kill)
			now := time.Now().UnixMilli()
			points := []Point{{Time: now - 2000, Value: 0.1 + 0.2}, {Time: now - 1500, Value: 5e-324}, {Time: now - 1001, Value: math.Inf(1)}, {Time: now - 1, Value: -3}}
			if name == "victoriametrics" {
				points[1].Value = 1.5 // it keeps 15 digits or so
				points[0].Value = 0.3
			}
			write(t, r, points)

			one, err := r.Query(t.Context(), `peer_value * 2`)
			if err != nil || len(one) != 1 || one[0].Value != -6 || one[0].Labels["job"] != "x" {
				t.Errorf("query: have %+v, %v", one, err)
			}
			if two, err := r.Query(t.Context(), `absent_series`); err != nil || len(two) != 0 {
				t.Errorf("query of nothing: have %+v, %v", two, err)
			}
			if _, err := r.Query(t.Context(), `sum(`); err == nil || !strings.Contains(err.Error(), "parse") {
				t.Errorf("query with a mistake: have %v", err)
			}
			if name == "victoriametrics" {
				if err := r.Stop(); err != nil { // Kill loses what it has in memory
					t.Fatal(err)
				}
			}
			r.Kill()
			if _, err := r.Query(t.Context(), `up`); err == nil {
				t.Error("a receiver that has ended answers")
			}
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []Series{{Labels: map[string]string{"__name__": "peer_value", "job": "x"}, Points: points}}
			have, err := r.Select(t.Context(), `peer_value`, time.UnixMilli(points[0].Time), time.UnixMilli(now))
			if err != nil || !reflect.DeepEqual(have, want) {
				t.Errorf("select: have %+v, %v, want %+v", have, err, want)
			}
			have, err = r.Select(t.Context(), `peer_value`, time.UnixMilli(points[1].Time), time.UnixMilli(points[2].Time))
			want[0].Points = points[1:3]
			if err != nil || !reflect.DeepEqual(have, want) {
				t.Errorf("select of two: have %+v, %v, want %+v", have, err, want)
			}
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// write sends points in one remote-write 1.0 request, and one staleness marker of another series.
func write(t *testing.T, r *Receiver, points []Point) {
	t.Helper()
	labels := func(name string) []prompb.Label {
		return []prompb.Label{{Name: "__name__", Value: name}, {Name: "job", Value: "x"}}
	}
	var samples []prompb.Sample
	for _, p := range points {
		samples = append(samples, prompb.Sample{Timestamp: p.Time, Value: p.Value})
	}
	stale := []prompb.Sample{{Timestamp: points[0].Time, Value: math.Float64frombits(value.StaleNaN)}}
	body, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		{Labels: labels("peer_value"), Samples: samples}, {Labels: labels("peer_stale"), Samples: stale},
	}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.WriteURL(), bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Content-Type", "application/x-protobuf")
	if _, err := do(req); err != nil {
		t.Fatal(err)
	}
	if r.kind == victoriaMetrics {
		all, err := r.Select(t.Context(), `{job="x",__name__="peer_stale"}`, time.UnixMilli(points[0].Time), time.Now())
		if err != nil || len(all) != 1 || len(all[0].Points) != 1 || !math.IsNaN(all[0].Points[0].Value) {
			t.Errorf("staleness marker: have %+v, %v", all, err)
		}
	}
}

// TestPrometheusScrapes has Prometheus scrape a node_exporter: an exporter, and a configuration of one's own.
func TestPrometheusScrapes(t *testing.T) {
	exporter, err := StartNodeExporter(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(exporter.Kill)
	r, err := StartPrometheus(t.Context(), Options{Dir: t.TempDir(), Config: fmt.Sprintf(
		"global: {scrape_interval: 1s}\nscrape_configs: [{job_name: node, static_configs: [{targets: ['%s']}]}]\n", exporter.Address())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Kill)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = process.WaitFor(ctx, "a scrape", func() error {
		up, err := r.Query(ctx, `up{job="node"} == 1 and on(instance) node_cpu_seconds_total{mode="idle",cpu="0"}`)
		if err == nil && len(up) != 1 {
			err = fmt.Errorf("have %v", up)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := errors.Join(r.Stop(), exporter.Stop()); err != nil {
		t.Error(err)
	}
}

// TestStartErrors looks at what a person is told of a program that does not start.
func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "refuses")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no such flag >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := StartRelay(t.Context(), RelayOptions{Dir: dir, Binary: script, Config: "global: {}\n"})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("have %v", err)
	}
	if _, err := StartPrometheus(t.Context(), Options{}); err == nil {
		t.Error("a server without a directory starts")
	}
}
