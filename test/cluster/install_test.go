//go:build linux

package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"promrelay/test/cluster"
)

const installPage = "../../docs/install.md"

var (
	shellBlock  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	valuesBlock = regexp.MustCompile("(?ms)^```yml\n(.*?)^```$")
)

// notHere begins the commands that need Docker, or a kubelet that runs the pod.
var notHere = regexp.MustCompile(`^(docker|kubectl rollout status|kubectl port-forward|helm test) `)

// TestInstallPage runs the commands of docs/install.md, those of each section in their order on a cluster of its own.
func TestInstallPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(installPage)
	if err != nil {
		t.Fatal(err)
	}
	values := valuesBlock.FindSubmatch(text)
	if values == nil {
		t.Fatal("the page shows no values")
	}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		var commands []string
		for _, block := range shellBlock.FindAllStringSubmatch(section, -1) {
			commands = append(commands, strings.Split(strings.TrimSpace(block[1]), "\n")...)
		}
		t.Run(title, func(t *testing.T) { runsPage(t, commands, values[1]) })
	}
}

func runsPage(t *testing.T, commands []string, values []byte) {
	var c *cluster.Cluster
	dir := t.TempDir()
	for _, command := range commands {
		if notHere.MatchString(command) {
			continue
		}
		if c == nil {
			c = pageCluster(t, dir, values)
		}
		if strings.HasPrefix(command, "kubectl delete") {
			command += " --wait=false" // there is no controller that would let go of what is deleted
		}
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "KUBECONFIG="+c.Kubeconfig(t, "user", "system:masters"))
		out, err := cmd.CombinedOutput()
		if t.Logf("%s\n%s", command, out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "Warning") {
			t.Errorf("%s gives a warning", command)
		}
	}
}

// pageCluster starts a cluster, and makes a directory that has what the page takes for given: deploy/ beside the user's files, and the
// namespace whose Secrets are read.
func pageCluster(t *testing.T, dir string, values []byte) *cluster.Cluster {
	t.Helper()
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	c.Apply(t, fill(namespaceOf, "NS", "shop"))
	deploy, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{filepath.Join(dir, "deploy"): deploy}
	for _, name := range []string{"helm", "kubectl", "promrelay"} {
		links[filepath.Join(bin, name)] = cluster.Path(t, name)
	}
	for link, to := range links {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string][]byte{"prod-1.yaml": values, "password": []byte("secret")} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
