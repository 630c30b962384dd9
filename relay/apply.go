package relay

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"promrelay/config"
)

// Apply makes the relay serve the destinations of the settings. One that stays the same is not disturbed. One that was edited continues
// from its position. A new one starts at the head of the log. A removed one finds its position again within the grace of the log. After
// an error nothing has changed.
func (r *Relay) Apply(s Settings) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	if err := Check(s); err != nil {
		return err
	}
	running := r.runners()
	var next []*runner
	var ids []string
	var errs []error
	for _, cfg := range s.Destinations {
		own := Settings{Destinations: []config.Destination{cfg}, ExternalLabels: s.ExternalLabels, Relay: s.Relay}
		ids = append(ids, cfg.ID())
		if old := find(running, own); old != nil {
			next = append(next, old)
			continue
		}
		d, err := r.newDestination(own)
		if err != nil {
			errs = append(errs, fmt.Errorf("remote_write %q: %w", cfg.Shown(), err))
			continue
		}
		for _, old := range running {
			if was := old.current.Load(); was.position.Label() == d.position.Label() {
				d.sender.inherit(was.sender)
			}
		}
		next = append(next, newRunner(d, own))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.replace(running, next)
	return r.wal.Keep(ids)
}

// Check returns the error that Apply would return for settings that it refuses.
func Check(s Settings) error {
	var errs []error
	for i, cfg := range s.Destinations {
		if slices.ContainsFunc(s.Destinations[:i], func(d config.Destination) bool { return d.ID() == cfg.ID() }) {
			errs = append(errs, fmt.Errorf("remote_write %q: another one has the same name or URL; give each a name", cfg.Shown()))
		} else if scheme := cfg.URL.Scheme; scheme != "http" && scheme != "https" || cfg.URL.Host == "" {
			errs = append(errs, fmt.Errorf("remote_write %q: url must begin with http:// or https:// and name a host", cfg.Shown()))
		} else if _, err := newClient(cfg, nil, nil); err != nil {
			errs = append(errs, fmt.Errorf("remote_write %q: %w", cfg.Shown(), err))
		}
	}
	return errors.Join(errs...)
}

// find returns the destination that was made with these settings, nil if there is none.
func find(running []*runner, own Settings) *runner {
	for _, old := range running {
		if reflect.DeepEqual(old.settings, own) {
			return old
		}
	}
	return nil
}

// quitTime is how long a destination whose settings changed may take to finish what is under way.
const quitTime = time.Second

// replace ends the running destinations that are not among next, then starts those that are new.
func (r *Relay) replace(running, next []*runner) {
	old := slices.DeleteFunc(slices.Clone(running), func(d *runner) bool { return slices.Contains(next, d) })
	for _, d := range old {
		close(d.quit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), quitTime)
	defer cancel()
	for _, d := range old {
		if d.stop != nil {
			select {
			case <-d.done:
			case <-ctx.Done():
			}
			d.stop()
			<-d.done
		}
		label := d.current.Load().position.Label()
		if !slices.ContainsFunc(next, func(d *runner) bool { return d.current.Load().position.Label() == label }) {
			r.metrics.forget(label)
		}
	}
	for _, d := range next {
		if r.launch != nil && !slices.Contains(running, d) {
			r.launch(d)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = next
}
