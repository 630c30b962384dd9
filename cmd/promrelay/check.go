package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/common/model"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/relay"
	"promrelay/wal"
)

// load reads a configuration and asks the rooms whether they would take it.
func load(path string) (*config.Config, error) {
	c, err := config.LoadFile(path)
	if err != nil {
		return nil, err
	}
	if err := informers.Check(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := relay.Check(settings(c)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Kubernetes == nil && c.Manifests == nil && informers.UsesCluster(c) {
		c.Kubernetes = &config.Kubernetes{}
	}
	return c, nil
}

// check tells of a configuration file what run would, without running.
func check(out io.Writer, path string) error {
	c, err := load(path)
	if err != nil {
		return err
	}
	dir := walDir("", c)
	warnings := append(slices.Clip(c.Warnings), backlogWarnings(dir, c)...)
	volume, err := wal.CheckVolume(dir, int64(c.WAL.MinFreeBytes))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if volume != "" {
		warnings = append(warnings, volume)
	}
	if c.Manifests != nil {
		m, err := informers.NewManifests(c.Manifests.Directory, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		warnings = append(warnings, m.Problems()...)
	}
	for _, w := range warnings {
		fmt.Fprintf(out, "%s: warning: %s\n", path, w)
	}
	fmt.Fprintf(out, "%s: valid, with %d scrape_configs and %d remote_write\n", path, len(c.ScrapeConfigs), len(c.Destinations))
	return nil
}

// backlogWarnings tell of destinations that are not in c any more and for which the log in dir holds samples. Where there
// is no log to read there are none.
func backlogWarnings(dir string, c *config.Config) (warnings []string) {
	backlogs, err := wal.Backlogs(dir)
	if err != nil {
		return nil
	}
	for _, b := range backlogs {
		wanted := slices.ContainsFunc(c.Destinations, func(d config.Destination) bool { return d.ID() == b.ID })
		if !wanted && b.Samples > 0 {
			warnings = append(warnings, fmt.Sprintf("destination removed with samples waiting: %q, for which %s has %d; they are dropped %s after the change, unless it comes back by its old name or URL",
				b.Label, dir, b.Samples, model.Duration(wal.DefaultGrace)))
		}
	}
	return warnings
}

// settings are what the relay is to do by c.
func settings(c *config.Config) relay.Settings {
	return relay.Settings{Destinations: c.Destinations, ExternalLabels: c.Prometheus.GlobalConfig.ExternalLabels, Relay: c.Relay}
}
