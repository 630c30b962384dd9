package relay

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/wal"
)

// Apply prepares settings and puts them in force.
func (r *Relay) Apply(s Settings) error {
	commit, err := r.Prepare(s)
	if err == nil {
		commit()
	}
	return err
}

// Prepare checks settings and builds what they need. It changes nothing; commit then puts them in force. A destination that stays the
// same is not disturbed. An edited destination continues from its position. A new one starts at the head of the log. A removed one
// that comes back within the grace of the log continues from its position.
func (r *Relay) Prepare(s Settings) (commit func(), err error) {
	clients, err := r.clients(s)
	if err != nil {
		return nil, err
	}
	return func() { r.commit(s, clients) }, nil
}

// commit puts settings in force, with a client for each destination. It does nothing if the log is closed: the relay stops then.
func (r *Relay) commit(s Settings, clients []*client) {
	r.applying.Lock()
	defer r.applying.Unlock()
	running := r.runners()
	var next []*runner
	var ids []string
	for i, cfg := range s.Destinations {
		own := Settings{Destinations: []config.Destination{cfg}, ExternalLabels: s.ExternalLabels, Relay: s.Relay}
		ids = append(ids, cfg.ID())
		if old := find(running, own); old != nil {
			next = append(next, old)
			continue
		}
		d, err := r.newDestination(own, clients[i])
		if err != nil {
			r.log.Warn("destinations stay as they are: the log is closed", zap.NamedError("err", err))
			return
		}
		for _, old := range running {
			if was := old.current.Load(); was.position.Label() == d.position.Label() {
				d.sender.inherit(was.sender)
			}
		}
		next = append(next, newRunner(d, own))
	}
	r.replace(running, next)
	if err := r.wal.Keep(ids); err != nil {
		r.log.Warn("removed destinations are not forgotten", zap.NamedError("err", err))
	}
}

// Check returns the error that Prepare would return for settings that it refuses. It does not ask for credentials that a cloud gives its
// machines: it sends nothing over the network.
func Check(s Settings) error {
	s.Destinations = slices.Clone(s.Destinations)
	for i, d := range s.Destinations {
		s.Destinations[i] = withoutCloud(d)
	}
	_, err := new(Relay).clients(s)
	return err
}

// withoutCloud returns d with nothing in it that makes the library of a cloud look for credentials when the client is made.
func withoutCloud(d config.Destination) config.Destination {
	rw := *d.RemoteWriteConfig
	if s := rw.SigV4Config; s != nil && s.AccessKey == "" {
		given := *s
		given.AccessKey, given.SecretKey = "unused", "unused"
		rw.SigV4Config = &given
	}
	if g := rw.GoogleIAMConfig; g != nil && g.CredentialsFile == "" {
		rw.GoogleIAMConfig = nil
	}
	d.RemoteWriteConfig = &rw
	return d
}

// clients checks settings, and makes a client for each destination.
func (r *Relay) clients(s Settings) (out []*client, err error) {
	var errs []error
	for i, cfg := range s.Destinations {
		if slices.ContainsFunc(s.Destinations[:i], func(d config.Destination) bool { return d.ID() == cfg.ID() }) {
			errs = append(errs, fmt.Errorf("remote_write %q: another one has the same name or URL; give each a name", cfg.Shown()))
		} else if scheme := cfg.URL.Scheme; scheme != "http" && scheme != "https" || cfg.URL.Host == "" {
			errs = append(errs, fmt.Errorf("remote_write %q: url must begin with http:// or https:// and name a host", cfg.Shown()))
		} else if len(cfg.ID()) > wal.MaxID {
			errs = append(errs, fmt.Errorf("remote_write %q: its name or URL has %d bytes, want at most %d", cfg.Shown(), len(cfg.ID()), wal.MaxID))
		} else if c, err := newClient(cfg, s.Relay.RedirectHosts, r.transport); err != nil {
			errs = append(errs, fmt.Errorf("remote_write %q: %w", cfg.Shown(), err))
		} else {
			out = append(out, c)
		}
	}
	return out, errors.Join(errs...)
}

// find returns the running destination that has these settings, nil if there is none.
func find(running []*runner, own Settings) *runner {
	for _, old := range running {
		if reflect.DeepEqual(old.settings, own) {
			return old
		}
	}
	return nil
}

// quitTime is how long a destination whose settings changed may need to finish the requests under way.
const quitTime = time.Second

// replace ends the running destinations that are not in next, then starts the new ones.
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
	r.mu.Lock()
	r.running = next
	r.mu.Unlock()
	for _, d := range next {
		if r.launch != nil && !slices.Contains(running, d) {
			r.launch(d)
		}
	}
}
