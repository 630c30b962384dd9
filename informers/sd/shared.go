package sd

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/informers/guard"
)

// shared is the discoverer that all jobs with equal configurations share. It keeps what was found, and what is wrong. For
// Prometheus's manager it is a discovery.Config. The manager compares Configs with reflect.DeepEqual, and so starts one discoverer
// for all of these jobs.
type shared struct {
	// number comes first because it always differs, so that the comparison ends there. The fields below change while it runs.
	number int
	discovery.Config

	compiled discovery.Config // equal to Config at the start; nobody changes it
	secrets  []string         // values that nobody may see
	guard    *guard.Guard
	notify   func() // of groups to look at

	mu       sync.Mutex
	broken   string // why there is no discoverer, empty if there is one
	begun    time.Time
	failure  string    // the last error that the discoverer logged, empty if it has worked since
	failedAt time.Time // when it logged it
	answered time.Time // when the first groups came, zero before
	byName   map[string]*targetgroup.Group
	changed  bool // byName has changed since clearChanged was called
}

// inParts are mechanisms that find their targets in parts, and go on when one of these fails.
var inParts = []string{"consul", "dns", "file", "kubernetes", "nerve", "serverset"}

// partsWithin is how far the parts of one answer may be apart in time.
const partsWithin = 10 * time.Second

// newShared returns the shared discoverer of a configuration. An HTTP client changes its configuration: on first use it writes the
// proxy for an OAuth2 server into it. So the discoverer gets a copy.
func newShared(number int, c discovery.Config, o Options) *shared {
	s := &shared{number: number, Config: c, compiled: c, secrets: secretsOf(c), notify: o.Notify}
	s.guard = o.Guard.Redacting(s.redact)
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return s
	}
	own := reflect.New(v.Elem().Type())
	own.Elem().Set(v.Elem())
	if f := own.Elem().FieldByName("HTTPClientConfig"); f.IsValid() {
		if client, ok := f.Addr().Interface().(*config_util.HTTPClientConfig); ok && client.OAuth2 != nil {
			oauth2 := *client.OAuth2
			client.OAuth2 = &oauth2
		}
	}
	s.Config = own.Interface().(discovery.Config)
	return s
}

// NewDiscoverer implements discovery.Config.
func (s *shared) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	d, err := s.newDiscoverer(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.broken = err.Error()
		return nil, err
	}
	s.broken, s.begun = "", time.Now()
	return &restarting{shared: s, options: o, first: d}, nil
}

// newDiscoverer makes a discoverer of the mechanism.
func (s *shared) newDiscoverer(o discovery.DiscovererOptions) (d discovery.Discoverer, err error) {
	o.Logger = s.logger(o.Logger)
	if panicked := s.guard.Call(guard.Discovery, s.Name(), func() { d, err = s.Config.NewDiscoverer(o) }); panicked != nil {
		return nil, panicked
	}
	if err != nil {
		return nil, errors.New(s.redact(err.Error()))
	}
	return d, nil
}

// store keeps what was found. With first, it replaces all that was found before.
func (s *shared) store(groups []*targetgroup.Group, first bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		s.byName = map[string]*targetgroup.Group{}
	}
	for _, g := range groups {
		switch {
		case g == nil: // some discoverers send nil groups
		case len(g.Targets) == 0:
			delete(s.byName, g.Source)
		default: // a group of another discoverer may have the same name
			own := *g
			own.Source = fmt.Sprintf("%d %s", s.number, g.Source)
			s.byName[g.Source] = &own
		}
	}
	s.changed = true
	parts := slices.Contains(inParts, s.Name())
	if s.answered.IsZero() {
		if s.answered = now; parts {
			time.AfterFunc(partsWithin, s.notify)
		}
	}
	if !parts || now.Sub(s.failedAt) >= partsWithin {
		s.failure = ""
	}
}

// found returns the groups as they are now. No other shared discoverer has groups with the same Sources.
func (s *shared) found() []*targetgroup.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*targetgroup.Group, 0, len(s.byName))
	for _, g := range s.byName {
		out = append(out, g)
	}
	return out
}

// clearChanged reports whether found returns something else than at the previous call of clearChanged.
func (s *shared) clearChanged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.changed
	s.changed = false
	return was
}

// isBroken reports whether there is no discoverer.
func (s *shared) isBroken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken != ""
}

// complete reports whether the discoverer has answered in full.
func (s *shared) complete(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.answered.IsZero() && (!slices.Contains(inParts, s.Name()) || now.Sub(s.answered) >= partsWithin)
}

// unanswered says that the discoverer has found nothing, empty if it has found something.
func (s *shared) unanswered() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.answered.IsZero():
		return s.Name() + "_sd_configs has not answered yet"
	case len(s.byName) == 0:
		return s.Name() + "_sd_configs answered with no targets"
	}
	return ""
}
