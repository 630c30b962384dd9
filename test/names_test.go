package test

import (
	"go/ast"
	"go/types"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// declared returns what files declare outside of functions: each name alone, behind its type, and both behind the package.
func declared(files []source) map[string]bool {
	names := map[string]bool{}
	for _, f := range files {
		of := "" // the type that a method or field belongs to
		add := func(prefix string, ids ...*ast.Ident) {
			for _, id := range ids {
				names[id.Name], names[prefix+id.Name], names[f.Name.Name+"."+prefix+id.Name] = true, true, true
			}
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if of = ""; n.Recv != nil {
					of = strings.TrimPrefix(types.ExprString(n.Recv.List[0].Type), "*") + "."
				}
				add(of, n.Name)
				return false
			case *ast.TypeSpec:
				add("", n.Name)
				of = n.Name.Name + "."
			case *ast.Field:
				add(of, n.Names...)
			case *ast.ValueSpec:
				add("", n.Names...)
			}
			return true
		})
	}
	return names
}

var (
	codeName  = regexp.MustCompile("`([A-Za-z][A-Za-z0-9./]*)`") // none with an underline: those are keys of the configuration
	drawing   = regexp.MustCompile("(?s)\n```\n.*?\n```\n")
	drawnName = regexp.MustCompile(`\b[A-Za-z]\w*(?:\.[A-Za-z]\w*)+\b`)
	testName  = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
)

// TestNamesExist demands that docs/architecture.md names only code, files and directories that there are, and that the documents about
// the code name only such tests.
func TestNamesExist(t *testing.T) {
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	known := declared(files)
	known["recover"], known["net/http"] = true, true
	err = fs.WalkDir(repositoryFS(), ".", func(p string, _ fs.DirEntry, err error) error {
		for rest, ok := p, true; ok; _, rest, ok = strings.Cut(rest, "/") {
			known[rest] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const architecture = "docs/architecture.md"
	for _, file := range []string{architecture, "CONTRIBUTING.md", "test/README.md"} {
		text, err := fs.ReadFile(repositoryFS(), file)
		if err != nil {
			t.Fatal(err)
		}
		found := testName.FindAllString(string(text), -1)
		if file == architecture {
			found = append(found, drawnName.FindAllString(strings.Join(drawing.FindAllString(string(text), -1), ""), -1)...)
			for _, m := range codeName.FindAllStringSubmatch(string(text), -1) {
				found = append(found, m[1])
			}
		}
		for _, name := range found {
			if !known[name] && !strings.HasSuffix(name, "_") { // TestSpec1_... are many
				t.Errorf("%s names %s, which there is not", file, name)
			}
		}
	}
}
