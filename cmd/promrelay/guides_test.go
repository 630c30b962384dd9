package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guide is a document with commands. Its first configuration is promrelay.yml in the directory where they run.
type guide struct {
	files map[string]string // in the directory where the commands run, and where they come from
	// elsewhere are commands that need a cluster or a server, by the test that runs them.
	elsewhere map[string]string
	// before is a file that stands in the document as it is.
	before string
}

var guides = map[string]guide{
	"from-categraf.md": {
		files: map[string]string{
			"categraf/daemonset.yaml":  "../../config/categraf/testdata/eks/daemonset.yaml",
			"categraf/deployment.yaml": "../../config/categraf/testdata/eks/deployment.yaml",
		},
	},
	"lint.md": {
		files: map[string]string{
			"k8s/app.yaml": "lint/testdata/good/cart.yaml", "k8s/service.yaml": "lint/testdata/good/service.yaml", "k8s/monitor.yaml": "lint/testdata/good/monitor.yaml",
			"promrelay.yml": "testdata/monitors.yml",
		},
		elsewhere: map[string]string{"promrelay lint --kubeconfig=$HOME/.kube/config k8s/": "TestLintOfCluster"},
	},
	"from-prometheus-operator.md": {
		files: map[string]string{"agent.yaml": "testdata/migrate/agent.yaml"},
		elsewhere: map[string]string{
			"promrelay migrate prometheusagent monitoring/shop --output=promrelay.yml --patch=patch.yaml": "TestMigrateFromCluster in test/cluster",
		},
	},
	"from-alloy.md": {before: "testdata/guides/config.alloy"},
	"from-vmagent.md": {
		before: "testdata/guides/vmagent.yml",
	},
	"compare.md": {elsewhere: map[string]string{
		"promrelay compare --prometheus=http://prometheus:9090 --kubeconfig=kubeconfig --config.file=promrelay.yml": "TestCompare in test/cluster",
	}},
	"eks-amp.md": {},
}

var (
	shellBlock  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	configBlock = regexp.MustCompile("(?ms)^```yaml\n(global:.*?)^```$")
)

// serverOf matches the servers that documents name.
var serverOf = regexp.MustCompile(`http://(prometheus|vmagent|promrelay|receiver):[0-9]+`)

// noTargets answers as a Prometheus or a relay without targets and series does.
func noTargets(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/api/v1/targets" {
		fmt.Fprint(w, `{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"monitors":[]}}`)
		return
	}
	fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
}

// TestGuides runs the commands of guides.
func TestGuides(t *testing.T) {
	program := built(t)
	server := httptest.NewServer(http.HandlerFunc(noTargets))
	defer server.Close()
	for page, g := range guides {
		t.Run(page, func(t *testing.T) {
			dir := t.TempDir()
			for name, from := range g.files {
				text, err := os.ReadFile(from)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
			if err != nil {
				t.Fatal(err)
			}
			if before, err := os.ReadFile(g.before); g.before != "" && (err != nil || !strings.Contains(string(text), "\n"+string(before)+"```\n")) {
				t.Errorf("the page does not show %s as it is: %v", g.before, err)
			}
			if config := configBlock.FindSubmatch(text); config != nil {
				if err := os.WriteFile(filepath.Join(dir, "promrelay.yml"), config[1], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			n := 0
			for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
				for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
					words := strings.Fields(line)
					if len(words) == 0 || words[0] != name || g.elsewhere[strings.Join(words, " ")] != "" {
						continue
					}
					n++
					cmd := exec.Command("sh", "-c", program+serverOf.ReplaceAllString(strings.TrimPrefix(line, name), server.URL))
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%s: %v\n%s", strings.TrimSpace(line), err, out)
					}
				}
			}
			if n == 0 {
				t.Error("the page has no command that is run here")
			}
		})
	}
}
