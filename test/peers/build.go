package peers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Peer is a program that Build makes.
type Peer struct {
	// Name is the file's name.
	Name string
	// dir is where "go build" runs, from the repository's root.
	dir string
	// pkg is what "go build" is given.
	pkg string
	// tags leave out what nobody needs here and much of what takes long to build.
	tags string
}

// lean leaves out Prometheus's service discoveries but those by files and HTTP. It is to be the only tag: one that the standard
// library knows, such as netgo, has nearly everything compiled once more.
const lean = "remove_all_sd"

// The peers. Versions in their go.mod are those of ours where both have a module, so that nothing is compiled twice.
var (
	Prometheus = Peer{"prometheus", "test/peers/prometheus", "github.com/prometheus/prometheus/cmd/prometheus", lean}
	// KubernetesPrometheus also discovers targets in a cluster.
	KubernetesPrometheus = Peer{"prometheus-kubernetes", "test/peers/prometheus", "github.com/prometheus/prometheus/cmd/prometheus", lean + ",enable_kubernetes_sd"}
	// Promtool tests rules.
	Promtool        = Peer{"promtool", "test/peers/prometheus", "github.com/prometheus/prometheus/cmd/promtool", lean}
	VictoriaMetrics = Peer{"victoria-metrics", "test/peers/victoriametrics", "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", ""}
	NodeExporter    = Peer{"node_exporter", "test/peers/nodeexporter", "github.com/prometheus/node_exporter", ""}
	Promrelay       = Peer{"promrelay", ".", "./cmd/promrelay", ""}
	// LeanPromrelay is the relay without the service discoveries of clouds, whose SDKs take most of the time to compile.
	LeanPromrelay = Peer{"promrelay-lean", ".", "./cmd/promrelay", lean}
)

// longerThan is when a build is worth a line on standard error.
const longerThan = 3 * time.Second

// Build compiles a program into dir, with Go alone (no C compiler), and returns its path. An empty dir is .cache/peers in the
// repository. The first build of a peer takes a minute or more; when nothing has changed it takes a second or two. Builds in one dir
// wait for each other, across processes.
func Build(ctx context.Context, dir string, peer Peer) (path string, err error) {
	slow := time.AfterFunc(longerThan, func() {
		fmt.Fprintf(os.Stderr, "building %s; the first time this takes minutes\n", peer.Name)
	})
	defer slow.Stop()
	return BuildShown(ctx, dir, peer, func(string) {})
}

// BuildShown is Build, and shows what is done: the path of each package that is compiled, and "downloading" with a module and its
// version.
func BuildShown(ctx context.Context, dir string, peer Peer, show func(what string)) (path string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if dir == "" {
		dir = filepath.Join(root, ".cache", "peers")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", peer.Name, err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return "", fmt.Errorf("build %s: lock %s: %w", peer.Name, dir, err)
	}
	defer unlock()
	path = filepath.Join(dir, peer.Name)
	return path, run(ctx, filepath.Join(root, peer.dir), peer.arguments(path), show)
}

// BuildPromrelay compiles the relay of this repository into dir, as Build does.
func BuildPromrelay(ctx context.Context, dir string) (string, error) {
	return Build(ctx, dir, Promrelay)
}

func (p Peer) arguments(path string) []string {
	args := []string{"build", "-v", "-trimpath", "-ldflags=-s -w", "-o", path}
	if p.tags != "" {
		args = append(args, "-tags="+p.tags)
	}
	return append(args, p.pkg)
}

// run runs "go build -v".
func run(ctx context.Context, dir string, args []string, show func(what string)) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it removes its work directory
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = buildEnv(dir)
	output := &buildOutput{show: show}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, output.rest.String())
	}
	return nil
}

// buildOutput takes what "go build -v" writes.
type buildOutput struct {
	show func(what string)
	line []byte
	rest strings.Builder // lines that show nothing of its work
}

// Write is called by one goroutine at a time: os/exec sees that both streams are the same.
func (o *buildOutput) Write(p []byte) (int, error) {
	o.line = append(o.line, p...)
	for {
		line, more, ok := bytes.Cut(o.line, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		if text := strings.TrimPrefix(string(line), "go: "); shownLine.MatchString(text) {
			o.show(text)
		} else {
			o.rest.WriteString(text + "\n")
		}
		o.line = append([]byte(nil), more...)
	}
}

// shownLine names a package, or a module that is downloaded.
var shownLine = regexp.MustCompile(`^([a-zA-Z0-9][^\s:]*|downloading \S+ \S+)$`)

// Packages counts the packages that some peers are made of, each once. What it downloads for that is shown as by BuildShown.
func Packages(ctx context.Context, show func(what string), of ...Peer) (int, error) {
	root, err := Root()
	if err != nil {
		return 0, err
	}
	all := map[string]bool{}
	for _, p := range of {
		cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-tags="+p.tags, p.pkg)
		cmd.Dir = filepath.Join(root, p.dir)
		cmd.Env = buildEnv(cmd.Dir)
		errs := &buildOutput{show: show}
		cmd.Stderr = errs
		output, err := cmd.Output()
		if err != nil {
			return 0, fmt.Errorf("list the packages of %s: %w\n%s", p.Name, err, errs.rest.String())
		}
		for name := range strings.Lines(string(output)) {
			all[name] = true
		}
	}
	return len(all), nil
}

// buildEnv is the environment of the go command. GOFLAGS of the caller may hold -race or -mod=mod, which are not meant for these.
func buildEnv(dir string) []string {
	return append(slices.Clone(os.Environ()), "PWD="+dir, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
}

// Root is the directory of promrelay's go.mod. The working directory is to be in that module or in one that requires it.
var Root = sync.OnceValues(func() (string, error) {
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "promrelay").Output()
	root := strings.TrimSpace(string(output))
	if err != nil || root == "" {
		return "", fmt.Errorf("find promrelay's module: %w", err)
	}
	return root, nil
})
