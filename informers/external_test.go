package informers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/targets"
)

// scout is a service discovery whose discoverers the test plays.
type scout struct {
	Mechanism       string
	Password        config_util.Secret // tells it from others
	URL             string
	RefreshInterval model.Duration

	stage *stage
}

// stage is where scouts are at work.
type stage struct {
	mu     sync.Mutex
	actors map[string]*actor // by password, that which began last
	begun  int
	refuse func() error // to begin
}

// actor is a discoverer.
type actor struct {
	log   *slog.Logger
	up    chan<- []*targetgroup.Group // while it is at work
	end   chan func()                 // what it does last
	stage *stage
}

func (s *scout) Name() string { return s.Mechanism }

func (s *scout) NewDiscovererMetrics(prometheus.Registerer, discovery.RefreshMetricsInstantiator) discovery.DiscovererMetrics {
	return &discovery.NoopDiscovererMetrics{}
}

func (s *scout) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	if s.stage.refuse != nil {
		if err := s.stage.refuse(); err != nil {
			return nil, err
		}
	}
	a := &actor{log: o.Logger, end: make(chan func()), stage: s.stage}
	s.stage.actors[string(s.Password)] = a
	s.stage.begun++
	return a, nil
}

func (a *actor) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	a.stage.mu.Lock()
	a.up = up
	a.stage.mu.Unlock()
	select {
	case <-ctx.Done():
	case last := <-a.end:
		last()
	}
}

// theatre is a Discovery whose jobs find their targets by scouts, and what it told.
type theatre struct {
	*world
	stage *stage
	owner targets.Owner
}

// play runs a Discovery in a bubble where time passes when everyone waits.
func play(t *testing.T, f func(t *testing.T, p *theatre)) {
	synctest.Test(t, func(t *testing.T) {
		p := &theatre{world: &world{t: t, live: map[string]map[uint64]*targets.Target{}}, stage: &stage{actors: map[string]*actor{}}}
		p.owner = targets.Owner{Kind: targets.ScrapeConfigBlock, Name: "j"}
		core, logs := observer.New(zapcore.ErrorLevel)
		var err error
		if p.d, err = New(Options{Sink: p.sink, Logger: zap.New(core)}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.d.Run(ctx) }()
		f(t, p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, l := range logs.FilterMessage("a service discovery panicked").All() {
			if stack, ok := l.ContextMap()["stack"].(string); !ok || !strings.Contains(stack, "loan.go") {
				t.Errorf("the log of a panic has %v", l.ContextMap())
			}
		}
		synctest.Wait()
	})
}

func (p *theatre) scout(password string) *scout {
	return &scout{Mechanism: "http", Password: config_util.Secret(password), RefreshInterval: model.Duration(time.Minute), stage: p.stage}
}

// job makes the job j one that finds targets by these.
func (p *theatre) job(sds ...discovery.Config) { p.jobs(map[string][]discovery.Config{"j": sds}) }

func (p *theatre) jobs(all map[string][]discovery.Config) {
	next := &plan{blocks: map[targets.Owner][]*targets.Job{}}
	for name, sds := range all {
		cfg := promconfig.DefaultScrapeConfig
		cfg.JobName, cfg.ScrapeInterval, cfg.ScrapeTimeout, cfg.ServiceDiscoveryConfigs = name, 30e9, 10e9, sds
		next.blocks[p.owner] = append(next.blocks[p.owner], &targets.Job{Name: name, Owner: p.owner, Config: &cfg})
	}
	p.d.tell(func(n *notes) { n.plan = next })
	p.pass(2 * time.Second)
}

func (p *theatre) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// finds has the discoverer of a password find targets in a group that is called as others are, in none if there are no addresses.
func (p *theatre) finds(password string, addresses ...string) {
	p.tells(password, group("same", addresses...))
	p.pass(2 * time.Second)
}

func (p *theatre) tells(password string, groups ...*targetgroup.Group) {
	p.t.Helper()
	p.actor(password).up <- groups
}

// actor is the discoverer of a password.
func (p *theatre) actor(password string) *actor {
	p.t.Helper()
	p.stage.mu.Lock()
	defer p.stage.mu.Unlock()
	a := p.stage.actors[password]
	if a == nil || a.up == nil {
		p.t.Fatalf("nobody looks with password %s", password)
	}
	return a
}

// refuses has no discoverer begin any more, unless f is nil.
func (p *theatre) refuses(f func() error) {
	p.stage.mu.Lock()
	defer p.stage.mu.Unlock()
	p.stage.refuse = f
}

func group(name string, addresses ...string) *targetgroup.Group {
	g := &targetgroup.Group{Source: name}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	return g
}

// are demands that the targets of the job j have these addresses, and returns them.
func (p *theatre) are(want ...string) map[string]*targets.Target {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	out, got := map[string]*targets.Target{}, []string{}
	for _, t := range p.live["j"] {
		address := strings.TrimSuffix(strings.TrimPrefix(t.URL, "http://"), "/metrics")
		out[address], got = t, append(got, address)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		p.t.Errorf("targets are %q, want %q", got, want)
	}
	return out
}

// problems demands what a job is said to have.
func (p *theatre) problems(job string, want ...string) {
	p.t.Helper()
	if got := p.world.problems(p.owner, job); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		p.t.Errorf("problems of %s are %q, want %q", job, got, want)
	}
}

// TestGroupsOfOneName come from two discoveries of a job.
func TestGroupsOfOneName(t *testing.T) {
	play(t, func(t *testing.T, p *theatre) {
		p.job(p.scout("a"), p.scout("b"), p.scout("a"))
		if p.stage.begun != 2 {
			t.Errorf("%d discoverers, want 2", p.stage.begun)
		}
		p.finds("a", "a:1")
		p.finds("b", "b:1", "b:2")
		before := p.are("a:1", "b:1", "b:2")
		// What has not changed stays as it is.
		p.tells("b", nil, group("same", "b:3"))
		p.pass(2 * time.Second)
		if now := p.are("a:1", "b:3"); now["a:1"] != before["a:1"] {
			t.Error("a target of another discovery is made anew")
		}
		p.finds("a")
		before = p.are("b:3")
		p.finds("a", "a:1")
		if now := p.are("a:1", "b:3"); now["b:3"] != before["b:3"] {
			t.Error("a target of another discovery is made anew")
		}
		p.job(p.scout("b"))
		p.are("b:3")
		if p.stage.begun != 2 {
			t.Errorf("%d discoverers, want 2", p.stage.begun)
		}
	})
}

// TestReplacedDiscovery keeps what was found until as much is known again.
func TestReplacedDiscovery(t *testing.T) {
	play(t, func(t *testing.T, p *theatre) {
		p.job(p.scout("1"))
		p.finds("1", "a:1", "a:2")
		p.job(p.scout("2")) // a Secret has changed, say
		p.are("a:1", "a:2")
		p.pass(time.Minute)
		p.are("a:1", "a:2")
		p.finds("2", "a:2")
		p.are("a:2")
		// Not for ever, also if it changes once more.
		p.job(p.scout("3"))
		p.pass(3 * time.Minute)
		p.job(p.scout("4"))
		p.pass(time.Minute)
		p.are("a:2")
		p.pass(time.Minute)
		p.are()
		p.finds("4", "b:1")
		p.are("b:1")
		// Of two that are new, both are waited for.
		p.job(p.scout("5"), p.scout("6"))
		p.finds("6", "c:1")
		p.are("b:1", "c:1")
		p.finds("5") // that there are none is an answer, too
		p.are("c:1")
		// What stays as it is goes on meanwhile.
		p.job(p.scout("6"), p.scout("7"))
		p.finds("7", "d:1")
		p.job(p.scout("6"), p.scout("8"))
		p.finds("6", "c:2")
		p.are("c:2", "d:1")
		p.finds("8")
		p.are("c:2")
		p.job(p.scout("8"))
		p.are()
		p.finds("8", "e:1")
		// What finds its targets in parts has told of all in a while.
		parts := p.scout("9")
		parts.Mechanism = "consul"
		p.job(parts)
		p.are("e:1")
		p.tells("9", group("one", "f:1"))
		p.pass(5 * time.Second)
		p.are("e:1", "f:1")
		p.tells("9", group("two", "f:2"))
		p.pass(6 * time.Second)
		p.are("f:1", "f:2")
		// Who finds nothing so any more has nothing to wait for.
		p.job()
		p.are()
	})
}

// TestSharedDiscovery is begun once for two jobs, and a job that comes later has what was found.
func TestSharedDiscovery(t *testing.T) {
	play(t, func(t *testing.T, p *theatre) {
		one := map[string][]discovery.Config{"i": {p.scout("1")}}
		p.jobs(one)
		p.finds("1", "a:1")
		p.jobs(map[string][]discovery.Config{"i": {p.scout("1")}, "j": {p.scout("1")}})
		p.are("a:1")
		p.jobs(map[string][]discovery.Config{"i": {p.scout("1")}, "j": {p.scout("2")}})
		p.finds("1", "a:2") // by which j finds none any more, but for now
		p.are("a:2")
		p.finds("2", "b:1")
		p.are("b:1")
		p.jobs(map[string][]discovery.Config{"i": {p.scout("1")}, "j": {p.scout("1")}}) // there already
		p.are("a:2")
		p.jobs(one)
		p.are()
		if p.stage.begun != 2 {
			t.Errorf("%d discoverers, want 2", p.stage.begun)
		}
	})
}

// TestDiscovererPanics is no reason to end the relay.
func TestDiscovererPanics(t *testing.T) {
	play(t, func(t *testing.T, p *theatre) {
		p.refuses(func() error { panic("no way with password-1") })
		p.job(p.scout("password-1"))
		p.problems("j", "http_sd_configs cannot be started: panic: no way with <secret>")
		p.refuses(nil)
		p.pass(tryAgainEvery)
		p.problems("j")
		p.tells("password-1", group("x", "a:1"), group("y", "b:1"))
		p.pass(time.Second)
		p.are("a:1", "b:1")

		p.actor("password-1").end <- func() { panic(errors.New("lost password-1")) }
		p.pass(time.Second)
		p.problems("j", "http_sd_configs fails: panic: lost <secret>")
		p.are("a:1", "b:1")
		p.refuses(func() error { return errors.New("not yet") })
		p.pass(tryAgainEvery)
		p.problems("j", "http_sd_configs cannot be started again: not yet")
		p.refuses(nil)
		p.pass(tryAgainEvery)
		p.tells("password-1", group("y", "b:1"))
		p.pass(time.Second)
		p.problems("j")
		p.are("b:1")

		p.actor("password-1").end <- func() {} // out of inotify watches, say
		p.pass(tryAgainEvery)
		p.finds("password-1", "c:1")
		p.are("c:1")
		if p.stage.begun != 3 {
			t.Errorf("%d discoverers, want 3", p.stage.begun)
		}
	})
}
