package main

import (
	"fmt"
	"io"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/relay"
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
	warnings := c.Warnings
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

// settings are what the relay is to do by c.
func settings(c *config.Config) relay.Settings {
	return relay.Settings{Destinations: c.Destinations, ExternalLabels: c.Prometheus.GlobalConfig.ExternalLabels, Relay: c.Relay}
}
