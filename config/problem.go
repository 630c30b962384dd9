package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"promrelay/config/redact"
)

// Problem is something that is wrong with a configuration.
type Problem struct {
	// File is the one that the problem is in, empty for the configuration file itself.
	File string
	// Line is where it is, counted from 1; 0 where the line is not known.
	Line int
	// Text says what is wrong, without secrets.
	Text string
	// Weight is what stands before it where it is no mistake.
	Weight Weight
}

// Weight tells how much a problem matters.
type Weight string

// A mistake is refused, a warning is one with --strict, and a note never is.
const (
	Mistake Weight = ""
	Warning Weight = "warning"
	Note    Weight = "note"
)

func (p Problem) String() string {
	if w := p.Weight; w != Mistake {
		p.Weight = Mistake
		return string(w) + ": " + p.String()
	}
	switch {
	case p.File != "" && p.Line > 0:
		return fmt.Sprintf("%s: line %d: %s", p.File, p.Line, p.Text)
	case p.File != "":
		return p.File + ": " + p.Text
	case p.Line > 0:
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return p.Text
}

// Problems are all that is wrong with a configuration, in the order of files and lines. As an error they stand in one line.
type Problems []Problem

func (p Problems) Error() string { return strings.Join(p.Strings(), "; ") }

// Strings are the problems, one by one.
func (p Problems) Strings() []string {
	out := make([]string, 0, len(p))
	for _, one := range p {
		out = append(out, one.String())
	}
	return out
}

// Weighing returns the problems with another weight.
func (p Problems) Weighing(w Weight) Problems {
	out := slices.Clone(p)
	for i := range out {
		out[i].Weight = w
	}
	return out
}

// Sorted returns the problems in the order of files and lines, each once.
func (p Problems) Sorted() Problems { return p.ordered(nil) }

// ordered sorts the problems, leaves each in once, and makes one line of each that is fit to be shown.
func (p Problems) ordered(fit *redact.Redactor) Problems {
	out := slices.Clone(p)
	for i := range out {
		out[i].Text = fit.Text(oneLine(out[i].Text))
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(out)
}
