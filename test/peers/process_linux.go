package peers

import "syscall"

// endWithParent makes the kernel kill the child when this process ends, however it ends. A process group of its own
// keeps a Ctrl-C at the terminal from the child, so that whoever started it decides the order of the stops.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
