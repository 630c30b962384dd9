package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/targets"
)

// targetsOptions are the flags of targets.
type targetsOptions struct {
	ConfigFile, Manifests, Output string
	FailOn                        []string // names of failures, or several with commas
}

// outputs are what --output may be.
var outputs = []string{"text", "json"}

// settleWithin bounds how long a directory of manifests may take to be worked off.
const settleWithin = time.Minute

// listTargets writes what the relay would scrape of a cluster that has the objects of a directory, and why not what not.
func listTargets(out io.Writer, o targetsOptions) error {
	if !slices.Contains(outputs, o.Output) {
		return fmt.Errorf("--output=%s: want %s", o.Output, strings.Join(outputs, " or "))
	}
	failOn, err := parseFailOn(o.FailOn)
	if err != nil {
		return err
	}
	c, err := o.load()
	if err != nil {
		return err
	}
	m, err := manifests.New(o.Manifests, nil)
	if err != nil {
		return err
	}
	d, err := informers.New(informers.Options{Backend: m, Sink: func([]targets.Change) {}, Offline: true})
	if err != nil {
		return err
	}
	if err := d.Apply(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	for !d.Settled() {
		select {
		case err := <-done:
			return errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	r := newReport(d)
	cancel()
	if err := <-done; err != nil {
		return err
	}
	r.problems = m.Problems()
	if o.Output == "text" {
		r.write(out)
		return failed(r, failOn)
	}
	j, err := r.json()
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(j), failed(r, failOn))
}

// load reads the configuration, for which the directory takes the place of a cluster.
func (o targetsOptions) load() (*config.Config, error) {
	if o.ConfigFile == "" {
		return config.Load([]byte("monitors: {}\n"), "")
	}
	return load(o.ConfigFile)
}
