package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
)

// formats are the forms of the output.
var formats = map[string]func(io.Writer, Report) error{"text": text, "json": asJSON, "sarif": sarif, "github": github}

// Formats are the names of the forms of the output.
var Formats = []string{"text", "json", "sarif", "github"}

// Write writes a report in one of the Formats.
func Write(out io.Writer, format string, r Report) error {
	write := formats[format]
	if write == nil {
		return fmt.Errorf("--output=%s: want one of %s", format, strings.Join(Formats, ", "))
	}
	return write(out, r)
}

// counts sums up the findings in words.
func (r Report) counts() string {
	n := map[Severity]int{}
	for _, f := range r.Findings {
		n[f.Severity]++
	}
	return fmt.Sprintf("%s in %s: %s, %s, %s",
		count(r.Monitors, "monitor"), count(r.Files, "file"), count(n[Error], "error"), count(n[Warning], "warning"), count(n[Note], "note"))
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// text writes a line for each finding, as compilers do, and what to change below it.
func text(out io.Writer, r Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(printable(f.where() + string(f.Severity) + ": " + f.Message + " [" + f.Rule + "]"))
		b.WriteByte('\n')
		if f.Mend != "" {
			b.WriteString("    " + printable(f.Mend) + "\n")
		}
	}
	b.WriteString(r.counts() + "\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// where is the beginning of a line about a finding.
func (f Finding) where() string {
	switch {
	case f.Path == "":
		return ""
	case f.Line == 0:
		return f.Path + ": "
	}
	return fmt.Sprintf("%s:%d: ", f.Path, f.Line)
}

// printable replaces what would garble a terminal or begin a new line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

func asJSON(out io.Writer, r Report) error {
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// github writes commands of GitHub's workflows, which become annotations of the pull request.
func github(out io.Writer, r Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		command := map[Severity]string{Error: "error", Warning: "warning", Note: "notice"}[f.Severity]
		var properties []string
		if f.Path != "" {
			properties = append(properties, "file="+escapeProperty(filepath.ToSlash(f.Path)))
		}
		if f.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", f.Line))
		}
		properties = append(properties, "title="+escapeProperty("promrelay: "+f.Rule))
		message := f.Message
		if f.Mend != "" {
			message += "\n" + f.Mend
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", command, strings.Join(properties, ","), escapeData(message))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// escapeData and escapeProperty are those of GitHub's toolkit (actions/toolkit, packages/core/src/command.ts).
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
