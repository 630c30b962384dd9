// Command promrelay relays metrics of a Kubernetes cluster to remote-write receivers: it reads monitors as
// prometheus-operator does, scrapes their targets, keeps the samples in a write-ahead log, and forwards them.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/config"
)

const name = "promrelay"

func main() {
	if err := command(os.Args[1:]); err != nil {
		if errors.Is(err, errFindings) {
			os.Exit(1)
		}
		for _, line := range lines(err) {
			fmt.Fprintf(os.Stderr, "%s: %s\n", name, line)
		}
		os.Exit(1)
	}
}

// lines returns the text of an error: a line for each problem of a configuration, and one line for any other
// error.
func lines(err error) (out []string) {
	file, ok := errors.AsType[*config.FileError](err)
	if !ok {
		return []string{oneLine(err)}
	}
	problems, ok := errors.AsType[config.Problems](file.Err)
	if !ok {
		return []string{oneLine(err)}
	}
	for _, p := range problems.Strings() {
		out = append(out, file.Path+": "+p)
	}
	return out
}

// oneLine is the text of an error in one line.
func oneLine(err error) string {
	var b strings.Builder
	for l := range strings.Lines(strings.TrimSpace(err.Error())) {
		switch text := b.String(); {
		case strings.HasSuffix(text, ":"):
			b.WriteString(" ")
		case text != "":
			b.WriteString("; ")
		}
		b.WriteString(strings.TrimSpace(l))
	}
	return b.String()
}

// subcommand is a command of the program with its flags.
type subcommand struct {
	clause *kingpin.CmdClause
	run    func() error
}

// subcommands make the commands, in the order of --help.
var subcommands = []func(*kingpin.Application) subcommand{
	runCommand,
	checkCommand,
	lintCommand,
	targetsCommand,
	explainCommand,
	tapCommand,
	compareCommand,
	migrateAgentCommand,
	migratePrometheusCommand,
	migrateCategrafCommand,
	versionCommand,
}

const configHelp = "Path to the configuration file: that of a Prometheus, and beside its blocks kubernetes, monitors, nodes, node_mode, annotations, manifests, scrape, wal and relay."

// command runs the command that the arguments name.
func command(args []string) error {
	app := kingpin.New(name, "Relay of ServiceMonitors, PodMonitors, Probes and scrape configurations to Prometheus remote write.")
	app.UsageWriter(os.Stdout)
	addCompletion()
	app.HelpFlag.Short('h')
	app.Version(versionText())
	app.VersionFlag.NoEnvar()
	all := map[string]func() error{}
	for _, add := range subcommands {
		c := add(app)
		all[c.clause.FullCommand()] = c.run
	}
	if err := knownCommand(app.Model(), args); err != nil {
		return err
	}
	flags := flagsOf(app.Model(), args)
	if len(args) > 0 && args[0] != "--completion-bash" {
		args = withDashes(flags, args)
	}
	chosen, err := app.Parse(args)
	if err != nil {
		return badArguments(flags, err)
	}
	return all[chosen]()
}

// knownCommand refuses a first argument that is no command, and suggests the nearest one.
func knownCommand(app *kingpin.ApplicationModel, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return nil
	}
	known := []string{"help"}
	for _, c := range app.Commands {
		known = append(known, c.Name)
	}
	if slices.Contains(known, args[0]) {
		return nil
	}
	return fmt.Errorf("unknown command %q%s", args[0], config.Suggest(args[0], known))
}
