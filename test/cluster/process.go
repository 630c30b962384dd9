//go:build linux

package cluster

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"promrelay/test/process"
)

// tailLines is how much of a process's log a failed test prints.
const tailLines = 40

// StartProcess runs a program until the test ends. A failed test prints the end of its log.
func StartProcess(t testing.TB, program process.Program) *process.Process {
	t.Helper()
	p, err := process.Start(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", program.Name(), p.Tail(tailLines))
		}
	})
	return p
}

// await waits until a server is healthy, ready or the like, and gives up when it has ended.
func await(t testing.TB, p *process.Process, what string, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := p.WaitFor(ctx, what, condition); err != nil {
		t.Fatal(err)
	}
}

// WaitFor polls a condition until it holds, and fails the test with the condition's last error when that takes longer than the limit.
func WaitFor(t testing.TB, what string, limit time.Duration, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := process.WaitFor(ctx, what, condition); err != nil {
		t.Fatal(err)
	}
}

// Port returns a loopback TCP port that nothing listens on and that this process has not been given before.
func Port(t testing.TB) int {
	t.Helper()
	address, err := process.FreeAddress("")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(address)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
