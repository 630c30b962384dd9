package informers

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lookEvery is how often Settle looks whether everything is handled.
const lookEvery = 10 * time.Millisecond

// Settle runs discovery until everything that exists was handled. Then it calls read, while discovery goes on, and ends. If ctx
// ends first, it returns an error that says what is missing.
func (d *Discovery) Settle(ctx context.Context, read func()) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running, nil) }()
	err := d.awaitSettled(ctx, ended)
	if err == nil {
		read()
	}
	cancel()
	return errors.Join(err, <-ended)
}

// awaitSettled waits until discovery is settled. If discovery ends before, its error goes back to ended.
func (d *Discovery) awaitSettled(ctx context.Context, ended chan error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !d.Settled() {
		select {
		case <-ctx.Done():
			if _, err := d.Ready(); err != nil {
				return err
			}
			return fmt.Errorf("discovery has not settled: %w", ctx.Err())
		case err := <-ended:
			ended <- err
			return errors.New("discovery has ended before it was settled")
		case <-tick.C:
		}
	}
	return nil
}
