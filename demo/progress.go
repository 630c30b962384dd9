package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"promrelay/test/peers"
)

// binaries are the paths of what buildAll built.
type binaries struct{ relay, receiver, nodeExporter string }

// buildAll builds what the demo runs. If it was built before, this takes some seconds.
func buildAll(ctx context.Context) (b binaries, err error) {
	p := newProgress(os.Stdout)
	all := []struct {
		peer peers.Peer
		path *string
	}{{peers.LeanPromrelay, &b.relay}, {peers.NodeExporter, &b.nodeExporter}, {peers.Prometheus, &b.receiver}}
	var programs []peers.Peer
	for _, one := range all {
		programs = append(programs, one.peer)
	}
	fmt.Println("building promrelay, without the service discoveries of clouds, node_exporter, and a Prometheus as the receiver")
	p.begin("looking")
	if p.total, err = peers.Packages(ctx, p.show, programs...); err != nil {
		return b, err
	}
	for _, one := range all {
		p.begin(one.peer.Name)
		if *one.path, err = peers.BuildShown(ctx, "", one.peer, p.show); err != nil {
			return b, err
		}
	}
	p.end()
	return b, nil
}

// progress shows what is compiled: on a terminal in one line that changes, otherwise in a line from time to time.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	total, done int // packages
	program     string
	start, last time.Time // of the build, and of the last output
}

// The time between two lines.
const (
	onTerminal = 200 * time.Millisecond
	elsewhere  = 10 * time.Second
)

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	p := &progress{out: out, now: time.Now, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
	p.start = p.now()
	p.last = p.start
	return p
}

func (p *progress) begin(program string) { p.program = program }

// show takes a line of the go command: a package that is compiled, or a download.
func (p *progress) show(what string) {
	if !strings.Contains(what, " ") {
		p.done++
	}
	now := p.now()
	pause := elsewhere
	if p.terminal {
		pause = onTerminal
	}
	if now.Sub(p.last) < pause {
		return
	}
	p.last = now
	line := fmt.Sprintf("  %s, %s: %s", now.Sub(p.start).Round(time.Second), p.program, what)
	if p.total > 0 {
		line = fmt.Sprintf("  %s, %d of %d packages, %s: %s", now.Sub(p.start).Round(time.Second), p.done, max(p.total, p.done), p.program, what)
	}
	if !p.terminal {
		fmt.Fprintln(p.out, line)
		return
	}
	const width = 79 // the next line cannot overwrite one that wraps
	fmt.Fprintf(p.out, "\r%-*s", width, line[:min(len(line), width)])
}

// end shows how long it took, if that was long.
func (p *progress) end() {
	if p.terminal && p.last != p.start {
		fmt.Fprintf(p.out, "\r%79s\r", "")
	}
	if p.done > 0 {
		fmt.Fprintf(p.out, "compiled %d packages in %s; the next time they are there\n", p.done, p.now().Sub(p.start).Round(time.Second))
	}
}
