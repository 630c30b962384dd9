package cluster

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
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tailLines is how much of a process's log a failed test prints.
const tailLines = 40

// Program says what StartProcess runs.
type Program struct {
	// Path is the executable.
	Path string
	// Args are its arguments, without its own name.
	Args []string
	// Env is added to the test's environment.
	Env []string
	// Log is the file that its output is appended to.
	Log string
}

// Process is a running child of the test. It ends with the test at the latest, also when the test is killed, and
// what is left of its process group ends with it.
type Process struct {
	program Program
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended; err is set before that
	err     error

	mu     sync.Mutex
	reaped bool // the id may be another's; guarded by mu
}

// StartProcess runs a program in a process group of its own and kills that group when the test ends. A failed
// test prints the end of its log.
func StartProcess(t testing.TB, program Program) *Process {
	t.Helper()
	log, err := os.OpenFile(program.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program.Path, program.Args...)
	cmd.Env = append(os.Environ(), program.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{program: program, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", p.name(), err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of %s (%v):\n%s", p.name(), p.err, p.Tail(tailLines))
		}
	})
	return p
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
		p.err = p.reap()
	}
}

// reap waits for the process and ends what it leaves of its group. Until cmd.Wait the kernel keeps the id for it, so
// nobody else's group can be hit.
func (p *Process) reap() error {
	for unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	p.reaped = true
	return p.cmd.Wait()
}

// Pid is the process's id, which is its group's too.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the process ended; call it after Done is closed.
func (p *Process) Err() error { return p.err }

// Signal sends a signal to the process alone, not to its group.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop asks the process to end, and kills its group when it has not ended after the grace. It reports whether the
// process ended by itself.
func (p *Process) Stop(grace time.Duration) bool {
	_ = p.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-p.done:
		return true
	case <-time.After(grace):
		p.Kill()
		return false
	}
}

// Kill ends the process's group at once and waits for the process.
func (p *Process) Kill() {
	p.mu.Lock()
	if !p.reaped {
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	}
	p.mu.Unlock()
	<-p.done
}

// LogPath is the file that holds the process's output.
func (p *Process) LogPath() string { return p.program.Log }

// Tail gives the last n lines of the log.
func (p *Process) Tail(n int) string {
	log, err := os.ReadFile(p.program.Log)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	lines := bytes.SplitAfter(log, []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n-1):], nil))
}

func (p *Process) name() string { return filepath.Base(p.program.Path) }

// await polls a condition until it holds, and gives up early when the process that should bring it about has ended.
func (p *Process) await(t testing.TB, what string, limit time.Duration, condition func() error) {
	t.Helper()
	WaitFor(t, p.name()+" "+what, limit, func() error {
		select {
		case <-p.done:
			t.Fatalf("%s ended before it was %s: %v", p.name(), what, p.err)
			return nil
		default:
			return condition()
		}
	})
}

// WaitFor polls a condition every 20 ms until it holds, and fails the test with the condition's last error when
// that takes longer than the limit.
func WaitFor(t testing.TB, what string, limit time.Duration, condition func() error) {
	t.Helper()
	err := errors.New("never tried")
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = condition(); err == nil {
			return
		}
	}
	t.Fatalf("wait %s for %s: %v", limit, what, err)
}
