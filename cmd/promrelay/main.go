// Command promrelay relays metrics of a Kubernetes cluster to remote-write receivers: it reads monitors as
// prometheus-operator does, scrapes their targets, keeps the samples in a write-ahead log, and forwards them.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	promversion "github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web/kingpinflag"
)

const name = "promrelay"

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

// command does what the arguments say.
func command(args []string) error {
	app := kingpin.New(name, "Relay of ServiceMonitors, PodMonitors, Probes and scrape configurations to Prometheus remote write.")
	app.UsageWriter(os.Stdout)
	app.HelpFlag.Short('h')
	const configHelp = "Path to the configuration file: one of Prometheus, with the blocks kubernetes, monitors, nodes, manifests, wal and relay beside its own."

	runCmd := app.Command("run", "Scrape and relay, until SIGTERM.")
	r := runOptions{Web: toolkit.AddFlags(runCmd, ":9099")}
	runCmd.Flag("config.file", configHelp).Default("promrelay.yml").StringVar(&r.ConfigFile)
	runCmd.Flag("wal.dir", "Directory of the write-ahead log; before wal.dir of the configuration file. (default data/wal)").StringVar(&r.WALDir)
	runCmd.Flag("web.enable-lifecycle", "Let POST /-/reload load the configuration file again.").BoolVar(&r.Lifecycle)
	runCmd.Flag("web.enable-pprof", "Serve /debug/pprof.").BoolVar(&r.Pprof)
	runCmd.Flag("log.level", "Only log messages of this severity or above.").Default("info").EnumVar(&r.LogLevel, "debug", "info", "warn", "error")
	runCmd.Flag("log.format", "Form of log messages.").Default("logfmt").EnumVar(&r.LogFormat, "logfmt", "json")

	checkCmd := app.Command("check", "Check a configuration file, and the files that it names.")
	var checked string
	checkCmd.Flag("config.file", configHelp).Default("promrelay.yml").StringVar(&checked)

	versionCmd := app.Command("version", "Print the version.")

	cmd, err := app.Parse(args)
	if err != nil {
		return fmt.Errorf("%w, try --help", err)
	}
	switch cmd {
	case runCmd.FullCommand():
		return run(r)
	case checkCmd.FullCommand():
		return check(os.Stdout, checked)
	case versionCmd.FullCommand():
		fmt.Println(promversion.Print(name))
	}
	return nil
}
