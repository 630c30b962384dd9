package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell starts a script and waits until it has written "begun".
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start(Program{Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.WaitFor(ctx, "begun", func() error {
		if !strings.Contains(p.Tail(1), "begun") {
			return errors.New("it has written nothing")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestStop ends a program that obeys a signal, one that ignores it, and one with a child of its own, which ends too.
func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		by     syscall.Signal // 0: it exits with 0
	}{
		"exits":   {"trap 'exit 0' TERM; echo begun; while :; do sleep 0.1; done", 0},
		"obeys":   {"echo begun; exec sleep 60", syscall.SIGTERM},
		"ignores": {"trap '' TERM; echo begun; while :; do sleep 60; done", syscall.SIGKILL},
		"family":  {"sleep 60 & echo begun; wait", syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := shell(t, c.script)
			err := p.Stop(500 * time.Millisecond)
			if (err == nil) != (c.by == 0) || c.by != 0 && !p.EndedBy(c.by) {
				t.Errorf("stopped with %v", err)
			}
			if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("signal to a process that has ended: %v", err)
			}
			p.Kill() // does nothing
			if runtime.GOOS != "linux" {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := WaitFor(ctx, "the process group to be empty", func() error {
				if err := syscall.Kill(-p.Pid(), 0); err != syscall.ESRCH {
					return errors.New("somebody is left")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestErrors looks at what a person is told of a program that does not start, or that ends by itself.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Start(Program{Path: filepath.Join(dir, "absent"), Log: filepath.Join(dir, "log")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent program: %v", err)
	}
	p, err := Start(Program{Path: "/bin/sh", Args: []string{"-c", "echo no such flag >&2; exit 3"}, Log: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("have %v", err)
	}
	if err := p.WaitFor(t.Context(), "ready", func() error { return errors.New("never") }); err == nil || !strings.Contains(err.Error(), "it ended") {
		t.Errorf("wait for a process that has ended: %v", err)
	}
}
