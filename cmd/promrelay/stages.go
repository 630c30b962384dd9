package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

var errEnded = errors.New("by itself")

// part is something that runs until the relay stops.
type part struct {
	name string
	run  func(context.Context) error
	// last is done before the part is stopped; nil for nothing. It bounds its own time.
	last func() error
	// deadline is how long run may take to end.
	deadline time.Duration

	cancel context.CancelFunc
	done   chan struct{} // closed when run has ended
	err    error         // of run, before done is closed
}

// runParts starts all parts, and when ctx ends or one of them does, stops them in their order. It returns the error of the part
// that ended first by itself.
func runParts(ctx context.Context, log *zap.Logger, parts ...*part) error {
	ended := make(chan *part, len(parts))
	for _, p := range parts {
		life, cancel := context.WithCancel(context.WithoutCancel(ctx))
		p.cancel, p.done = cancel, make(chan struct{})
		go func() {
			defer close(p.done)
			p.err = p.run(life)
			if life.Err() == nil {
				ended <- p
			}
		}()
	}
	var failed error
	select {
	case <-ctx.Done():
		log.Info("stop")
	case p := <-ended:
		failed = fmt.Errorf("%s has ended: %w", p.name, cmp.Or(p.err, errEnded))
		p.err = nil // what is returned is not logged
	}
	for _, p := range parts {
		p.stop(log)
	}
	return failed
}

func (p *part) stop(log *zap.Logger) {
	if p.last != nil {
		if err := p.last(); err != nil {
			log.Warn("stop all the same", zap.String("part", p.name), zap.Error(err))
		}
	}
	p.cancel()
	select {
	case <-p.done:
		if p.err != nil {
			log.Error("a part ends with an error", zap.String("part", p.name), zap.Error(p.err))
		}
	case <-time.After(p.deadline):
		log.Warn("stop without waiting longer", zap.String("part", p.name), zap.Duration("after", p.deadline))
	}
}

// idle runs a part that only has something to do at its end.
func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
