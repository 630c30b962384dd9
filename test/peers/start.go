package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// StartPrometheus starts a Prometheus as a receiver of remote write 1.0 and 2.0. It scrapes nothing unless Options.Config
// says so, keeps exemplars, and refuses samples that are out of order.
func StartPrometheus(ctx context.Context, o Options) (*Receiver, error) {
	if err := o.complete(ctx, Prometheus); err != nil {
		return nil, err
	}
	cfg := filepath.Join(o.Dir, "prometheus.yml")
	if err := os.WriteFile(cfg, []byte(o.Config), 0o644); err != nil {
		return nil, fmt.Errorf("start prometheus: %w", err)
	}
	s, err := newServer(ctx, o, "/-/ready",
		"--config.file="+cfg,
		"--web.listen-address="+o.Address,
		"--web.enable-remote-write-receiver",
		"--web.enable-lifecycle",
		"--storage.tsdb.path="+filepath.Join(o.Dir, "data"),
		"--query.max-samples=500000000", // Select reads everything that a test wrote
		"--enable-feature=exemplar-storage",
	)
	if err != nil {
		return nil, err
	}
	return &Receiver{Server: s, kind: prometheus}, nil
}

// StartVictoriaMetrics starts a VictoriaMetrics as a receiver of remote write 1.0. It keeps duplicates, and shows
// samples as soon as it has them. What it was sent in the last seconds is in its memory alone: Kill loses that.
func StartVictoriaMetrics(ctx context.Context, o Options) (*Receiver, error) {
	if err := o.complete(ctx, VictoriaMetrics); err != nil {
		return nil, err
	}
	s, err := newServer(ctx, o, "/health",
		"-httpListenAddr="+o.Address,
		"-storageDataPath="+filepath.Join(o.Dir, "data"),
		"-retentionPeriod=1y",
		"-inmemoryDataFlushInterval=1s",
		"-search.latencyOffset=0s",
		"-search.disableCache",
	)
	if err != nil {
		return nil, err
	}
	return &Receiver{Server: s, kind: victoriaMetrics}, nil
}

// StartNodeExporter starts a node_exporter, which needs no rights beyond the caller's.
func StartNodeExporter(ctx context.Context, o Options) (*Server, error) {
	if err := o.complete(ctx, NodeExporter); err != nil {
		return nil, err
	}
	s, err := newServer(ctx, o, "/", "--web.listen-address="+o.Address)
	if err == nil {
		s.noHandler = true
	}
	return s, err
}
