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
	done   chan error
}

// runParts starts all parts, and when ctx ends or one of them does, stops them in their order. It returns the error of the part
// that ended first by itself.
func runParts(ctx context.Context, log *zap.Logger, parts ...*part) error {
	type end struct {
		part *part
		err  error
	}
	ended := make(chan end, len(parts))
	for _, p := range parts {
		life, cancel := context.WithCancel(context.WithoutCancel(ctx))
		p.cancel, p.done = cancel, make(chan error, 1)
		go func() {
			err := p.run(life)
			p.done <- err
			if life.Err() == nil {
				ended <- end{p, err}
			}
		}()
	}
	var failed error
	select {
	case <-ctx.Done():
		log.Info("stop")
	case e := <-ended:
		failed = fmt.Errorf("%s has ended: %w", e.part.name, cmp.Or(e.err, errEnded))
		_ = <-e.part.done // what is returned is not logged
		close(e.part.done)
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
	case err := <-p.done:
		if err != nil {
			log.Error("a part ends with an error", zap.String("part", p.name), zap.Error(err))
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
