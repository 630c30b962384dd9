package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"promrelay/test/peers"
)

// kept is a program that is started again after it has ended.
type kept struct {
	name   string
	server *peers.Server
	away   time.Duration // from its end to its start, so that one can look
	kill   string        // the command that ends it, without the process id
	look   string        // what to look at, while it is away and afterwards
}

func (s *stage) kept() []kept {
	return []kept{
		{"the receiver", s.receiver.Server, 30 * time.Second, "kill", "/targets: it is down and samples wait, then they are delivered"},
		{"the relay", s.relay.Server, 5 * time.Second, "kill -9", "/targets: it goes on from its log; what it had not delivered is delivered"},
		{"node_exporter", s.nodeExporter, 30 * time.Second, "kill", "/targets: monitoring/node-exporter is down"},
	}
}

// keep starts again what ends, until ctx ends.
func (s *stage) keep(ctx context.Context) {
	var all sync.WaitGroup
	for _, k := range s.kept() {
		all.Go(func() { k.keep(ctx) })
	}
	all.Wait()
}

func (k kept) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.server.Process().Done():
		}
		if ctx.Err() != nil { // both at once
			return
		}
		fmt.Printf("%s  %s has ended. It is started again in %s.\n", time.Now().Format(time.TimeOnly), k.name, k.away)
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.away):
		}
		if err := k.server.Start(ctx); err != nil {
			if ctx.Err() == nil {
				fmt.Printf("%s  %s does not start: %v\n", time.Now().Format(time.TimeOnly), k.name, err)
			}
			continue
		}
		fmt.Printf("%s  %s runs again. To end it once more: %s %d\n", time.Now().Format(time.TimeOnly), k.name, k.kill, k.server.Process().Pid())
	}
}
