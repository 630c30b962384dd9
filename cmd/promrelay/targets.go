package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
)

// targetsOptions are the flags of targets.
type targetsOptions struct {
	ConfigFile, Manifests, Output string
	FailOn                        []string // names of failures; one string may hold several with commas
	Node                          nodeName
}

func targetsCommand(app *kingpin.Application) subcommand {
	c := app.Command("targets", "List the targets that a cluster with the objects of a directory of manifests would have.")
	var o targetsOptions
	c.Flag("manifests", "Directory of YAML and JSON files with monitors, Services, EndpointSlices, Pods and so on.").Required().StringVar(&o.Manifests)
	c.Flag("config.file", "Configuration file, for its monitors, nodes and scrape_configs. Without one, all monitors are selected.").StringVar(&o.ConfigFile)
	c.Flag("output", "Format of the list: "+strings.Join(outputs, ", ")+".").Default("text").HintOptions(outputs...).StringVar(&o.Output)
	c.Flag("fail-on", "Exit with 1 for these: "+failOnHelp()+" Repeatable, or separated by commas.").HintOptions(failNames()...).StringsVar(&o.FailOn)
	o.Node.flag(c)
	return subcommand{c, func() error { return listTargets(os.Stdout, o) }}
}

// outputs are what --output may be.
var outputs = []string{"text", "json"}

// listTargets writes which targets the relay would scrape in a cluster with the objects of a directory, and why others are dropped.
func listTargets(out io.Writer, o targetsOptions) error {
	if !slices.Contains(outputs, o.Output) {
		return fmt.Errorf("--output=%s: want %s", o.Output, strings.Join(outputs, " or "))
	}
	if err := o.Node.check(); err != nil {
		return err
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
	d, err := informers.New(informers.Options{Backend: m, Offline: true, Node: o.Node.Name})
	if err != nil {
		return err
	}
	if err := d.Apply(c); err != nil {
		return err
	}
	r, err := settledReport(d)
	if err != nil {
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

// settledReport runs discovery until it has found all targets, and returns its report.
func settledReport(d *informers.Discovery) (r report, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	err = d.Settle(ctx, func() { r = newReport(d) })
	return r, err
}

// load reads the configuration. The directory replaces the cluster.
func (o targetsOptions) load() (*config.Config, error) {
	if o.ConfigFile == "" {
		return config.Load([]byte("monitors: {}\n"), "")
	}
	return load(o.ConfigFile)
}
