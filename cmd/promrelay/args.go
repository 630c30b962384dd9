package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"promrelay/config"
)

// flagsOf returns the flags that arguments may have: those of the program, and those of the command that the arguments name.
func flagsOf(app *kingpin.ApplicationModel, args []string) []*kingpin.FlagModel {
	flags, commands := app.Flags, app.Commands
	for _, arg := range args {
		i := slices.IndexFunc(commands, func(c *kingpin.CmdModel) bool { return c.Name == arg })
		if i >= 0 {
			flags, commands = slices.Concat(flags, commands[i].Flags), commands[i].Commands
		}
	}
	return flags
}

// withDashes returns arguments in which kingpin sees a lone "-", which it takes for an empty argument otherwise: as the value of a flag after
// "=", as any other argument after "--".
func withDashes(flags []*kingpin.FlagModel, args []string) (out []string) {
	var paths []string
	for i, arg := range args {
		switch {
		case arg == "--":
			return slices.Concat(out, []string{"--"}, paths, args[i+1:])
		case arg == "-" && i > 0 && takesValue(flags, args[i-1]):
			out[len(out)-1] += "=-"
		case arg == "-":
			paths = append(paths, arg)
		default:
			out = append(out, arg)
		}
	}
	if len(paths) > 0 {
		out = slices.Concat(out, []string{"--"}, paths)
	}
	return out
}

// takesValue reports whether an argument is a flag whose value is the next one.
func takesValue(flags []*kingpin.FlagModel, arg string) bool {
	return slices.ContainsFunc(flags, func(f *kingpin.FlagModel) bool { return arg == "--"+f.Name && !f.IsBoolFlag() })
}

// badArguments returns an error of kingpin with what the user may have meant.
func badArguments(flags []*kingpin.FlagModel, err error) error {
	var names []string
	for _, f := range flags {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
		if !f.Hidden && f.IsBoolFlag() {
			names = append(names, "--no-"+f.Name)
		}
	}
	if flag, ok := strings.CutPrefix(err.Error(), "unknown long flag '"); ok {
		flag = strings.TrimSuffix(flag, "'")
		if hint := config.Suggest(flag, names); strings.HasPrefix(hint, ", ") {
			return fmt.Errorf("unknown flag %s%s", flag, hint)
		}
		return fmt.Errorf("unknown flag %s, try --help", flag)
	}
	if arg, ok := strings.CutPrefix(err.Error(), "unexpected "); ok && slices.Contains(names, "--config.file") {
		return fmt.Errorf("unexpected argument %q: a configuration file is given with --config.file=%s", arg, arg)
	}
	return fmt.Errorf("%w, try --help", err)
}
