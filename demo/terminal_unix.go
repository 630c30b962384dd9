//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeTerminal makes Ctrl-C reach this process alone. Otherwise make and go, which started it, get it, too, and make reports an error even if
// the demo ends well. The function that it returns gives the terminal back.
func takeTerminal() (giveBack func()) {
	tty := int(os.Stdin.Fd())
	before, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	if err != nil || before != unix.Getpgrp() { // no terminal, or in the background
		return func() {}
	}
	// A process in the background is stopped when it changes the foreground group, as it does here when it gives the terminal back. Then no
	// process would be in the foreground. So the signals for that are ignored.
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTSTP)
	if err := unix.Setpgid(0, 0); err != nil {
		return func() {}
	}
	if err := unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, unix.Getpid()); err != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, before) }
}
