// Command demo runs promrelay with everything around it, on loopback, with Go alone: exporters that look like a small
// cluster, the manifests of that cluster, and a Prometheus that stores what the relay sends. "make demo" runs it until
// Ctrl-C, which it exits with 0 at, and brings back what somebody ends meanwhile; with -check it looks with PromQL whether
// everything arrived, and exits with 1 and what is missing if not.
//
// It leaves nothing behind but the programs that it built, in .cache/peers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// checkWithin is how long after the start everything must have arrived.
const checkWithin = 90 * time.Second

func main() {
	checkOnly := flag.Bool("check", false, "check that everything arrives at the receiver, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the demo at once
	giveBack := takeTerminal()
	err := run(ctx, *checkOnly)
	giveBack()
	switch {
	case err == nil:
	case ctx.Err() != nil && !*checkOnly: // that is how a person ends it, whatever was ended before
		fmt.Fprintf(os.Stderr, "demo: ended. What did not end well: %v\n", err)
	default:
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, checkOnly bool) (err error) {
	bin, err := buildAll(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "promrelay-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := startStage(ctx, dir, bin)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return err
	}
	if checkOnly {
		checking, cancel := context.WithTimeout(ctx, checkWithin)
		defer cancel()
		return s.check(checking)
	}
	s.welcome()
	s.keep(ctx)
	fmt.Println("\nstopping")
	return nil
}
