package sd

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
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/informers/guard"
	"promrelay/targets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeConfig is a discovery.Config whose discoverers the test plays.
type fakeConfig struct {
	Mechanism       string
	Password        config_util.Secret // tells it from others
	URL             string
	RefreshInterval model.Duration

	fakes *fakes
}

// fakes are all discoverers of a test.
type fakes struct {
	mu     sync.Mutex
	latest map[string]*fakeDiscoverer // by password, the one that was made last
	made   int
	refuse func() error // to make one; nil for never
}

// fakeDiscoverer is a discovery.Discoverer.
type fakeDiscoverer struct {
	log   *slog.Logger
	up    chan<- []*targetgroup.Group // while it runs
	end   chan func()                 // what it does last
	fakes *fakes
}

func (c *fakeConfig) Name() string { return c.Mechanism }

func (c *fakeConfig) NewDiscovererMetrics(prometheus.Registerer, discovery.RefreshMetricsInstantiator) discovery.DiscovererMetrics {
	return &discovery.NoopDiscovererMetrics{}
}

func (c *fakeConfig) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	c.fakes.mu.Lock()
	defer c.fakes.mu.Unlock()
	if c.fakes.refuse != nil {
		if err := c.fakes.refuse(); err != nil {
			return nil, err
		}
	}
	d := &fakeDiscoverer{log: o.Logger, end: make(chan func()), fakes: c.fakes}
	c.fakes.latest[string(c.Password)] = d
	c.fakes.made++
	return d, nil
}

func (d *fakeDiscoverer) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	d.fakes.mu.Lock()
	d.up = up
	d.fakes.mu.Unlock()
	select {
	case <-ctx.Done():
	case last := <-d.end:
		last()
	}
}

// world is a Manager with a worker, as package informers has one, and the targets that come of it.
type world struct {
	t     *testing.T
	m     *Manager
	fakes *fakes
	owner targets.Owner
	wake  chan struct{}

	mu   sync.Mutex
	set  *targets.Set
	next []*targets.Job // to be applied; nil for none
}

// run runs a test in a bubble where time passes when everyone waits.
func run(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, fakes: &fakes{latest: map[string]*fakeDiscoverer{}}, owner: targets.Owner{Kind: targets.ScrapeConfigBlock, Name: "j"},
			wake: make(chan struct{}, 1), set: targets.NewSet(),
		}
		core, logs := observer.New(zapcore.ErrorLevel)
		panics := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "panics"}, []string{"part"})
		w.m = New(Options{Notify: w.notify, Guard: guard.New(zap.New(core), panics), Logger: zap.New(core)})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if err := w.m.Start(ctx, &wg); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { w.work(ctx) })
		f(t, w)
		cancel()
		wg.Wait()
		for _, l := range logs.FilterMessage("a panic in discovery was caught").All() {
			if stack, ok := l.ContextMap()["stack"].(string); !ok || !strings.Contains(stack, "manager_test.go") || strings.Contains(l.ContextMap()["panic"].(string), "password-1") {
				t.Errorf("the log of a panic has %v", l.ContextMap())
			}
		}
		synctest.Wait()
	})
}

func (w *world) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// work does what the worker of package informers does.
func (w *world) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		w.mu.Lock()
		for job, groups := range w.m.Changed() {
			w.set.OfferAll(job, groups)
		}
		if w.next != nil {
			w.m.Want(w.owner, w.next)
			w.set.Replace(w.owner, w.next)
			w.next = nil
		}
		w.m.Apply()
		w.set.Settle(nil)
		w.mu.Unlock()
	}
}

func (w *world) config(password string) *fakeConfig {
	return &fakeConfig{Mechanism: "http", Password: config_util.Secret(password), RefreshInterval: model.Duration(time.Minute), fakes: w.fakes}
}

// job makes the job j one that finds targets by these.
func (w *world) job(configs ...discovery.Config) { w.jobs(map[string][]discovery.Config{"j": configs}) }

// jobs makes these all jobs.
func (w *world) jobs(all map[string][]discovery.Config) {
	next := []*targets.Job{}
	for name, configs := range all {
		cfg := promconfig.DefaultScrapeConfig
		cfg.JobName, cfg.ScrapeInterval, cfg.ScrapeTimeout, cfg.ServiceDiscoveryConfigs = name, 30e9, 10e9, configs
		next = append(next, &targets.Job{Name: name, Owner: w.owner, Config: &cfg})
	}
	w.mu.Lock()
	w.next = next
	w.mu.Unlock()
	w.notify()
	w.pass(2 * time.Second)
}

// pass lets time pass in the bubble.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// finds makes the discoverer of a password send one group with these targets. All discoverers use the same name for
// it.
func (w *world) finds(password string, addresses ...string) {
	w.sends(password, group("same", addresses...))
	w.pass(2 * time.Second)
}

// sends makes the discoverer of a password send these groups.
func (w *world) sends(password string, groups ...*targetgroup.Group) {
	w.t.Helper()
	w.discoverer(password).up <- groups
}

// discoverer is that of a password.
func (w *world) discoverer(password string) *fakeDiscoverer {
	w.t.Helper()
	w.fakes.mu.Lock()
	defer w.fakes.mu.Unlock()
	d := w.fakes.latest[password]
	if d == nil || d.up == nil {
		w.t.Fatalf("no discoverer has password %s", password)
	}
	return d
}

// refuses makes NewDiscoverer return what f returns, nil for no f.
func (w *world) refuses(f func() error) {
	w.fakes.mu.Lock()
	defer w.fakes.mu.Unlock()
	w.fakes.refuse = f
}

func group(name string, addresses ...string) *targetgroup.Group {
	g := &targetgroup.Group{Source: name}
	for _, a := range addresses {
		g.Targets = append(g.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(a)})
	}
	return g
}

// are demands that the targets of the job j have these addresses, and returns them.
func (w *world) are(want ...string) map[string]*targets.Target {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	out, got := map[string]*targets.Target{}, []string{}
	for _, t := range w.set.Targets("j") {
		address := strings.TrimSuffix(strings.TrimPrefix(t.URL, "http://"), "/metrics")
		out[address], got = t, append(got, address)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) && len(got)+len(want) > 0 {
		w.t.Errorf("targets are %q, want %q", got, want)
	}
	return out
}

// problems demands that a job has these.
func (w *world) problems(job string, want ...string) {
	w.t.Helper()
	if got := w.m.Problems(job); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		w.t.Errorf("problems of %s are %q, want %q", job, got, want)
	}
}

// TestGroupsOfOneName come from two discoveries of a job.
func TestGroupsOfOneName(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.job(w.config("a"), w.config("b"), w.config("a"))
		if w.fakes.made != 2 {
			t.Errorf("%d discoverers, want 2", w.fakes.made)
		}
		w.finds("a", "a:1")
		w.finds("b", "b:1", "b:2")
		before := w.are("a:1", "b:1", "b:2")
		// A target that has not changed stays the same one.
		w.sends("b", nil, group("same", "b:3"))
		w.pass(2 * time.Second)
		if now := w.are("a:1", "b:3"); now["a:1"] != before["a:1"] {
			t.Error("a target of another discovery is made anew")
		}
		w.finds("a")
		before = w.are("b:3")
		w.finds("a", "a:1")
		if now := w.are("a:1", "b:3"); now["b:3"] != before["b:3"] {
			t.Error("a target of another discovery is made anew")
		}
		w.job(w.config("b"))
		w.are("b:3")
		if w.fakes.made != 2 {
			t.Errorf("%d discoverers, want 2", w.fakes.made)
		}
	})
}

// TestReplacedDiscovery keeps the old targets until the new discovery has answered.
func TestReplacedDiscovery(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.job(w.config("1"))
		w.finds("1", "a:1", "a:2")
		w.job(w.config("2")) // a Secret has changed, say
		w.are("a:1", "a:2")
		w.pass(time.Minute)
		w.are("a:1", "a:2")
		w.finds("2", "a:2")
		w.are("a:2")
		// Not for ever, not even if the discovery changes once more.
		w.job(w.config("3"))
		w.pass(3 * time.Minute)
		w.job(w.config("4"))
		w.pass(time.Minute)
		w.are("a:2")
		w.pass(time.Minute)
		w.are()
		w.finds("4", "b:1")
		w.are("b:1")
		// Of two that are new, both are waited for.
		w.job(w.config("5"), w.config("6"))
		w.finds("6", "c:1")
		w.are("b:1", "c:1")
		w.finds("5") // that there are none is an answer, too
		w.are("c:1")
		// A discovery that stays goes on meanwhile.
		w.job(w.config("6"), w.config("7"))
		w.finds("7", "d:1")
		w.job(w.config("6"), w.config("8"))
		w.finds("6", "c:2")
		w.are("c:2", "d:1")
		w.finds("8")
		w.are("c:2")
		w.job(w.config("8"))
		w.are()
		w.finds("8", "e:1")
		// A mechanism that sends its targets in parts has sent all of them after a while.
		parts := w.config("9")
		parts.Mechanism = "consul"
		w.job(parts)
		w.are("e:1")
		w.sends("9", group("one", "f:1"))
		w.pass(5 * time.Second)
		w.are("e:1", "f:1")
		w.sends("9", group("two", "f:2"))
		w.pass(6 * time.Second)
		w.are("f:1", "f:2")
		// A job without service discovery keeps nothing.
		w.job()
		w.are()
	})
}

// TestSharedDiscovery is begun once for two jobs, and a job that comes later has what was found.
func TestSharedDiscovery(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		one := map[string][]discovery.Config{"i": {w.config("1")}}
		w.jobs(one)
		w.finds("1", "a:1")
		w.jobs(map[string][]discovery.Config{"i": {w.config("1")}, "j": {w.config("1")}})
		w.are("a:1")
		w.jobs(map[string][]discovery.Config{"i": {w.config("1")}, "j": {w.config("2")}})
		w.finds("1", "a:2") // j does not use it any more, but keeps its targets for now
		w.are("a:2")
		w.finds("2", "b:1")
		w.are("b:1")
		w.jobs(map[string][]discovery.Config{"i": {w.config("1")}, "j": {w.config("1")}}) // there already
		w.are("a:2")
		w.jobs(one)
		w.are()
		if w.fakes.made != 2 {
			t.Errorf("%d discoverers, want 2", w.fakes.made)
		}
	})
}

// TestDiscovererPanics is no reason to end the relay.
func TestDiscovererPanics(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.refuses(func() error { panic("no way with password-1") })
		w.job(w.config("password-1"))
		w.problems("j", "http_sd_configs cannot be started: panic: no way with <secret>")
		w.refuses(nil)
		w.pass(retryEvery)
		w.problems("j")
		w.sends("password-1", group("x", "a:1"), group("y", "b:1"))
		w.pass(time.Second)
		w.are("a:1", "b:1")

		w.discoverer("password-1").end <- func() { panic(errors.New("lost password-1")) }
		w.pass(time.Second)
		w.problems("j", "http_sd_configs fails: panic: lost <secret>")
		w.are("a:1", "b:1")
		w.refuses(func() error { return errors.New("not yet") })
		w.pass(retryEvery)
		w.problems("j", "http_sd_configs cannot be started again: not yet")
		w.refuses(nil)
		w.pass(retryEvery)
		w.sends("password-1", group("y", "b:1"))
		w.pass(time.Second)
		w.problems("j")
		w.are("b:1")

		w.discoverer("password-1").end <- func() {} // out of inotify watches, say
		w.pass(retryEvery)
		w.finds("password-1", "c:1")
		w.are("c:1")
		if w.fakes.made != 3 {
			t.Errorf("%d discoverers, want 3", w.fakes.made)
		}
	})
}
