package test

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"testing"
	"testing/fstest"
)

// inRooms are the files of rooms, without tests.
func inRooms(files []source) []source {
	return slices.DeleteFunc(slices.Clone(files), func(f source) bool {
		_, room := floors[f.room()]
		return !room || f.test()
	})
}

// undocumented finds exported functions, methods, types, constants and variables without a comment. A group of constants or variables
// may share one. Methods Error and String need none: their names say it.
func undocumented(files []source) (out []string) {
	add := func(f source, name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil }) {
			out = append(out, fmt.Sprintf("%s/%s: %s has no comment", f.dir, f.name, name.Name))
		}
	}
	for _, f := range inRooms(files) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || exportedReceiver(d.Recv.List[0].Type) && !slices.Contains([]string{"Error", "String"}, d.Name.Name) {
					add(f, d.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						docs := []*ast.CommentGroup{s.Doc, s.Comment}
						if !d.Lparen.IsValid() {
							docs = append(docs, d.Doc)
						}
						add(f, s.Name, docs...)
					case *ast.ValueSpec:
						for _, name := range s.Names {
							add(f, name, s.Doc, s.Comment, d.Doc)
						}
					}
				}
			}
		}
	}
	return out
}

// exportedReceiver tells whether a method's type is exported.
func exportedReceiver(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StarExpr:
		return exportedReceiver(e.X)
	case *ast.IndexExpr:
		return exportedReceiver(e.X)
	case *ast.Ident:
		return token.IsExported(e.Name)
	}
	return false
}

func TestExportedNamesAreDocumented(t *testing.T) {
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range undocumented(files) {
		t.Error(w)
	}
}

// TestExportedNamesChecker shows that the check can fail.
func TestExportedNamesChecker(t *testing.T) {
	for name, c := range map[string]struct {
		path, text string
		want       int
	}{
		"function":          {"wal/x.go", `func F() {}`, 1},
		"with comment":      {"wal/x.go", "// F is.\nfunc F() {}", 0},
		"comment apart":     {"wal/x.go", "// F is.\n\nfunc F() {}", 1},
		"hidden":            {"wal/x.go", `func f() {}`, 0},
		"method":            {"wal/x.go", "// T is.\ntype T int\nfunc (*T) F() {}", 1},
		"generic":           {"wal/x.go", "// T is.\ntype T[X any] int\nfunc (T[X]) F() {}", 1},
		"error":             {"wal/x.go", "// T is.\ntype T int\nfunc (T) Error() string { return \"\" }", 0},
		"of a hidden type":  {"wal/x.go", "type t int\nfunc (t) F() {}", 0},
		"type":              {"wal/x.go", "type T int", 1},
		"group of types":    {"wal/x.go", "// These are.\ntype (\n\tT int\n)", 1},
		"constants":         {"wal/x.go", "const (\n\tA = 1\n\tB = 2 // is\n)", 1},
		"group of values":   {"wal/x.go", "// These are.\nvar (\n\tA = 1\n\tB = 2\n)", 0},
		"names of one line": {"wal/x.go", "var A, B = 1, 2", 2},
		"in a sub-package":  {"wal/x/x.go", `func F() {}`, 1},
		"in a test":         {"wal/x_test.go", `func F() {}`, 0},
		"outside of rooms":  {"demo/x.go", `func F() {}`, 0},
	} {
		files, err := survey(fstest.MapFS{c.path: {Data: []byte("package x\n" + c.text)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := undocumented(files); len(got) != c.want {
			t.Errorf("%s: have %q, want %d", name, got, c.want)
		}
	}
}
