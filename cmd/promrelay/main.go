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
	toolkit "github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"promrelay/config"
)

const name = "promrelay"

func main() {
	if err := command(os.Args[1:]); err != nil {
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

// command runs the command that the arguments name.
func command(args []string) error {
	app := kingpin.New(name, "Relay of ServiceMonitors, PodMonitors, Probes and scrape configurations to Prometheus remote write.")
	app.UsageWriter(os.Stdout)
	app.HelpFlag.Short('h')
	app.Version(versionText())
	app.VersionFlag.NoEnvar()
	const configHelp = "Path to the configuration file: that of a Prometheus, and beside its blocks kubernetes, monitors, nodes, manifests, scrape, wal and relay."

	runCmd := app.Command("run", "Scrape and relay, until SIGTERM.")
	r := runOptions{Web: toolkit.AddFlags(runCmd, ":9099")}
	runCmd.Flag("config.file", configHelp).Default("promrelay.yml").StringVar(&r.ConfigFile)
	runCmd.Flag("config.watch", "Reload the configuration file when it changes. With --no-config.watch only SIGHUP and /-/reload do.").Default("true").BoolVar(&r.Watch)
	runCmd.Flag("wal.dir", "Directory of the write-ahead log; overrides wal.dir of the configuration file. (default data/wal)").StringVar(&r.WALDir)
	runCmd.Flag("web.enable-lifecycle", "Reload the configuration file at POST /-/reload.").BoolVar(&r.Lifecycle)
	runCmd.Flag("web.enable-pprof", "Serve /debug/pprof.").BoolVar(&r.Pprof)
	// No enums: kingpin's error for a wrong value does not name the flag.
	runCmd.Flag("log.level", "Only log messages of this severity or above: "+strings.Join(logLevels, ", ")+".").Default("info").HintOptions(logLevels...).StringVar(&r.LogLevel)
	runCmd.Flag("log.format", "Format of log messages: "+strings.Join(logFormats, ", ")+".").Default("logfmt").HintOptions(logFormats...).StringVar(&r.LogFormat)

	checkCmd := app.Command("check", "Check a configuration file, and the files that it names.")
	var c checkOptions
	checkCmd.Flag("strict", "Treat warnings as errors.").BoolVar(&c.Strict)
	checkCmd.Flag("files", "Check the files, directories and credentials that the configuration names. --no-files is for a configuration of another machine.").Default("true").BoolVar(&c.Files)
	checkCmd.Flag("config.file", configHelp).Default("promrelay.yml").StringVar(&c.ConfigFile)

	targetsCmd := app.Command("targets", "List the targets that a cluster with the objects of a directory of manifests would have.")
	var t targetsOptions
	targetsCmd.Flag("manifests", "Directory of YAML and JSON files with monitors, Services, EndpointSlices, Pods and so on.").Required().StringVar(&t.Manifests)
	targetsCmd.Flag("config.file", "Configuration file, for its monitors, nodes and scrape_configs. Without one, all monitors are selected.").StringVar(&t.ConfigFile)
	targetsCmd.Flag("output", "Format of the list: "+strings.Join(outputs, ", ")+".").Default("text").HintOptions(outputs...).StringVar(&t.Output)
	targetsCmd.Flag("fail-on", "Exit with 1 for these: "+failOnHelp()+" Repeatable, or separated by commas.").HintOptions(failNames()...).StringsVar(&t.FailOn)

	versionCmd := app.Command("version", "Print the version.")

	if err := knownCommand(app.Model(), args); err != nil {
		return err
	}
	cmd, err := app.Parse(args)
	if err != nil {
		return fmt.Errorf("%w, try --help", err)
	}
	switch cmd {
	case runCmd.FullCommand():
		return run(r)
	case checkCmd.FullCommand():
		return check(os.Stdout, c)
	case targetsCmd.FullCommand():
		return listTargets(os.Stdout, t)
	case versionCmd.FullCommand():
		fmt.Println(versionText())
	}
	return nil
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
