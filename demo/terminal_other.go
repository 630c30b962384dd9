//go:build !unix

package main

// takeTerminal does nothing here: make is not told of a Ctrl-C as it is on Unix.
func takeTerminal() (giveBack func()) { return func() {} }
