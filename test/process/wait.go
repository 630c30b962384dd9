package process

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// WaitFor polls a condition every 20 ms until it holds. It ends early when the context does, and then returns the condition's last
// error too, or when the condition returns an error that Final made.
func WaitFor(ctx context.Context, what string, condition func() error) error {
	start := time.Now()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		var final finalError
		if errors.As(err, &final) {
			return fmt.Errorf("wait for %s: %w", what, final.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, for %s: %w: %w", what, time.Since(start).Round(time.Millisecond), ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// finalError ends a WaitFor.
type finalError struct{ error }

// Final marks an error of a condition that cannot come true any more.
func Final(err error) error { return finalError{err} }

// WaitFor is the function WaitFor, and gives up when the process ends.
func (p *Process) WaitFor(ctx context.Context, what string, condition func() error) error {
	err := WaitFor(ctx, p.program.Name()+" to be "+what, func() error {
		if p.Ended() {
			return Final(fmt.Errorf("it ended: %w", p.err))
		}
		return condition()
	})
	if err != nil {
		return p.Explain(err)
	}
	return nil
}
