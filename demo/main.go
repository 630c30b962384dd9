// Command demo runs promrelay with everything around it, on loopback: exporters that look like a small cluster, the manifests of that
// cluster, and a Prometheus that stores what the relay sends. It needs no more than Go. "make demo" runs it until Ctrl-C, and starts again
// any program that somebody ends meanwhile. With -check it queries the receiver until everything has arrived; if something is missing
// after a while, it lists it and exits with 1.
//
// It leaves nothing behind except the programs that it built, in .cache/peers.
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
	case ctx.Err() != nil && !*checkOnly: // a person has ended the demo, so this is no failure
		fmt.Fprintf(os.Stderr, "demo: stopped, with errors: %v\n", err)
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
