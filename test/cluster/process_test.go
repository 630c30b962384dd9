package cluster_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"promrelay/test/cluster"
)

// TestProcess ends a program that listens to a signal, one that does not, and one with a child of its own.
func TestProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		asked  bool // it ends by itself when asked
	}{
		"obeys":   {script: "echo begun; exec sleep 60", asked: true},
		"ignores": {script: "trap '' TERM; echo begun; while :; do sleep 60; done"},
		"family":  {script: "sleep 60 & echo begun; wait", asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "log")
			p := cluster.StartProcess(t, cluster.Program{Path: "/bin/sh", Args: []string{"-c", c.script}, Log: log})
			cluster.WaitFor(t, "the program to begin", 10*time.Second, func() error {
				if !strings.Contains(p.Tail(1), "begun") {
					return syscall.EAGAIN
				}
				return nil
			})
			if asked := p.Stop(300 * time.Millisecond); asked != c.asked {
				t.Errorf("ended when asked: %t, want %t", asked, c.asked)
			}
			p.Kill()
			cluster.WaitFor(t, "the process group to be empty", 5*time.Second, func() error {
				if err := syscall.Kill(-p.Pid(), 0); err != syscall.ESRCH {
					return syscall.EBUSY
				}
				return nil
			})
		})
	}
}
