//go:build unix

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"promrelay/test/peers"
)

// patience is how long any step of the demo may take on a machine that does other things too.
const patience = 3 * time.Minute

// TestPlay is a person who ends the relay and the node_exporter, sees the relay come back, and presses Ctrl-C while the node_exporter
// is away: the demo exits with 0 and leaves nothing behind.
func TestPlay(t *testing.T) {
	if testing.Short() {
		t.Skip("this builds and runs all of the demo")
	}
	for _, p := range []peers.Peer{peers.LeanPromrelay, peers.NodeExporter, peers.Prometheus} { // outside of the demo's time
		if _, err := peers.Build(t.Context(), "", p); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	said, stdout := io.Pipe()
	cmd.Stdout, cmd.Stderr = stdout, stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() {
		exited <- cmd.Wait()
		stdout.Close()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := make(chan string, 1000)
	go func() {
		for s := bufio.NewScanner(said); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	until := func(pattern string) []string { return awaitLine(t, lines, regexp.MustCompile(pattern)) }

	logs := until(`log of the relay +(/.*)`)[1]
	if _, err := os.Stat(logs); err != nil {
		t.Errorf("the relay's log: %v", err)
	}
	relay := until(`kill -9 (\d+) +ends the relay`)[1]
	exporter := until(`kill (\d+) +ends node_exporter`)[1]
	until("Ctrl-C stops everything")
	end(t, relay, syscall.SIGKILL)
	until("the relay has ended")
	if again := until(`the relay runs again\. To end it once more: kill -9 (\d+)`)[1]; again == relay {
		t.Errorf("process %s is the one that was ended", again)
	}
	end(t, exporter, syscall.SIGTERM)
	until("node_exporter has ended")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	until("stopping")
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("Ctrl-C: %v", err)
		}
	case <-time.After(patience):
		t.Error("the demo does not end")
	}
	for line := range lines {
		t.Errorf("said at the end: %s", line)
	}
	if _, err := os.Stat(logs); err == nil {
		t.Errorf("%s was left behind", logs)
	}
}

// end sends a signal to a process of the demo.
func end(t *testing.T, pid string, signal syscall.Signal) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, signal); err != nil {
		t.Fatal(err)
	}
}

// awaitLine returns the submatches in the first line that matches.
func awaitLine(t *testing.T, lines <-chan string, want *regexp.Regexp) []string {
	t.Helper()
	var before []string
	limit := time.After(patience)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the demo ended before it said %q:\n%s", want, strings.Join(before, "\n"))
			}
			if m := want.FindStringSubmatch(line); m != nil {
				return m
			}
			before = append(before, line)
		case <-limit:
			t.Fatalf("the demo does not say %q:\n%s", want, strings.Join(before, "\n"))
		}
	}
}
