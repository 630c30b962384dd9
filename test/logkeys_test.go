package test

import (
	"fmt"
	"go/ast"
	"testing"
	"testing/fstest"
)

// wrongLogKeys finds errors that are logged under zap's own key, which is "error".
func wrongLogKeys(files []source) (out []string) {
	for _, f := range inRooms(files) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && fmt.Sprint(sel.X) == "zap" && sel.Sel.Name == "Error" {
				out = append(out, fmt.Sprintf(`%s/%s: use zap.NamedError("err", ...): the log has one key for errors`, f.dir, f.name))
			}
			return true
		})
	}
	return out
}

func TestLogKeys(t *testing.T) {
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrongLogKeys(files) {
		t.Error(w)
	}
}

// TestLogKeysChecker shows that the check can fail.
func TestLogKeysChecker(t *testing.T) {
	for name, c := range map[string]struct {
		path, text string
		want       int
	}{
		"key":              {"wal/x.go", `var a = zap.Error(nil)`, 1},
		"in a sub-package": {"wal/x/x.go", `var a = zap.Error(nil)`, 1},
		"right key":        {"wal/x.go", `var a = zap.NamedError("err", nil)`, 0},
		"level":            {"wal/x.go", `func f() { log.Error("") }`, 0},
		"in a test":        {"wal/x_test.go", `var a = zap.Error(nil)`, 0},
		"outside of rooms": {"demo/x.go", `var a = zap.Error(nil)`, 0},
	} {
		files, err := survey(fstest.MapFS{c.path: {Data: []byte("package x\n" + c.text)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := wrongLogKeys(files); len(got) != c.want {
			t.Errorf("%s: have %q, want %d", name, got, c.want)
		}
	}
}
