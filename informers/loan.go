package informers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
)

// loan is a service discovery that is lent to the manager. There is one for all jobs that have equal configurations, so that it is
// started once for them; it holds what was found and what is wrong. It is a discovery.Config.
type loan struct {
	// number comes first: the manager compares loans field by field, and is not to look at what discoverers change.
	number int
	discovery.Config

	is      discovery.Config // Config as it was compiled; nobody changes it
	secrets []string         // values that no message may show
	log     *zap.Logger
	note    func() // of groups to look at
	panics  *panics

	mu         sync.Mutex
	broken     string // why there is no discoverer, empty if there is one
	begun      time.Time
	complaint  string // what the discoverer logged last as an error, empty if it has worked since
	complained time.Time
	answered   time.Time                     // when the first groups came, zero before
	groups     map[string]*targetgroup.Group // by the names that the discoverer gave them
	fresh      bool                          // groups have changed since they were looked at
}

// inParts are mechanisms that find their targets in parts, and go on when one of these fails.
var inParts = []string{"consul", "dns", "file", "kubernetes", "nerve", "serverset"}

const (
	// together is how long the parts of one answer may be apart.
	together = 10 * time.Second
	// silence is how long a discoverer may fail without saying so again, beside two of its intervals: some ask for changes, and
	// wait for minutes, and others find that nothing has changed and send nothing.
	silence = 3 * time.Minute
)

// newLoan lends a service discovery. An HTTP client changes its configuration: the way through a proxy to an OAuth2 server is
// noted when it is used first. So the discoverer has a copy.
func newLoan(number int, sd discovery.Config, log *zap.Logger, note func()) *loan {
	l := &loan{number: number, Config: sd, is: sd, secrets: secretsOf(sd), log: log, note: note}
	v := reflect.ValueOf(sd)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return l
	}
	c := reflect.New(v.Elem().Type())
	c.Elem().Set(v.Elem())
	if f := c.Elem().FieldByName("HTTPClientConfig"); f.IsValid() {
		if client, ok := f.Addr().Interface().(*config_util.HTTPClientConfig); ok && client.OAuth2 != nil {
			o := *client.OAuth2
			client.OAuth2 = &o
		}
	}
	l.Config = c.Interface().(discovery.Config)
	return l
}

// NewDiscoverer implements discovery.Config.
func (l *loan) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	d, err := l.begin(o)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.broken = err.Error()
		return nil, err
	}
	l.broken, l.begun = "", time.Now()
	return &borrowed{loan: l, options: o, first: d}, nil
}

// begin makes a discoverer.
func (l *loan) begin(o discovery.DiscovererOptions) (d discovery.Discoverer, err error) {
	defer l.rescue(func(what string) { d, err = nil, errors.New(what) })
	o.Logger = l.listen(o.Logger)
	if d, err = l.Config.NewDiscoverer(o); err != nil {
		return nil, errors.New(l.clean(err.Error()))
	}
	return d, nil
}

// rescue recovers from a panic and says what it was. It is to be deferred.
func (l *loan) rescue(say func(what string)) {
	if p := recover(); p != nil {
		what := l.clean(fmt.Sprintf("panic: %v", p))
		if l.panics.first(partDiscovery, l.Name(), what) {
			l.log.Error("a service discovery panicked", zap.String("discovery", l.Name()), zap.String("panic", what), zap.ByteString("stack", debug.Stack()))
		}
		say(what)
	}
}

// borrowed is the discoverer of a loan.
type borrowed struct {
	*loan
	options discovery.DiscovererOptions
	first   discovery.Discoverer
}

// Run implements discovery.Discoverer. A discoverer that panics or ends is followed by another one in a while. A panic in a goroutine
// that it starts itself ends the relay all the same: nobody else can recover there.
func (b *borrowed) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	for d := b.first; ctx.Err() == nil; {
		b.run(ctx, d, up)
		if ctx.Err() != nil {
			return
		}
		var err error
		if d, err = b.begin(b.options); err != nil {
			b.complain("cannot be started again", err.Error())
		}
	}
}

// run has a discoverer at work, nil for none, until another one is to follow.
func (b *borrowed) run(ctx context.Context, d discovery.Discoverer, up chan<- []*targetgroup.Group) {
	ctx, cancel := context.WithCancel(ctx)
	var forwarding sync.WaitGroup
	defer forwarding.Wait()
	defer cancel()
	if d != nil {
		found := make(chan []*targetgroup.Group)
		forwarding.Go(func() { b.forward(ctx, found, up) })
		func() {
			defer b.rescue(func(what string) { b.complain("fails", what) })
			d.Run(ctx, found)
		}()
	}
	select {
	case <-ctx.Done():
	case <-time.After(tryAgainEvery):
	}
}

// forward takes what one discoverer finds, and hands it on.
func (b *borrowed) forward(ctx context.Context, found <-chan []*targetgroup.Group, up chan<- []*targetgroup.Group) {
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case groups, ok := <-found:
			if !ok {
				return
			}
			b.take(groups, first)
			select {
			case up <- groups:
			case <-ctx.Done():
				return
			}
		}
	}
}

// take notes what was found. With first, nothing that was found before counts any more.
func (l *loan) take(groups []*targetgroup.Group, first bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if first {
		l.groups = map[string]*targetgroup.Group{}
	}
	for _, g := range groups {
		switch {
		case g == nil: // some discoverers send such
		case len(g.Targets) == 0:
			delete(l.groups, g.Source)
		default: // that of another discoverer may have the same name
			own := *g
			own.Source = fmt.Sprintf("%d %s", l.number, g.Source)
			l.groups[g.Source] = &own
		}
	}
	l.fresh = true
	parts := slices.Contains(inParts, l.Name())
	if l.answered.IsZero() {
		if l.answered = now; parts {
			time.AfterFunc(together, l.note)
		}
	}
	if !parts || now.Sub(l.complained) >= together {
		l.complaint = ""
	}
}

// found returns the groups as they are now. Their Sources are those of no other loan's.
func (l *loan) found() []*targetgroup.Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*targetgroup.Group, 0, len(l.groups))
	for _, g := range l.groups {
		out = append(out, g)
	}
	return out
}

// changed tells whether found returns something else than it did when changed was called last.
func (l *loan) changed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.fresh
	l.fresh = false
	return was
}

// isBroken tells whether there is no discoverer.
func (l *loan) isBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken != ""
}

// complete tells whether all that there is was found once.
func (l *loan) complete(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.answered.IsZero() && (!slices.Contains(inParts, l.Name()) || now.Sub(l.answered) >= together)
}
