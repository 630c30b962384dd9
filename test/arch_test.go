package test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "promrelay"

// floors are the rooms and their floors. A room may import those of lower floors. A sub-package belongs to its room and its floor: the
// packages of a room may import each other, but none imports a package whose directory it is in. Its tests may.
var floors = map[string]int{
	"cmd": 5, "web": 4, "informers": 3, "scrape": 3, "relay": 3, "targets": 2, "record": 1, "config": 1, "wal": 0,
}

// outside are the directories that are not rooms. They may import anything, and no room may import them. Tests of rooms may import
// test, for the receiver that they are tested with.
var outside = []string{"demo", "test"}

// ban forbids some imports in some rooms.
type ban struct {
	rooms    []string // for which it holds; empty for all without those of except
	except   []string
	prefixes []string // of import paths
	why      string
}

var bans = []ban{
	{
		except:   []string{"informers", "cmd"},
		prefixes: []string{"k8s.io/client-go", "github.com/prometheus-operator/prometheus-operator/pkg/client"},
		why:      "only informers and cmd use client-go's machinery",
	},
	{
		rooms:    []string{"wal"},
		prefixes: []string{"k8s.io", "sigs.k8s.io", "github.com/prometheus-operator", "github.com/prometheus/prometheus"},
		why:      "wal knows neither Kubernetes nor samples",
	},
	{
		rooms:    []string{"record"},
		prefixes: []string{"k8s.io", "sigs.k8s.io", "github.com/prometheus-operator"},
		why:      "record does not know Kubernetes",
	},
	{
		rooms:    []string{"targets"},
		prefixes: []string{"os", "io/fs", "io/ioutil", "net/http", "net/rpc", "syscall", "golang.org/x/sys"},
		why:      "targets is pure: it reads nothing and waits for nothing",
	},
}

// pureNet is what targets may use of package net.
var pureNet = []string{"SplitHostPort", "JoinHostPort", "ParseIP", "ParseCIDR", "ParseMAC", "IP", "IPNet", "IPMask"}

// source is one Go file.
type source struct {
	dir, name string // the package's directory, "." for the root; the file's name
	*ast.File
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// room is the directory at the top that the file is in.
func (s source) room() string {
	r, _, _ := strings.Cut(s.dir, "/")
	return r
}

// survey parses the files of the module in a tree, not those of modules within it.
func survey(tree fs.FS) ([]source, error) {
	var out []source
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := fs.Stat(tree, path.Join(p, "go.mod"))
			if name := d.Name(); p != "." && (nested == nil || name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{path.Dir(p), path.Base(p), f})
		return nil
	})
	return out, err
}

// violations lists what in the files is against the rules.
func violations(files []source) (out []string) {
	packages := map[string][]source{}
	for _, f := range files {
		packages[f.dir] = append(packages[f.dir], f)
		if _, ok := floors[f.room()]; !ok && !slices.Contains(outside, f.room()) {
			out = append(out, fmt.Sprintf("%s/%s: %q is no room", f.dir, f.name, f.room()))
			continue
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			for _, why := range append(wrongFloor(f, imported), banned(f, imported)...) {
				out = append(out, fmt.Sprintf("%s/%s imports %s: %s", f.dir, f.name, imported, why))
			}
		}
		if f.room() == "targets" && !f.test() {
			out = append(out, impureNet(f)...)
		}
	}
	for dir, p := range packages {
		out = append(out, badComment(dir, p)...)
	}
	slices.Sort(out)
	return out
}

func wrongFloor(f source, imported string) []string {
	to, ok := strings.CutPrefix(imported, module+"/")
	if !ok || slices.Contains(outside, f.room()) {
		return nil
	}
	if strings.HasPrefix(f.dir, to+"/") && !f.test() {
		return []string{"a sub-package does not import its parent"}
	}
	to, _, _ = strings.Cut(to, "/")
	floor, room := floors[to]
	switch {
	case to == f.room(), to == "test" && f.test():
		return nil
	case !room:
		return []string{to + " is no room"}
	case floor == floors[f.room()]:
		return []string{"rooms of one floor do not import each other"}
	case floor > floors[f.room()]:
		return []string{"imports go down only"}
	}
	return nil
}

func banned(f source, imported string) (out []string) {
	if f.test() || slices.Contains(outside, f.room()) {
		return nil
	}
	for _, b := range bans {
		if len(b.rooms) > 0 && !slices.Contains(b.rooms, f.room()) || slices.Contains(b.except, f.room()) {
			continue
		}
		if slices.ContainsFunc(b.prefixes, func(p string) bool { return imported == p || strings.HasPrefix(imported, p+"/") }) {
			out = append(out, b.why)
		}
	}
	return out
}

// impureNet finds what a file uses of package net beyond parsing.
func impureNet(f source) (out []string) {
	name := ""
	for _, spec := range f.Imports {
		if spec.Path.Value == `"net"` {
			name = "net"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	if name == "" {
		return nil
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := sel.X.(*ast.Ident); ok && of.Name == name && !slices.Contains(pureNet, sel.Sel.Name) {
			out = append(out, fmt.Sprintf("%s/%s uses net.%s: targets is pure", f.dir, f.name, sel.Sel.Name))
		}
		return true
	})
	return out
}

// badComment demands one package comment, and its first words. A package that consists of tests may have it in a test file.
func badComment(dir string, files []source) []string {
	if slices.ContainsFunc(files, func(f source) bool { return !f.test() }) {
		files = slices.DeleteFunc(slices.Clone(files), source.test)
	}
	var docs []source
	for _, f := range files {
		if f.Doc != nil {
			docs = append(docs, f)
		}
	}
	if len(docs) != 1 {
		return []string{fmt.Sprintf("%s: %d package comments, want one that touches the package clause", dir, len(docs))}
	}
	want := "Package " + strings.TrimSuffix(docs[0].Name.Name, "_test")
	if docs[0].Name.Name == "main" {
		want = "Command " + path.Base(dir)
	}
	if text := docs[0].Doc.Text(); !strings.HasPrefix(text, want+" ") {
		first, _, _ := strings.Cut(text, "\n")
		return []string{fmt.Sprintf("%s/%s: package comment begins %q, want %q", dir, docs[0].name, first, want+" …")}
	}
	return nil
}

func TestArchitecture(t *testing.T) {
	files, err := survey(repositoryFS())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.room()] = true
	}
	for room := range floors {
		if !seen[room] {
			t.Errorf("no files of room %s were found", room)
		}
	}
	for _, v := range violations(files) {
		t.Error(v)
	}
}

// TestArchitectureChecker shows that the checks can fail.
func TestArchitectureChecker(t *testing.T) {
	const doc = "// Package x is.\npackage x\n"
	for name, c := range map[string]struct {
		path, text string
		want       string // "": nothing is wrong
	}{
		"down":                {"web/x.go", doc + `import _ "promrelay/wal"`, ""},
		"sub-package":         {"web/x.go", doc + `import _ "promrelay/web/x"`, ""},
		"sibling":             {"web/x/x.go", doc + `import _ "promrelay/web/y"`, ""},
		"parent":              {"web/x/x.go", doc + `import _ "promrelay/web"`, "a sub-package does not import its parent"},
		"parent in a test":    {"web/x/x_test.go", doc + `import _ "promrelay/web"`, ""},
		"grandparent":         {"web/x/y/x.go", doc + `import _ "promrelay/web"`, "a sub-package does not import its parent"},
		"down to a part":      {"web/x/x.go", doc + `import _ "promrelay/relay/x"`, ""},
		"up from a part":      {"wal/x/x.go", doc + `import _ "promrelay/record/x"`, "imports go down only"},
		"part of same floor":  {"relay/x/x.go", doc + `import _ "promrelay/scrape/x"`, "rooms of one floor do not import each other"},
		"up":                  {"wal/x.go", doc + `import _ "promrelay/record"`, "imports go down only"},
		"up in a test":        {"wal/x_test.go", doc + `import _ "promrelay/record"`, "imports go down only"},
		"same floor":          {"relay/x.go", doc + `import _ "promrelay/scrape"`, "rooms of one floor do not import each other"},
		"no room":             {"util/x.go", doc, `"util" is no room`},
		"at the root":         {"x.go", doc, `"." is no room`},
		"imports no room":     {"cmd/x/x.go", doc + `import _ "promrelay/test/peers"`, "test is no room"},
		"imports no room too": {"relay/x_test.go", doc + `import _ "promrelay/demo"`, "demo is no room"},
		"test of a room may":  {"relay/x_test.go", doc + `import _ "promrelay/test/receiver"`, ""},
		"test may":            {"test/x/x.go", doc + `import _ "promrelay/scrape"`, ""},
		"demo may":            {"demo/x.go", doc + `import _ "k8s.io/client-go/rest"`, ""},
		"client-go":           {"web/x.go", doc + `import _ "k8s.io/client-go/rest"`, "only informers and cmd"},
		"generated client":    {"targets/x.go", doc + `import _ "github.com/prometheus-operator/prometheus-operator/pkg/client/versioned"`, "only informers and cmd"},
		"client-go in a part": {"web/x/x.go", doc + `import _ "k8s.io/client-go/rest"`, "only informers and cmd"},
		"client-go, part of":  {"informers/x/x.go", doc + `import _ "k8s.io/client-go/rest"`, ""},
		"client-go below":     {"informers/x.go", doc + `import _ "k8s.io/client-go/rest"`, ""},
		"types anywhere":      {"config/x.go", doc + `import _ "k8s.io/apimachinery/pkg/labels"`, ""},
		"wal and Kubernetes":  {"wal/x.go", doc + `import _ "k8s.io/api/core/v1"`, "neither Kubernetes nor samples"},
		"wal and samples":     {"wal/x.go", doc + `import _ "github.com/prometheus/prometheus/model/labels"`, "neither Kubernetes nor samples"},
		"wal and metrics":     {"wal/x.go", doc + `import _ "github.com/prometheus/client_golang/prometheus"`, ""},
		"targets and files":   {"targets/x.go", doc + `import _ "os"`, "targets is pure"},
		"targets and HTTP":    {"targets/x.go", doc + `import _ "net/http"`, "targets is pure"},
		"targets may parse":   {"targets/x.go", doc + "import \"net\"\nvar _, _, _ = net.SplitHostPort(\"\")", ""},
		"targets may not ask": {"targets/x.go", doc + "import \"net\"\nvar _, _ = net.LookupHost(\"\")", "uses net.LookupHost"},
		"renamed net":         {"targets/x.go", doc + "import n \"net\"\nvar _, _ = n.LookupHost(\"\")", "uses net.LookupHost"},
		"tests may read":      {"targets/x_test.go", doc + `import _ "os"`, ""},
		"no comment":          {"wal/x.go", "package x\n", "0 package comments"},
		"comment apart":       {"wal/x.go", "// Package x is.\n\npackage x\n", "0 package comments"},
		"comment of another":  {"wal/x.go", "// Package y is.\npackage x\n", `want "Package x …"`},
		"half a name":         {"wal/x.go", "// Package xy is.\npackage x\n", `want "Package x …"`},
		"command":             {"cmd/x/main.go", "// Command x does.\npackage main\n", ""},
		"command as package":  {"cmd/x/main.go", "// Package main does.\npackage main\n", `want "Command x …"`},
		"nested module":       {"test/other/deep/x.go", "package x\n" + `import _ "promrelay/wal"`, ""},
		"testdata":            {"wal/testdata/x.go", "package x\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := survey(fstest.MapFS{
				"go.mod": {}, "test/other/go.mod": {}, c.path: {Data: []byte(c.text)},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := violations(files)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(cmp.Or(got...), c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	two := fstest.MapFS{"wal/x.go": {Data: []byte(doc)}, "wal/y.go": {Data: []byte(doc)}}
	files, err := survey(two)
	if got := violations(files); err != nil || len(got) != 1 || !strings.Contains(got[0], "2 package comments") {
		t.Errorf("two comments: got %q, %v", got, err)
	}
	if _, err := survey(fstest.MapFS{"wal/x.go": {Data: []byte("no Go")}}); err == nil {
		t.Error("what is no Go was surveyed")
	}
}
