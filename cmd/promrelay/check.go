package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"promrelay/config"
	"promrelay/informers"
	"promrelay/informers/manifests"
	"promrelay/relay"
	"promrelay/wal"
)

// load reads a configuration, and each package checks its part. An error shows no secrets.
func load(path string) (*config.Config, error) { return loadFollowing(path, nil) }

// loadFollowing is load for a file that may follow an object, which gives the block monitors; nil if it is not known.
func loadFollowing(path string, monitors *yaml.Node) (*config.Config, error) {
	c, err := config.LoadFileFollowing(path, monitors)
	if err != nil {
		return nil, err
	}
	if err := informers.Check(c); err != nil {
		return nil, &config.FileError{Path: path, Err: config.Problems{c.Locate(err)}}
	}
	if err := relay.Check(settings(c)); err != nil {
		return nil, &config.FileError{Path: path, Err: config.Problems{c.Locate(err)}}
	}
	if c.Kubernetes == nil && c.Manifests == nil && informers.UsesCluster(c) {
		c.Kubernetes = &config.Kubernetes{}
	}
	return c, nil
}

// checkOptions are the flags of check.
type checkOptions struct {
	ConfigFile string
	Input      io.Reader // for the path -
	Strict     bool      // warnings are errors
	Files      bool      // check the files that the configuration names, on this machine
}

func checkCommand(app *kingpin.Application) subcommand {
	c := app.Command("check", "Check a configuration file, and the files that it names. It may also be in a manifest of a ConfigMap or Secret, by the key "+configName+"."+
		examples("check --config.file=promrelay.yml", "check --strict --no-files --config.file=deploy/configmap.yaml", "helm template . | promrelay check --config.file=-"))
	o := checkOptions{Input: os.Stdin}
	c.Flag("strict", "Treat warnings as errors.").BoolVar(&o.Strict)
	c.Flag("files", "Check the files, directories and credentials that the configuration names. --no-files is for a configuration of another machine.").Default("true").BoolVar(&o.Files)
	c.Flag("config.file", "Path to the configuration file, to a manifest of a ConfigMap or Secret that holds it, or to a directory of either; - for the standard input.").
		Default(configName).StringVar(&o.ConfigFile)
	return subcommand{c, func() error { return check(os.Stdout, o) }}
}

// check reports what run would report about a configuration file, without running. Mistakes and warnings are in the order of lines. If
// there are mistakes, the error holds all of them.
func check(out io.Writer, o checkOptions) error {
	file, err := findConfig(o.ConfigFile, o.Input)
	if err != nil {
		return err
	}
	o.ConfigFile, o.Files = file.path, o.Files && !file.manifest
	c, err := config.LoadText(file.path, file.text)
	found, err := o.examine(c, err)
	if err != nil {
		return err
	}
	if o.Strict {
		for i, p := range found {
			if p.Weight == config.Warning {
				found[i].Weight = config.Mistake
			}
		}
	}
	found = found.Sorted()
	if slices.ContainsFunc(found, func(p config.Problem) bool { return p.Weight == config.Mistake }) {
		return &config.FileError{Path: o.ConfigFile, Err: found}
	}
	for _, p := range found.Strings() {
		fmt.Fprintf(out, "%s: %s\n", o.ConfigFile, p)
	}
	fmt.Fprintf(out, "%s: valid, with %d scrape_configs and %d remote_write; monitors %s, nodes %s, %s\n",
		o.ConfigFile, len(c.ScrapeConfigs), len(c.Destinations), onOff(c.Monitors != nil), onOff(c.Nodes != nil), objectsFrom(c))
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// objectsFrom says where objects are read from.
func objectsFrom(c *config.Config) string {
	switch {
	case c.Manifests != nil:
		return "objects from manifests"
	case c.Kubernetes != nil || informers.UsesCluster(c):
		return "objects from a cluster"
	}
	return "no cluster"
}

// examine returns the mistakes, warnings and notes of a configuration, also if loading refused it with err. It returns any other err.
func (o checkOptions) examine(c *config.Config, err error) (config.Problems, error) {
	if err == nil {
		mistakes, warnings := examine(c, o.Files)
		return slices.Concat(mistakes, warnings.Weighing(config.Warning), c.Notes().Weighing(config.Note)), nil
	}
	file, ok := errors.AsType[*config.FileError](err)
	if !ok {
		return nil, err
	}
	mistakes, ok := errors.AsType[config.Problems](file.Err)
	if !ok {
		return nil, err
	}
	return slices.Concat(mistakes, file.Examine(o.Files).Weighing(config.Warning)), nil
}

// examine makes each package check a configuration that is valid by itself. Something that is missing but may exist on another machine is a
// warning, or is ignored if files is false.
func examine(c *config.Config, files bool) (mistakes, warnings config.Problems) {
	warnings = c.Examine(files)
	if err := informers.Check(c); err != nil {
		mistakes = append(mistakes, c.Locate(err))
	}
	for i, d := range c.Destinations {
		if endless(d) { // there is a warning for it
			continue
		}
		err := relay.Check(relay.Settings{Destinations: []config.Destination{d}, Relay: c.Relay})
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission): // there are warnings for files
		case fromHere(d) && !files:
		case fromHere(d):
			warnings = append(warnings, config.Problem{Line: c.DestinationLine(i), Text: c.Shown(err).Error() + "; run refuses it on this machine"})
		default:
			mistakes = append(mistakes, config.Problem{Line: c.DestinationLine(i), Text: c.Shown(err).Error()})
		}
	}
	if files {
		m, w := examineWAL(c)
		mistakes, warnings = append(mistakes, m...), append(warnings, w...)
		warnings = append(warnings, examineManifests(c)...)
	}
	return mistakes, warnings
}

// fromHere reports whether a destination needs something from this machine: certificates, credentials of a cloud.
func fromHere(d config.Destination) bool {
	tls := d.HTTPClientConfig.TLSConfig
	return tls.CAFile+tls.CertFile+tls.KeyFile != "" || d.SigV4Config != nil || d.AzureADConfig != nil || d.GoogleIAMConfig != nil
}

// endless reports whether reading the files of a destination may block for ever: one of them is a FIFO or a device.
func endless(d config.Destination) bool {
	tls := d.HTTPClientConfig.TLSConfig
	return slices.ContainsFunc([]string{tls.CAFile, tls.CertFile, tls.KeyFile}, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && !info.IsDir() && !info.Mode().IsRegular()
	})
}

// examineManifests warns of manifests that cannot be read. Config.Examine warns of a directory that is missing.
func examineManifests(c *config.Config) (warnings config.Problems) {
	if c.Manifests == nil {
		return nil
	}
	m, err := manifests.New(c.Manifests.Directory, nil)
	if err != nil {
		return nil //nolint:nilerr // Config.Examine checks the files that are named
	}
	for _, p := range m.Problems() {
		warnings = append(warnings, config.Problem{Line: c.Line("manifests.directory"), Text: p})
	}
	return warnings
}

// examineWAL checks the directory of the log. A volume that is too small is a mistake only if the directory exists: otherwise it is not the
// volume that the relay will have.
func examineWAL(c *config.Config) (mistakes, warnings config.Problems) {
	dir := walDir("", c)
	warn := func(line int, text string) { warnings = append(warnings, config.Problem{Line: line, Text: text}) }
	for _, text := range backlogWarnings(dir, c) {
		warn(0, text)
	}
	if err := writable(dir); err != nil {
		warn(c.Line("wal.dir"), fmt.Sprintf("wal.dir: %s cannot be written: %v", dir, err))
	}
	volume, err := wal.CheckVolume(dir, int64(c.WAL.MinFreeBytes))
	_, absent := os.Stat(dir)
	switch {
	case err != nil && absent == nil:
		mistakes = append(mistakes, config.Problem{Line: c.Line("wal.min_free_bytes"), Text: err.Error()})
	case err != nil:
		warn(c.Line("wal.min_free_bytes"), err.Error())
	case volume != "":
		warn(c.Line("wal.min_free_bytes"), volume)
	}
	return mistakes, warnings
}

// writable returns why a directory cannot be written, or the nearest one above it if it does not exist.
func writable(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at:
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is not a directory", at)
		}
		if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		if fs := kernelFS(at); fs != "" { // its mode lets root write, but nobody can create a file in it
			return fmt.Errorf("%s is in a %s of the kernel, which holds no files of others", at, fs)
		}
		return nil
	}
}

// backlogWarnings warn of destinations that c no longer has and for which the log in dir holds samples. Without a log there are none.
func backlogWarnings(dir string, c *config.Config) (warnings []string) {
	backlogs, err := wal.Backlogs(dir)
	if err != nil {
		return nil
	}
	for _, b := range backlogs {
		wanted := slices.ContainsFunc(c.Destinations, func(d config.Destination) bool { return d.ID() == b.ID })
		if !wanted && b.Samples > 0 {
			warnings = append(warnings, fmt.Sprintf("destination removed with samples waiting: %q, for which %s has %d; they are dropped %s after the change, unless it comes back by its old name or URL",
				b.Label, dir, b.Samples, model.Duration(wal.DefaultGrace)))
		}
	}
	return warnings
}

// settings returns the relay's settings from c.
func settings(c *config.Config) relay.Settings {
	return relay.Settings{Destinations: c.Destinations, ExternalLabels: c.Prometheus.GlobalConfig.ExternalLabels, Relay: c.Relay}
}
