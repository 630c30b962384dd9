// Package browser opens the pages of a real relay with 10,000 targets in a real browser: Debian's chromium, driven by playwright-core.
// The script click.mjs clicks, and looks for errors on the console, failed and external requests, controls without a name, and pages
// that are wider than a phone.
package browser

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"promrelay/test/peers"
	"promrelay/test/process"
)

var update = flag.Bool("update", false, "write the screenshots of docs/")

// within bounds the whole run of the script. It finds hangs, and measures nothing.
const within = 8 * time.Minute

func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	chromium := require(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	node := require(t, "nodejs", "node")
	npm := require(t, "npm", "npm")
	run(t, 5*time.Minute, nil, npm, "ci", "--no-audit", "--no-fund")
	w := newWorld(t)
	binary, err := peers.BuildPromrelay(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	relay, err := peers.StartRelay(t.Context(), peers.RelayOptions{Dir: w.dir, Config: w.config(), Binary: binary, Args: []string{"--log.level=warn", "--web.enable-tap"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(relay.Kill)
	await(t, relay)
	env := []string{"CHROMIUM=" + chromium, "RELAY=" + relay.URL(), "SECRET=" + password, "SHOTS=" + t.ArtifactDir()}
	if shots := os.Getenv("PROMRELAY_SHOTS"); shots != "" {
		env = append(env, "SHOTS="+shots)
	}
	if *update {
		docs, err := filepath.Abs("../../docs")
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "DOCS="+docs)
	}
	run(t, within, env, node, "click.mjs")
}

// require returns the path of a program. If it is missing the test is skipped, or fails where nothing may be skipped.
func require(t *testing.T, pkg string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("PROMRELAY_NO_SKIP") == "1" {
		t.Fatalf("%s is missing: install the Debian package %s", names[0], pkg)
	}
	t.Skipf("%s is missing: install the Debian package %s", names[0], pkg)
	return ""
}

// run runs a program in this directory, and shows what it prints if it fails.
func run(t *testing.T, within time.Duration, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(program), args, err, out.String())
	}
	t.Log(out.String())
}

// await waits until the relay has found the targets, and scraped those of the shop.
func await(t *testing.T, relay *peers.Relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := process.WaitFor(ctx, "all targets", func() error {
		all, err := relay.Targets(ctx)
		if err != nil {
			return err
		}
		return enough(all)
	})
	if err != nil {
		t.Fatal(err)
	}
}
