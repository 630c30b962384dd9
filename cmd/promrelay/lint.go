package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/cmd/promrelay/lint"
	"promrelay/config"
)

// lintOptions are the flags of lint.
type lintOptions struct {
	Paths                                 []string
	ConfigFile, Namespace, Output, FailOn string
	Cluster                               config.Kubernetes // without a Kubeconfig, there is no cluster
}

// severities are what --fail-on of lint may be.
var severities = []string{string(lint.Error), string(lint.Warning), string(lint.Note)}

// errFindings ends the program with 1, after the findings were written.
var errFindings = errors.New("")

func lintCommand(app *kingpin.Application) subcommand {
	c := app.Command("lint", "Check the monitors in files, for example of a pull request, and what they select. Deployments, StatefulSets and other workloads count as "+
		"their Pods. Exits with 1 if there are errors."+examples("lint deploy/", "lint --fail-on=warning --output=github deploy/ charts/", "lint --config.file=promrelay.yml deploy/",
		"lint --kubeconfig=$HOME/.kube/config deploy/", "kustomize build . | promrelay lint -"))
	var o lintOptions
	c.Arg("path", "Directory or file with YAML or JSON; - for the standard input.").Required().StringsVar(&o.Paths)
	c.Flag("config.file", "Configuration file, for its block monitors. Without one, all monitors are selected.").StringVar(&o.ConfigFile)
	c.Flag("namespace", "Namespace of objects that name none, as kubectl has it.").Default("default").StringVar(&o.Namespace)
	c.Flag("output", "Format of the findings: "+strings.Join(lint.Formats, ", ")+".").Default("text").HintOptions(lint.Formats...).StringVar(&o.Output)
	c.Flag("fail-on", "Exit with 1 for findings of this severity or a worse one: "+strings.Join(severities, ", ")+".").Default(string(lint.Error)).HintOptions(severities...).StringVar(&o.FailOn)
	clusterFlags(c, &o.Cluster, "Services, Pods and other objects are those of this cluster, instead of those in the files.")
	return subcommand{c, func() error { return lintFiles(os.Stdout, os.Stdin, o) }}
}

// lintFiles writes what is wrong with the monitors of files.
func lintFiles(out io.Writer, in io.Reader, o lintOptions) error {
	if !slices.Contains(lint.Formats, o.Output) {
		return fmt.Errorf("--output=%s: want one of %s", o.Output, strings.Join(lint.Formats, ", "))
	}
	if !slices.Contains(severities, o.FailOn) {
		return fmt.Errorf("--fail-on=%s: want one of %s", o.FailOn, strings.Join(severities, ", "))
	}
	shown := newProgress(os.Stderr, "file")
	lo := lint.Options{Paths: o.Paths, Input: in, Namespace: o.Namespace, Progress: shown.at}
	if o.ConfigFile != "" {
		c, err := load(o.ConfigFile)
		if err != nil {
			return err
		}
		lo.Config = c
	}
	within := lintWithin
	if o.Cluster.Kubeconfig != "" {
		b, err := readOnlyCluster(o.Cluster)
		if err != nil {
			return err
		}
		lo.Cluster, within = b, settleWithin
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	r, err := lint.Run(ctx, lo)
	shown.end()
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	if err := lint.Write(out, o.Output, r); err != nil {
		return err
	}
	if r.Worst(lint.Severity(o.FailOn)) {
		return errFindings
	}
	return nil
}
