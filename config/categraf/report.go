package categraf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Kind says what became of a key.
type Kind string

// The kinds of findings.
const (
	Translated    Kind = "translated"     // the relay does the same
	Differs       Kind = "differs"        // the relay does it otherwise
	NoCounterpart Kind = "no counterpart" // the relay does not do it
)

// Finding is a line of the report.
type Finding struct {
	File string `json:"file"` // path in the tree
	Line int    `json:"line"` // in this file
	Key  string `json:"key"`
	Kind Kind   `json:"kind"`
	Text string `json:"text"` // what the relay does, or what to do
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s", f.File, f.Line, f.Key, f.Kind, f.Text)
}

// Report is what the configuration cannot say.
type Report struct {
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes"` // of what no key of categraf is the reason
}

// notRead begins the text of a finding about a file that is not understood.
const notRead = "not read: "

// add adds a finding, unless it is there already.
func (r *Report) add(at position, key string, kind Kind, format string, args ...any) {
	f := Finding{File: at.file, Line: at.line, Key: key, Kind: kind, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(r.Findings, f) {
		r.Findings = append(r.Findings, f)
	}
}

// unread joins what was found of files that could not be read.
func (r *Report) unread() error {
	var errs []error
	for _, f := range r.Findings {
		if f.Kind == NoCounterpart && strings.HasPrefix(f.Text, notRead) {
			errs = append(errs, fmt.Errorf("%s:%d: %s", f.File, f.Line, f.Text))
		}
	}
	return errors.Join(errs...)
}

func (r Report) sorted() Report {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return r
}

// Write writes the findings as text, a line each.
func (r Report) Write(w io.Writer) {
	n := map[Kind]int{}
	for _, f := range r.Findings {
		fmt.Fprintln(w, f)
		n[f.Kind]++
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintf(w, "%d translated, %d differ, %d without a counterpart\n", n[Translated], n[Differs], n[NoCounterpart])
}

// WriteJSON writes the findings as JSON.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
