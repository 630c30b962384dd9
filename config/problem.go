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
	// File is the file of the problem; empty for the configuration file itself.
	File string
	// Line counts from 1; 0 if the line is not known.
	Line int
	// Text says what is wrong, without secrets.
	Text string
	// Weight is shown before the text, unless it is Mistake.
	Weight Weight
}

// Weight is how much a problem matters.
type Weight string

// A configuration with a Mistake is refused; with --strict also one with a Warning. A Note is only shown.
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

// Problems are the problems of a configuration, in the order of files and lines. As an error they are one line.
type Problems []Problem

func (p Problems) Error() string { return strings.Join(p.Strings(), "; ") }

// Strings returns the problems as text, one by one.
func (p Problems) Strings() []string {
	out := make([]string, 0, len(p))
	for _, one := range p {
		out = append(out, one.String())
	}
	return out
}

// Weighing returns the problems with the given weight.
func (p Problems) Weighing(w Weight) Problems {
	out := slices.Clone(p)
	for i := range out {
		out[i].Weight = w
	}
	return out
}

// Sorted returns the problems in the order of files and lines, each once.
func (p Problems) Sorted() Problems { return p.ordered(nil) }

// ordered sorts the problems, removes repeated ones, and makes each one line without secrets.
func (p Problems) ordered(redactor *redact.Redactor) Problems {
	out := slices.Clone(p)
	for i := range out {
		out[i].Text = redactor.Text(oneLine(out[i].Text))
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(out)
}
