// Package process runs programs as children of a test, and of the demo: it starts them, waits for them, keeps their output and ends
// them. All tests that run a program for longer than one call use it.
//
// A child ends with the process that started it at the latest. On Linux this holds also when that process is killed, and what a child
// leaves of its process group ends with the child. Signals go to the child by its id, never by its name.
//
// The package also gives out free ports and waits for conditions, which whoever starts a server needs. It does not promise that a port
// which was found free is still free when the server asks for it.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// tailLines is how much of a process's log an error holds.
const tailLines = 20

// Program says what Start runs.
type Program struct {
	// Path is the executable.
	Path string
	// Args are its arguments, without its own name.
	Args []string
	// Env is added to this process's environment.
	Env []string
	// Log is the file that its output is appended to.
	Log string
}

// Name is the file's name.
func (p Program) Name() string { return filepath.Base(p.Path) }

// Process is a running child. Its methods may be called by several goroutines.
type Process struct {
	program Program
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended; err is set before that
	err     error

	mu     sync.Mutex
	reaped bool // guarded by mu; after that the id may belong to another process
}

// Start runs a program. The caller ends it with Stop or Kill.
func Start(program Program) (*Process, error) {
	log, err := os.OpenFile(program.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd := exec.Command(program.Path, program.Args...)
	cmd.Env = append(os.Environ(), program.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	p := &Process{program: program, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program.Name(), err)
	}
	return p, nil
}

// run starts the process and waits for it on one thread: the kernel sends the parent-death signal when the thread that started a child
// ends, not only when the process does.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.wait()
	}
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Err tells how the process ended, with the end of its log; it is nil if the process exited with 0. Call it after Done is closed.
func (p *Process) Err() error {
	if p.err == nil {
		return nil
	}
	return p.Explain(p.err)
}

// EndedBy tells whether the process has ended by a signal.
func (p *Process) EndedBy(sig syscall.Signal) bool {
	var exit *exec.ExitError
	if !p.Ended() || !errors.As(p.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == sig
}

// Signal sends a signal to the process alone, not to its group. If the process has ended, the error is os.ErrProcessDone.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop sends SIGTERM and waits. It returns an error if the process does not exit with 0 within the grace; after that the process is
// killed.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.program.Name(), err)
	}
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		return p.Explain(fmt.Errorf("killed, since it did not end within %s", grace))
	}
	return p.Err()
}

// Kill sends SIGKILL, as a crash would end the process, and waits. A process that has ended is left alone.
func (p *Process) Kill() {
	p.mu.Lock()
	if !p.reaped {
		p.kill()
	}
	p.mu.Unlock()
	<-p.done
}

// Tail returns the last n lines of the log.
func (p *Process) Tail(n int) string {
	log, err := os.ReadFile(p.program.Log)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	lines := bytes.SplitAfter(log, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n-1):], nil))
}

// Explain adds the program's name and the end of its log to an error.
func (p *Process) Explain(err error) error {
	return fmt.Errorf("%s: %w; the end of its log:\n%s", p.program.Name(), err, p.Tail(tailLines))
}
