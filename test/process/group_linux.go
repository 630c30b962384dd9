package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes make the kernel kill the child when this process ends, however it ends. A process group of its own keeps a Ctrl-C at the
// terminal from the child, so that whoever started it decides the order of the stops.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// wait waits for the process and ends what is left of its group. Until cmd.Wait the kernel keeps the id for it, so that no other group
// can be hit.
func (p *Process) wait() error {
	for unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	p.reaped = true
	return p.cmd.Wait()
}

// kill ends the process's group.
func (p *Process) kill() { _ = syscall.Kill(-p.Pid(), syscall.SIGKILL) }
