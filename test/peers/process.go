package peers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// Process is a running child. It ends with this process at the latest, on Linux also when this process is killed.
type Process struct {
	program Program
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended; err is set before that
	err     error
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
	cmd.SysProcAttr = endWithParent()
	p := &Process{program: program, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name(), err)
	}
	return p, nil
}

// run starts the process and waits for it on one thread: the kernel sends the parent-death signal when the thread
// that started a child ends, not only when the process does.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the process ended, with the end of its log, nil if it exited with 0; call it after Done is closed.
func (p *Process) Err() error {
	if p.err == nil {
		return nil
	}
	return p.explain(p.err)
}

// Signal sends a signal; to a process that has ended it is os.ErrProcessDone.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop asks the process to end and waits for it; it is an error if it does not exit with 0 within the grace. After that it is killed.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name(), err)
	}
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		return p.explain(fmt.Errorf("killed, since it did not end within %s", grace))
	}
	return p.Err()
}

// signalled tells whether the process has ended by a signal.
func (p *Process) signalled(sig syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == sig
}

// Kill ends the process at once, as a power loss would, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
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

// explain adds the end of the log to an error.
func (p *Process) explain(err error) error {
	return fmt.Errorf("%s: %w; the end of its log:\n%s", p.name(), err, p.Tail(tailLines))
}

func (p *Process) name() string { return filepath.Base(p.program.Path) }
