package manifests

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Problem is something about a file, or about an object in it, that a person should know.
type Problem struct {
	Path string // of the file
	Line int    // 0 if it is not known
	Rule Rule
	Text string // names the object, and no value that may be secret
}

// Rule is a kind of problem. The names are stable.
type Rule string

// The kinds of problems.
const (
	UnreadFile    Rule = "unread-file"      // a file that cannot be read
	SkippedPath   Rule = "skipped-path"     // a link or directory that is left out
	Syntax        Rule = "yaml-syntax"      // a document that is not YAML or JSON
	Template      Rule = "template"         // a document that is not YAML, and has the braces of a template
	NoManifest    Rule = "no-manifest"      // a document that does not mean to be an object of Kubernetes, or has no name of its own
	NoObject      Rule = "no-object"        // an object without kind or without apiVersion
	IgnoredKind   Rule = "ignored-kind"     // it looks like a monitor, and is none that the relay reads
	WrongType     Rule = "wrong-type"       // a field has a value of another type
	BadName       Rule = "bad-name"         // no object can have this name
	UnknownField  Rule = "unknown-field"    // the kind has no such field
	DuplicateKey  Rule = "duplicate-key"    // a key stands twice in an object
	DoubledObject Rule = "duplicate-object" // another object has the same kind, namespace and name
)

// Error is the text with its line, without the file.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// String is the text with file and line.
func (p Problem) String() string { return p.Path + ": " + p.Error() }

// problemIn turns an error about a file into a Problem.
func problemIn(path string, err error) Problem {
	p, ok := errors.AsType[Problem](err)
	if !ok {
		p = Problem{Rule: UnreadFile, Text: err.Error()}
	}
	p.Path = path
	return p
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntaxProblem is an error of the parser of YAML, about a text that begins after some lines of a file.
func syntaxProblem(err error, before int) Problem {
	p := Problem{Rule: Syntax}
	p.Text = yamlLine.ReplaceAllStringFunc(err.Error(), func(at string) string {
		n, convErr := strconv.Atoi(yamlLine.FindStringSubmatch(at)[1])
		if convErr != nil {
			return at
		}
		if p.Line == 0 {
			p.Line = n + before
			return ""
		}
		return fmt.Sprintf("line %d: ", n+before)
	})
	return p
}
