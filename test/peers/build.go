package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// The peers.
var (
	Prometheus      = Peer{"prometheus", "test/peers/prometheus", "github.com/prometheus/prometheus/cmd/prometheus", "remove_all_sd,netgo"}
	VictoriaMetrics = Peer{"victoria-metrics", "test/peers/victoriametrics", "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", ""}
	NodeExporter    = Peer{"node_exporter", "test/peers/nodeexporter", "github.com/prometheus/node_exporter", ""}
	Promrelay       = Peer{"promrelay", ".", "./cmd/promrelay", ""}
)

// longerThan is when a build is worth a line on standard error.
const longerThan = 3 * time.Second

// Build compiles a program into dir, with Go alone (no C compiler), and returns its path. An empty dir is .cache/peers in the
// repository. The first build of a peer takes a minute or more; when nothing has changed it takes a second or two. Builds in one dir
// wait for each other, across processes.
func Build(ctx context.Context, dir string, peer Peer) (path string, err error) {
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
	slow := time.AfterFunc(longerThan, func() {
		fmt.Fprintf(os.Stderr, "building %s; the first time this takes minutes\n", peer.Name)
	})
	defer slow.Stop()
	return path, run(ctx, filepath.Join(root, peer.dir), peer.arguments(path))
}

// BuildPromrelay compiles the relay of this repository into dir, as Build does.
func BuildPromrelay(ctx context.Context, dir string) (string, error) {
	return Build(ctx, dir, Promrelay)
}

func (p Peer) arguments(path string) []string {
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", path}
	if p.tags != "" {
		args = append(args, "-tags="+p.tags)
	}
	return append(args, p.pkg)
}

// run runs the go command.
func run(ctx context.Context, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it removes its work directory
	cmd.WaitDelay = 10 * time.Second
	// GOFLAGS of the caller may hold -race or -mod=mod, which are not meant for these.
	cmd.Env = append(slices.Clone(os.Environ()), "PWD="+dir, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
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
