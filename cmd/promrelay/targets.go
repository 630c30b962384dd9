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
	Cluster                       config.Kubernetes // without a Kubeconfig, there is no cluster
	Relay                         apiClient         // without a URL, there is none
	FailOn                        []string          // names of failures; one string may hold several with commas
	Node                          nodeName
}

func targetsCommand(app *kingpin.Application) subcommand {
	c := app.Command("targets", "List all monitors with their targets, and why others are dropped: those of a running relay, of a cluster, or of a directory of manifests."+
		examples("targets --url=http://localhost:9099", "targets --manifests=deploy/ --fail-on=rejected,empty", "targets --kubeconfig=$HOME/.kube/config --config.file=promrelay.yml --output=json"))
	var o targetsOptions
	c.Flag("manifests", "Directory of YAML and JSON files with monitors, Services, EndpointSlices, Pods and so on.").StringVar(&o.Manifests)
	clusterFlags(c, &o.Cluster, "The list is what a relay would scrape of this cluster.")
	o.Relay.flags(c, "")
	c.Flag("config.file", "Configuration file, for its monitors, nodes and scrape_configs. Without one, all monitors are selected.").StringVar(&o.ConfigFile)
	c.Flag("output", "Format of the list: "+strings.Join(outputs, ", ")+".").Default("text").HintOptions(outputs...).StringVar(&o.Output)
	c.Flag("fail-on", "Exit with 1 for these: "+failOnHelp()+" Repeatable, or separated by commas.").HintOptions(failNames()...).StringsVar(&o.FailOn)
	o.Node.flag(c)
	return subcommand{c, func() error { return listTargets(os.Stdout, o) }}
}

// outputs are what --output may be.
var outputs = []string{"text", "json"}

// listTargets writes which targets there are, or would be, and why others are dropped.
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
	r, err := o.report()
	if err != nil {
		return err
	}
	if o.Output == "text" {
		r.write(out)
		return failed(&r, failOn)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(r), failed(&r, failOn))
}

// report finds the targets at the one place that the flags name.
func (o targetsOptions) report() (r report, err error) {
	if err := o.onePlace(); err != nil {
		return r, err
	}
	if o.Relay.URL != "" {
		return o.Relay.report(context.Background())
	}
	var reportErr error
	problems, err := o.discover(func(d *informers.Discovery) { r, reportErr = newReport(d) })
	r.Problems = append(r.Problems, problems...)
	return r, errors.Join(err, reportErr)
}

// onePlace returns an error unless the flags name one place to ask.
func (o targetsOptions) onePlace() error {
	given := 0
	for _, flag := range []string{o.Relay.URL, o.Manifests, o.Cluster.Kubeconfig} {
		if flag != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("want one of --url, --manifests and --kubeconfig: a running relay, a directory, or a cluster")
	case o.Relay.URL != "" && o.ConfigFile != "":
		return errors.New("--config.file has no use with --url: the running relay has its own")
	}
	return nil
}

// discover finds the targets of the directory or the cluster that the flags name, and calls read with them. It returns the problems of
// the files.
func (o targetsOptions) discover(read func(*informers.Discovery)) (problems []string, err error) {
	c, err := o.load()
	if err != nil {
		return nil, err
	}
	if o.Manifests == "" {
		b, err := readOnlyCluster(o.Cluster)
		if err != nil {
			return nil, err
		}
		return nil, o.settled(c, b, read)
	}
	m, err := manifests.New(o.Manifests, nil)
	if err != nil {
		return nil, err
	}
	return m.Problems(), o.settled(c, m, read)
}

// settled runs discovery until it has found all targets, and calls read.
func (o targetsOptions) settled(c *config.Config, b informers.Backend, read func(*informers.Discovery)) error {
	d, err := informers.New(informers.Options{Backend: b, Offline: true, Node: o.Node.Name})
	if err != nil {
		return err
	}
	if err := d.Apply(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	return d.Settle(ctx, func() { read(d) })
}

// load reads the configuration. The directory or the cluster of the flags replaces its own.
func (o targetsOptions) load() (*config.Config, error) {
	if o.ConfigFile == "" {
		return config.Load([]byte("monitors: {}\n"), "")
	}
	return load(o.ConfigFile)
}
