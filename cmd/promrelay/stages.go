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
	// last is called before the part is stopped. It may be nil. It limits its own time.
	last func() error
	// deadline is how long run may take to end.
	deadline time.Duration

	cancel context.CancelFunc
	done   chan struct{} // closed when run has ended
	err    error         // of run; set before done is closed
}

// group runs parts. It stops them in the reverse order of their starts, so that a part outlives those that use it.
type group struct {
	log   *zap.Logger
	parts []*part
	ended chan *part // the first part that ended by itself
}

func newGroup(log *zap.Logger) *group { return &group{log: log, ended: make(chan *part, 1)} }

// start runs a part until the group stops.
func (g *group) start(p *part) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan struct{})
	g.parts = append(g.parts, p)
	go func() {
		defer close(p.done)
		p.err = p.run(ctx)
		if ctx.Err() == nil {
			select {
			case g.ended <- p:
			default:
			}
		}
	}()
}

// wait returns when ctx ends, or with the error of a part that ends by itself.
func (g *group) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		g.log.Info("stopping")
		return nil
	case p := <-g.ended:
		err := fmt.Errorf("%s has ended: %w", p.name, cmp.Or(p.err, errEnded))
		p.err = nil // it is returned, so it is not logged
		return err
	}
}

// stop ends all parts, the last one first.
func (g *group) stop() {
	for len(g.parts) > 0 {
		last := len(g.parts) - 1
		g.parts[last].stop(g.log)
		g.parts = g.parts[:last]
	}
}

func (p *part) stop(log *zap.Logger) {
	if p.last != nil {
		if err := p.last(); err != nil {
			log.Warn("part stops with work left", zap.String("part", p.name), zap.NamedError("err", err))
		}
	}
	p.cancel()
	deadline := time.NewTimer(p.deadline)
	defer deadline.Stop()
	select {
	case <-p.done:
		if p.err != nil {
			log.Error("part ended with an error", zap.String("part", p.name), zap.NamedError("err", p.err))
		}
	case <-deadline.C:
		log.Warn("part did not end in time", zap.String("part", p.name), zap.Duration("after", p.deadline))
	}
}

// idle is the run function of a part that works only at its end.
func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
