package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/config/categraf"
)

// migrateCategrafOptions are the flags of migrate categraf.
type migrateCategrafOptions struct {
	Dir, Labels, Output, Report string
}

func migrateCategrafCommand(app *kingpin.Application) subcommand {
	c := migrateClause(app).Command("categraf", "Make a configuration from the files of categraf."+examples("migrate categraf ./categraf --output=promrelay.yml", "migrate categraf ./categraf --labels=kube-prometheus --report=json"))
	var o migrateCategrafOptions
	c.Arg("directory", "Directory with categraf's files: config.toml, prometheus.toml, input.*/*.toml, scrape files, or manifests of ConfigMaps with them.").Required().StringVar(&o.Dir)
	c.Flag("labels", "Labels of the plugins' series: same (as categraf has them), or kube-prometheus (those of its dashboards).").Default(string(categraf.Same)).EnumVar(&o.Labels, string(categraf.Same), string(categraf.KubePrometheus))
	c.Flag("output", "File for the configuration. (default standard output)").StringVar(&o.Output)
	c.Flag("report", "Form of the report: text or json.").Default("text").EnumVar(&o.Report, "text", "json")
	return subcommand{c, func() error { return migrateCategraf(os.Stdout, os.Stderr, o) }}
}

// migrateCategraf writes the configuration that categraf's files become, and a report.
func migrateCategraf(out, report io.Writer, o migrateCategrafOptions) error {
	if info, err := os.Stat(o.Dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is no directory: want the one with categraf's files", o.Dir)
	}
	result, err := categraf.Migrate(os.DirFS(o.Dir), categraf.Labels(o.Labels))
	if err != nil {
		return fmt.Errorf("%s: %w", o.Dir, err)
	}
	for i, f := range result.Report.Findings {
		result.Report.Findings[i].File = filepath.Join(o.Dir, f.File)
	}
	m := migration{config: result.Config, report: result.Report.Write}
	if o.Report == "json" {
		m.report = func(w io.Writer) { _ = result.Report.WriteJSON(w) } // standard error is closed
	}
	return m.write(out, report, o.Output)
}
