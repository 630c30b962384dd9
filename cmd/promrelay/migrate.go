package main

import (
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/config"
	"promrelay/informers"
)

// migrateClause is the command above those that make a configuration from another program's. The first that asks makes it.
func migrateClause(app *kingpin.Application) *kingpin.CmdClause {
	if c := app.GetCommand("migrate"); c != nil {
		return c
	}
	return app.Command("migrate", "Make a configuration from that of another program. The configuration goes to standard output, a report to standard error.")
}

// migration is what a migration gives.
type migration struct {
	config []byte
	report func(io.Writer)
}

// write writes the configuration to a file, or to out if the file has no name, and the report to report. Its error says what is wrong with
// the configuration, which is written in any case: a person can mend it more easily than the source.
func (m migration) write(out, report io.Writer, file string) error {
	if file == "" {
		if _, err := out.Write(m.config); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
	} else if err := os.WriteFile(file, m.config, 0o600); err != nil { // it may hold secrets, as its source did
		return fmt.Errorf("--output: %w", err)
	}
	m.report(report)
	c, err := config.Load(m.config, "")
	if err == nil {
		err = informers.Check(c)
	}
	return wrapped(err, file)
}

// wrapped names the file that problems are about.
func wrapped(err error, file string) error {
	if err == nil {
		return nil
	}
	if file == "" {
		file = "the configuration"
	}
	return &config.FileError{Path: file, Err: err}
}
