package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// RelayOptions say how promrelay is started.
type RelayOptions struct {
	// Dir keeps the configuration, the WAL and the log; it is made if it is not there.
	Dir string
	// Config is the text of the configuration file, which is written into Dir; relative paths in it start there.
	Config string
	// ConfigFile is used as it is where Config is empty.
	ConfigFile string
	// Binary is what is run; empty for what BuildPromrelay makes.
	Binary string
	// Address is where its pages are, host:port; empty for a free port of 127.0.0.1.
	Address string
	// Args are added to "run" and its own.
	Args []string
}

// Relay is a running promrelay.
type Relay struct {
	*Server
	// ConfigFile is the path of its configuration file.
	ConfigFile string
	// WAL is the path of its WAL directory.
	WAL string
}

// StartRelay starts promrelay and waits until it is ready.
func StartRelay(ctx context.Context, r RelayOptions) (*Relay, error) {
	o := Options{Dir: r.Dir, Binary: r.Binary, Address: r.Address, Args: r.Args}
	if err := o.complete(ctx, Promrelay); err != nil {
		return nil, err
	}
	out := &Relay{ConfigFile: r.ConfigFile, WAL: filepath.Join(o.Dir, "wal")}
	if r.Config != "" {
		out.ConfigFile = filepath.Join(o.Dir, "promrelay.yml")
		if err := os.WriteFile(out.ConfigFile, []byte(r.Config), 0o644); err != nil {
			return nil, fmt.Errorf("start promrelay: %w", err)
		}
	}
	s, err := newServer(ctx, o, "/-/ready", "run",
		"--config.file="+out.ConfigFile,
		"--wal.dir="+out.WAL,
		"--web.listen-address="+o.Address,
	)
	if err != nil {
		return nil, err
	}
	out.Server = s
	return out, nil
}

// Targets are the relay's targets, as Prometheus's API tells of them.
type Targets struct {
	Active  []ActiveTarget  `json:"activeTargets"`
	Dropped []DroppedTarget `json:"droppedTargets"`
}

// ActiveTarget is a target that is scraped.
type ActiveTarget struct {
	ScrapePool       string            `json:"scrapePool"`
	ScrapeURL        string            `json:"scrapeUrl"`
	Labels           map[string]string `json:"labels"`
	DiscoveredLabels map[string]string `json:"discoveredLabels"`
	// Health is up, down or unknown.
	Health    string `json:"health"`
	LastError string `json:"lastError"`
}

// DroppedTarget was discovered and is not scraped.
type DroppedTarget struct {
	ScrapePool       string            `json:"scrapePool"`
	DiscoveredLabels map[string]string `json:"discoveredLabels"`
}

// Targets asks the relay for its targets.
func (r *Relay) Targets(ctx context.Context) (Targets, error) {
	var a struct {
		Data Targets `json:"data"`
	}
	err := getJSON(ctx, r.URL()+"/api/v1/targets", &a)
	return a.Data, err
}
