package lint

import (
	"slices"
	"strings"

	"promrelay/informers/manifests"
)

// fileRule is a rule about files.
type fileRule struct {
	id       manifests.Rule
	severity Severity
	help     string
	mend     string
}

// fileRules are the rules about files. Of other problems with files there is nothing to say.
var fileRules = []fileRule{
	{manifests.UnreadFile, Error, "A file that cannot be read.", "Make it a regular file that this user may read."},
	{manifests.SkippedPath, Warning, "A link or directory that is left out.", ""},
	{manifests.Syntax, Error, "A manifest that is not YAML or JSON.", "Correct the syntax in this line or the one above it."},
	{manifests.Template, Note, "A template, which is not checked.", "Check what the template gives: helm template . | promrelay lint -"},
	{manifests.NoObject, Warning, "An object without kind or without apiVersion.", "Add what is missing."},
	{manifests.IgnoredKind, Warning, "An object that looks like a monitor, and is none that the relay reads.", "Correct its kind or apiVersion."},
	{manifests.WrongType, Error, "A field has a value of another type.", "Write a value of the type that is wanted; quotes make a string of a number."},
	{manifests.BadName, Error, "No object can have this name.", "Use lower-case letters, digits and dashes."},
	{manifests.UnknownField, Warning, "The kind has no such field, so that it has no effect.", "Correct the name of the field, or remove it."},
	{manifests.DuplicateKey, Warning, "A key stands twice in an object, and the first one has no effect.", "Remove one of the two."},
	{manifests.DoubledObject, Warning, "Two objects have the same kind, namespace and name.", "Remove one. If one is a patch, check what kustomize gives: kustomize build . | promrelay lint -"},
}

// Rules returns all rules, sorted by their ids.
func Rules() []Rule {
	out := []Rule{Rejected, NotSelected, NoSuchPort, TargetPort, DropsAll, DropsAllSamples, Duplicate, NoMatch, NoEndpoints, NotChecked, Remark, NoMonitors}
	for _, r := range fileRules {
		out = append(out, Rule{string(r.id), r.help})
	}
	slices.SortFunc(out, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// files adds what is wrong with the files. Of a template there is one finding.
func (c *checker) files() {
	templates := map[string]bool{}
	for _, p := range c.tree.Problems() {
		i := slices.IndexFunc(fileRules, func(r fileRule) bool { return r.id == p.Rule })
		if i < 0 {
			continue
		}
		r := fileRules[i]
		if p.Rule == manifests.Template {
			if templates[p.Path] {
				continue
			}
			templates[p.Path] = true
			p.Text = "This is a template, which is not checked."
		}
		c.add(Finding{Rule: string(r.id), Severity: r.severity, Path: p.Path, Line: p.Line, Message: p.Text, Mend: r.mend})
	}
}
