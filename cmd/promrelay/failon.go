package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"promrelay/config"
	"promrelay/targets"
)

// failure is a value of --fail-on: something for which the command targets ends with an error.
type failure struct {
	name, help string
	// in describes each case of it in a report.
	in func(*report) []string
}

// failures are what --fail-on may name.
var failures = []failure{
	{"rejected", "a monitor is rejected, or a file of the manifests cannot be read or decoded", rejected},
	{"empty", "a monitor that is accepted has no targets, and none of its jobs asks a service discovery outside of the cluster", empty},
	{"dropped", "the rules of a job drop all targets that its discovery has found", dropped},
}

func failNames() (out []string) {
	for _, f := range failures {
		out = append(out, f.name)
	}
	return out
}

// failOnHelp explains the values.
func failOnHelp() string {
	var out []string
	for _, f := range failures {
		out = append(out, f.name+" ("+f.help+")")
	}
	return strings.Join(out, "; ") + "."
}

// parseFailOn returns the failures of --fail-on.
func parseFailOn(values []string) (out []failure, err error) {
	for _, name := range strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' }) {
		i := slices.IndexFunc(failures, func(f failure) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--fail-on=%s%s", name, config.Suggest(name, failNames()))
		}
		out = append(out, failures[i])
	}
	return out, nil
}

// failed returns an error if a report has something that --fail-on names.
func failed(r *report, on []failure) error {
	var errs []error
	for _, f := range on {
		if found := f.in(r); len(found) > 0 {
			errs = append(errs, fmt.Errorf("--fail-on=%s: %s", f.name, strings.Join(found, ", ")))
		}
	}
	return errors.Join(errs...)
}

func rejected(r *report) []string {
	out := slices.Clone(r.Problems)
	for i := range r.Monitors {
		if m := &r.Monitors[i]; m.State == targets.Rejected {
			out = append(out, m.owner())
		}
	}
	return out
}

// empty leaves out blocks of the configuration, whose objects are often in another directory, and jobs that ask a service discovery, which
// is not asked here.
func empty(r *report) (out []string) {
	for i := range r.Monitors {
		m := &r.Monitors[i]
		may := slices.ContainsFunc(m.Jobs, func(j reportJob) bool { return len(j.Targets) > 0 || j.unasked })
		if m.State == targets.Accepted && m.Namespace != "" && !may {
			out = append(out, m.owner())
		}
	}
	return out
}

// dropped names jobs that drop all targets. To drop some targets is normal: they are the other ports and Services of a namespace.
func dropped(r *report) (out []string) {
	for i := range r.Monitors {
		for _, j := range r.Monitors[i].Jobs {
			if j.dropped > 0 && len(j.Targets) == 0 {
				out = append(out, j.Name)
			}
		}
	}
	return out
}
