package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
)

// Errors of Prometheus's loader and of the YAML decoder have types in two cases: a URL that does not parse, and a value of the wrong type.
// Everything else is only text, also line numbers. This file reads only the necessary parts of that text: line numbers, values that may be
// secret, and the name of a job. (document.guess searches it for keys and values of the file.)

// readable turns an error of Prometheus's loader or of the YAML decoder into one readable line. It leaves out values of the wrong type,
// which may be secret.
func readable(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		why := withoutQuoted(u.Err.Error())
		if strings.Index(u.URL, "://") < 1 {
			why = "begin it with http:// or https://"
		}
		return fmt.Errorf("parse URL %q: %s", redact.BareURL(u.URL), why)
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	text = strings.ReplaceAll(text, "yaml: unmarshal errors:\n  ", "")
	return errors.New(oneLine(withoutValues(text)))
}

// caught calls other people's code, which may panic because of the content of a file. It returns a panic as errPanic.
func caught(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w %v", errPanic, p)
		}
	}()
	return f()
}

// isWrongType reports whether a value has a different type than its key requires.
func isWrongType(err error) bool {
	return errors.As(err, new(*yaml.TypeError)) || errors.As(err, new(*json.UnmarshalTypeError))
}

// oneLine joins the lines of a text.
func oneLine(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "; ")
}

// linesIn returns the line numbers that a text mentions, each as "line 7: ".
func linesIn(text string) (out []int) {
	for {
		_, after, ok := strings.Cut(text, "line ")
		if !ok {
			return out
		}
		text = after
		number, _, ok := strings.Cut(after, ": ")
		if n, err := strconv.Atoi(number); ok && err == nil {
			out = append(out, n)
		}
	}
}

// withoutQuoted replaces quoted parts of a text with three dots.
func withoutQuoted(text string) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '"')
		if at < 0 {
			return b.String() + text
		}
		quoted, err := strconv.QuotedPrefix(text[at:])
		if err != nil {
			return b.String() + text[:at] + "..."
		}
		b.WriteString(text[:at] + "...")
		text = text[at+len(quoted):]
	}
}

// withoutValues leaves out the values that the YAML decoder names: "cannot unmarshal !!str `secret` into int".
func withoutValues(text string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "cannot unmarshal ")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString("cannot unmarshal ")
		text = after
		if tag, rest, ok := strings.Cut(after, " `"); ok && strings.HasPrefix(tag, "!!") {
			if _, into, ok := strings.Cut(rest, "` into "); ok {
				b.WriteString(tag)
				text = " into " + into
			}
		}
	}
}

// withoutJob leaves out the job that Prometheus's checks name at the end of a sentence.
func withoutJob(text string) string {
	const phrase = " for scrape config with job name "
	before, after, ok := strings.Cut(text, phrase)
	if !ok {
		return text
	}
	job, err := strconv.QuotedPrefix(after)
	if err != nil {
		return text
	}
	return before + after[len(job):]
}

// covers reports whether the mistakes, or others that are known, include an error of Prometheus's loader. It compares lines if the error
// has lines. Otherwise it compares texts: then the error comes from a type with its own decoder, and the walk has found the same error.
func (w *walker) covers(err error, others Problems) bool {
	if errors.Is(err, errPanic) {
		return len(w.mistakes) > 0
	}
	text := withoutJob(readable(err).Error())
	if lines := linesIn(text); len(lines) > 0 {
		for _, line := range lines {
			is := func(p Problem) bool { return p.Line == line }
			if !slices.ContainsFunc(w.mistakes, is) && !slices.ContainsFunc(others, is) {
				return false
			}
		}
		return true
	}
	if strings.HasPrefix(text, "found multiple") || strings.HasPrefix(text, "empty or null ") { // the walk words these differently
		return len(w.mistakes)+len(others) > 0
	}
	return slices.ContainsFunc(w.mistakes, func(p Problem) bool { return strings.Contains(p.Text, text) })
}
