//go:build !linux

package process

import "syscall"

// attributes are none: only Linux has a parent-death signal.
func attributes() *syscall.SysProcAttr { return nil }

func (p *Process) wait() error { return p.cmd.Wait() }

// kill ends the process alone. os.Process takes care that its id is still its own.
func (p *Process) kill() { _ = p.cmd.Process.Kill() }
