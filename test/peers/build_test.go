package peers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// listed is what decides whether a package that two programs have is compiled once for both.
type listed struct {
	ImportPath                string
	Module                    *struct{ Path, Version string }
	GoFiles, CgoFiles, SFiles []string
}

// TestNothingIsCompiledTwice: what the demo builds shares its packages, with the demo too. One version that differs, or one file that
// a tag adds, has all be compiled again that rests on it.
func TestNothingIsCompiledTwice(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]listed{}
	from := map[string]string{}
	for _, p := range []Peer{LeanPromrelay, Prometheus, NodeExporter, {"demo", ".", "./demo", ""}} {
		cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Module,GoFiles,CgoFiles,SFiles", "-tags="+p.tags, p.pkg)
		cmd.Dir = filepath.Join(root, p.dir)
		cmd.Env, cmd.Stderr = buildEnv(cmd.Dir), os.Stderr
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		shared := 0
		for d := json.NewDecoder(strings.NewReader(string(text))); ; {
			var one listed
			if err := d.Decode(&one); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			old, ok := first[one.ImportPath]
			if !ok {
				first[one.ImportPath], from[one.ImportPath] = one, p.Name
				continue
			}
			shared++
			if !reflect.DeepEqual(old, one) {
				t.Errorf("%s is compiled for %s and again for %s:\n%+v of %+v\n%+v of %+v", one.ImportPath, from[one.ImportPath], p.Name,
					old.GoFiles, old.Module, one.GoFiles, one.Module)
			}
		}
		if p.Name != LeanPromrelay.Name && shared < 100 {
			t.Errorf("%s shares %d packages: something was compared wrongly", p.Name, shared)
		}
	}
	for name := range first {
		if strings.HasPrefix(name, "github.com/aws/aws-sdk-go-v2/service/ec2") || strings.HasPrefix(name, "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager") {
			t.Errorf("%s is compiled for %s", name, from[name])
		}
	}
	n, err := Packages(t.Context(), func(string) {}, LeanPromrelay, Prometheus, NodeExporter)
	if err != nil || n > len(first) || n < len(first)-20 {
		t.Errorf("the peers have %d packages, %v; all together %d", n, err, len(first))
	}
}

// What the go command says is shown, or kept for the error.
func TestBuildOutput(t *testing.T) {
	var shown []string
	o := &buildOutput{show: func(what string) { shown = append(shown, what) }}
	for _, part := range []string{"internal/goarch\nnet", "/http\ngo: downloading example.com/x v1.2.3\n# promrelay/x\n", "x/x.go:3:1: syntax error\ngolang.org/x/net/http2\n"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := []string{"internal/goarch", "net/http", "downloading example.com/x v1.2.3", "golang.org/x/net/http2"}; !reflect.DeepEqual(shown, want) {
		t.Errorf("shown: %q", shown)
	}
	if want := "# promrelay/x\nx/x.go:3:1: syntax error\n"; o.rest.String() != want {
		t.Errorf("kept: %q", o.rest.String())
	}
}
