package test

import (
	"go/ast"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// readmeRow matches a row with tests and their package.
var readmeRow = regexp.MustCompile("(?m)\\| (`Test[A-Za-z0-9`, ]+) \\| `([a-z/]+)` \\|[^|]*\\|$")

// TestReadme demands that the tests that test/README.md names exist, and that it names every package in test/.
func TestReadme(t *testing.T) {
	text, err := fs.ReadFile(repositoryFS(), "test/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	tests, packages := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if f.room() == "test" {
			packages[f.dir] = true
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test() && fn.Recv == nil {
				tests[f.dir+" "+fn.Name.Name] = true
			}
		}
	}
	rows := readmeRow.FindAllStringSubmatch(string(text), -1)
	if len(rows) < 20 {
		t.Errorf("only %d rows name a test", len(rows))
	}
	for _, row := range rows {
		for name := range strings.SplitSeq(row[1], ", ") {
			if name = strings.Trim(name, "`"); !tests[row[2]+" "+name] {
				t.Errorf("%s has no %s", row[2], name)
			}
		}
	}
	for dir := range packages {
		if !strings.Contains(string(text), "| `"+dir+"` |") {
			t.Errorf("package %s is not named", dir)
		}
	}
}
