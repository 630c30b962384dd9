//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeTerminal has a Ctrl-C reach this process alone. Else make and go, which started it, get it too, and make calls it an error
// however well the demo ends. The function that it returns gives the terminal back.
func takeTerminal() (giveBack func()) {
	tty := int(os.Stdin.Fd())
	before, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	if err != nil || before != unix.Getpgrp() { // no terminal, or in the background
		return func() {}
	}
	// A process that is not in front may not use the terminal, which is what giving it away and taking it back comes to; and one that
	// is stopped there would leave nobody in front.
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTSTP)
	if err := unix.Setpgid(0, 0); err != nil {
		return func() {}
	}
	if err := unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, unix.Getpid()); err != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, before) }
}
