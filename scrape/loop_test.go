package scrape

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/value"

	"promrelay/scrape/order"
	"promrelay/targets"
)

// bubble is a pool in a synctest bubble. Its targets answer "m 1" after wait, or when the request
// is cancelled.
type bubble struct {
	*Pool
	t    *testing.T
	log  *readLog
	stop func() // ends Run, and waits for its end
	job  *targets.Job
	has  map[string]*targets.Target // by address

	wait     atomic.Int64 // nanoseconds until an answer
	requests atomic.Int64
}

func (b *bubble) RoundTrip(r *http.Request) (*http.Response, error) {
	b.requests.Add(1)
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(time.Duration(b.wait.Load())):
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {typeText}}, Body: io.NopCloser(strings.NewReader("m 1\n")), Request: r}, nil
}

// inBubble runs f together with a pool whose Run has begun.
func inBubble(t *testing.T, f func(t *testing.T, b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, log: &readLog{t: t, points: map[string][]point{}}, has: map[string]*targets.Target{}}
		var err error
		if b.Pool, err = New(Options{Log: b.log, Guard: order.New(), Host: "h"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = b.Run(ctx); close(done) }()
		b.stop = func() { cancel(); <-done }
		f(t, b)
		b.stop()
	})
}

// apply makes addresses the targets of the job. Those that are there are given again, as a reload
// does. The client of the loops is b.
func (b *bubble) apply(c promconfig.ScrapeConfig, addresses ...string) {
	b.t.Helper()
	c.JobName, c.ScrapeProtocols, c.MetricNameValidationScheme = "j", promconfig.DefaultScrapeProtocols, model.UTF8Validation
	b.job = &targets.Job{Name: "j", Config: &c}
	change := targets.Change{Job: b.job}
	now := map[string]*targets.Target{}
	for _, a := range addresses {
		added, err := targets.FromGroup(b.job, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": model.LabelValue(a)}}})
		if err != nil || len(added) != 1 {
			b.t.Fatal(len(added), err)
		}
		now[a] = added[0]
		change.Added = append(change.Added, added[0])
	}
	for a, old := range b.has {
		if now[a] == nil || now[a].Hash != old.Hash {
			change.Removed = append(change.Removed, old)
		}
	}
	b.has = now
	b.Apply([]targets.Change{change})
	for _, l := range b.jobs["j"].loops {
		l.mu.Lock()
		l.client = &client{Client: &http.Client{Transport: b}, users: 2}
		l.mu.Unlock()
	}
}

func every(interval, timeout time.Duration) promconfig.ScrapeConfig {
	c := promconfig.DefaultScrapeConfig
	c.ScrapeInterval, c.ScrapeTimeout = model.Duration(interval), model.Duration(timeout)
	return c
}

// sleep lets the pool run for so long.
func (b *bubble) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// points returns the samples of a series, and resets them.
func (b *bubble) points(series string) []point {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	ps := b.log.points[series]
	delete(b.log.points, series)
	return ps
}

// status returns the status of the only target.
func (b *bubble) status() Status {
	b.t.Helper()
	s := b.Statuses("j")
	if len(s) != 1 {
		b.t.Fatalf("%d targets", len(s))
	}
	return s[0]
}

// atDistance demands samples that are no markers, at even distances.
func atDistance(t *testing.T, ps []point, n int, interval time.Duration) {
	t.Helper()
	if len(ps) != n {
		t.Errorf("%d samples, want %d", len(ps), n)
	}
	for i, p := range ps {
		if value.IsStaleNaN(p.v) {
			t.Errorf("sample %d is a staleness marker", i)
		}
		if i > 0 && p.ms-ps[i-1].ms != interval.Milliseconds() {
			t.Errorf("sample %d comes %d ms after the one before, want %s", i, p.ms-ps[i-1].ms, interval)
		}
	}
}

// TestOffset: a target has its place in the interval, whenever it is asked for, and targets are
// spread evenly.
func TestOffset(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 10_000 {
		interval := time.Duration(1 + r.Int64N(int64(time.Hour)))
		hash := r.Uint64()
		now := time.Unix(r.Int64N(2e9), r.Int64N(1e9))
		wait := offset(now, interval, hash)
		if wait < 0 || wait > interval {
			t.Fatalf("waits %s of %s", wait, interval)
		}
		if place := now.Add(wait).UnixNano() % int64(interval); place != int64(hash%uint64(interval)) {
			t.Fatalf("place %d in %s, want %d", place, interval, hash%uint64(interval))
		}
	}
	var tenths [10]int
	for range 10_000 {
		tenths[offset(time.Unix(1, 0), time.Second, r.Uint64())*10/(time.Second+1)]++
	}
	for i, n := range tenths {
		if n < 800 || n > 1200 {
			t.Errorf("tenth %d of the interval has %d of 10,000 targets", i, n)
		}
	}
}

// TestRhythm: targets are scraped at their places in the interval, at even distances, however long
// an answer takes.
func TestRhythm(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.apply(every(10*time.Second, 10*time.Second), "a:1", "b:1", "c:1")
		start := time.Now()
		first := map[string]int64{}
		for a, target := range b.has {
			first[a] = start.Add(b.offset(target)).UnixMilli()
		}
		b.wait.Store(int64(100 * time.Millisecond))
		b.sleep(30 * time.Second)
		b.wait.Store(int64(9900 * time.Millisecond))
		b.sleep(30*time.Second + 9900*time.Millisecond)
		places := map[int64]bool{}
		for a, want := range first {
			ps := b.points("m@" + a)
			atDistance(t, ps, 6, 10*time.Second)
			if got := ps[0].ms; got != want {
				t.Errorf("%s: the first scrape is at %d, want %d", a, got, want)
			}
			places[ps[0].ms] = true
		}
		if len(places) != 3 {
			t.Errorf("the targets have %d places", len(places))
		}
	})
}

// TestTimeout: an answer that takes too long fails the scrape when the timeout is over, and the
// next one is on time.
func TestTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.apply(every(10*time.Second, 3*time.Second), "a:1")
		b.wait.Store(int64(4 * time.Second))
		b.sleep(20 * time.Second)
		s := b.status()
		if s.Health != HealthDown || s.Duration != 3*time.Second || !strings.HasPrefix(s.Error, "scrape_timeout 3s: no answer") {
			t.Errorf("%s after %s: %s", s.Health, s.Duration, s.Error)
		}
		b.wait.Store(int64(2 * time.Second))
		b.sleep(20 * time.Second)
		if s := b.status(); s.Health != HealthUp || s.Duration != 2*time.Second || s.Samples != 1 || s.Bytes != 4 {
			t.Errorf("%+v", s)
		}
		up := b.points("up@a:1")
		atDistance(t, up, 4, 10*time.Second)
		if v := []float64{up[0].v, up[1].v, up[2].v, up[3].v}; !slices.Equal(v, []float64{0, 0, 1, 1}) {
			t.Errorf("up is %v", v)
		}
		if ps := b.points("m@a:1"); len(ps) != 2 {
			t.Errorf("%d samples of the page", len(ps))
		}
	})
}

// TestTargetEnds: the series of a target that goes get staleness markers, report series too. Their
// time is that of the next scrape, had there been one. They are written when the one after that
// would have ended, at the latest.
func TestTargetEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.apply(every(10*time.Second, time.Second), "a:1")
		b.sleep(25 * time.Second)
		last := b.points("m@a:1")
		b.points("up@a:1")
		b.apply(every(10*time.Second, time.Second)) // no targets
		if n := len(b.Statuses("j")); n > 0 {
			t.Errorf("%d targets are shown", n)
		}
		markers := time.UnixMilli(last[len(last)-1].ms).Add(21 * time.Second)
		b.sleep(time.Until(markers) - time.Millisecond)
		if ps := b.points("m@a:1"); len(ps) > 0 {
			t.Errorf("%v were written too early", ps)
		}
		b.sleep(2 * time.Millisecond)
		for _, series := range []string{"m@a:1", "up@a:1", "scrape_samples_scraped@a:1"} {
			ps := b.points(series)
			if len(ps) == 0 || !value.IsStaleNaN(ps[len(ps)-1].v) {
				t.Fatalf("%s has no staleness marker: %v", series, ps)
			}
			if after := ps[len(ps)-1].ms - last[len(last)-1].ms; after != 10_000 {
				t.Errorf("the marker of %s comes %d ms after the last sample", series, after)
			}
		}
		b.sleep(time.Minute)
		if n := b.requests.Load(); n > 3 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestRelayEnds: when the relay stops, no series ends, whether a scrape, a wait or the wait for
// markers is under way.
func TestRelayEnds(t *testing.T) {
	for name, until := range map[string]func(b *bubble){
		"before the first scrape": func(*bubble) {},
		"between scrapes":         func(b *bubble) { b.sleep(15 * time.Second) },
		"in a scrape": func(b *bubble) {
			b.sleep(15 * time.Second)
			b.wait.Store(int64(time.Hour))
			b.sleep(10 * time.Second)
		},
		"after a target ended": func(b *bubble) {
			b.sleep(15 * time.Second)
			b.apply(every(10*time.Second, 10*time.Second))
			b.sleep(5 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				b.apply(every(10*time.Second, 10*time.Second), "a:1")
				until(b)
				before := time.Now()
				b.stop()
				if d := time.Since(before); d > 0 {
					t.Errorf("took %s", d)
				}
				for series, ps := range b.log.points {
					for _, p := range ps {
						if value.IsStaleNaN(p.v) {
							t.Errorf("%s has a staleness marker", series)
						}
					}
				}
				b.apply(every(10*time.Second, 10*time.Second), "late:1") // starts nothing
			})
		})
	}
}

// TestReload: what another configuration of a job means for its loops and series.
func TestReload(t *testing.T) {
	before := every(10*time.Second, time.Second)
	for name, c := range map[string]struct {
		change   func(*promconfig.ScrapeConfig)
		sameLoop bool
		interval time.Duration
		series   int // that the target feeds afterwards, of 6
	}{
		"nothing": {func(*promconfig.ScrapeConfig) {}, true, 10 * time.Second, 6},
		"credentials": {func(c *promconfig.ScrapeConfig) {
			c.HTTPClientConfig = config_util.HTTPClientConfig{Authorization: &config_util.Authorization{Type: "Bearer", Credentials: "x"}}
		}, true, 10 * time.Second, 6},
		"the interval":     {func(c *promconfig.ScrapeConfig) { c.ScrapeInterval = model.Duration(20 * time.Second) }, false, 20 * time.Second, 6},
		"the timeout":      {func(c *promconfig.ScrapeConfig) { c.ScrapeTimeout = model.Duration(2 * time.Second) }, false, 10 * time.Second, 6},
		"the sample limit": {func(c *promconfig.ScrapeConfig) { c.SampleLimit = 100 }, false, 10 * time.Second, 6},
		"the rules": {func(c *promconfig.ScrapeConfig) {
			c.MetricRelabelConfigs = []*relabel.Config{{Action: relabel.Drop, SourceLabels: model.LabelNames{"__name__"}, Regex: relabel.MustNewRegexp("other"), NameValidationScheme: model.UTF8Validation}}
		}, false, 10 * time.Second, 6},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				b.apply(before, "a:1")
				b.sleep(25 * time.Second)
				old := b.jobs["j"].loops[b.has["a:1"].Hash]
				b.points("m@a:1")
				conf := before
				c.change(&conf)
				b.apply(conf, "a:1")
				now := b.jobs["j"].loops[b.has["a:1"].Hash]
				if (now == old) != c.sameLoop {
					t.Errorf("the same loop goes on: %t", now == old)
				}
				b.sleep(c.interval*5 + c.interval/2)
				ps := b.points("m@a:1")
				if len(ps) < 5 {
					t.Fatalf("%d samples", len(ps))
				}
				atDistance(t, ps[1:], len(ps)-1, c.interval) // so no marker is there either
				if s := b.status(); s.Health != HealthUp || s.Series != c.series {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestTargetLimit: with too many targets all scrapes fail, and with fewer they go on.
func TestTargetLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		c := every(10*time.Second, time.Second)
		c.TargetLimit = 2
		b.apply(c, "a:1", "b:1", "c:1")
		b.sleep(15 * time.Second)
		for _, s := range b.Statuses("j") {
			if s.Health != HealthDown || s.Error != "target_limit exceeded (number of targets: 3, limit: 2)" {
				t.Errorf("%s: %s", s.Health, s.Error)
			}
		}
		if n := b.requests.Load(); n > 0 {
			t.Errorf("%d requests", n)
		}
		b.apply(c, "a:1", "c:1")
		b.sleep(15 * time.Second)
		for _, s := range b.Statuses("j") {
			if s.Health != HealthUp {
				t.Errorf("%s: %s", s.Health, s.Error)
			}
		}
		b.Apply([]targets.Change{{Job: b.job, Gone: true}})
		if len(b.Jobs()) > 0 || b.Statuses("j") != nil {
			t.Error("the job that is gone is shown")
		}
		b.Apply([]targets.Change{{Job: b.job, Gone: true}}) // a second time changes nothing
	})
}

// TestApplyBeforeRun: what is applied before Run begins is scraped from then on, and what has gone
// again by then is not.
func TestApplyBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, log: &readLog{t: t, points: map[string][]point{}}, has: map[string]*targets.Target{}}
		var err error
		if b.Pool, err = New(Options{Log: b.log, Guard: order.New(), Host: "h"}); err != nil {
			t.Fatal(err)
		}
		c := every(10*time.Second, time.Second)
		b.apply(c, "a:1", "b:1")
		b.apply(c, "b:1")
		b.apply(every(20*time.Second, time.Second), "b:1")
		b.sleep(time.Minute)
		if n := b.requests.Load(); n > 0 {
			t.Errorf("%d requests before Run", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		if err := b.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if ps := b.points("m@a:1"); len(ps) > 0 {
			t.Errorf("a:1 has %d samples", len(ps))
		}
		ps := b.points("m@b:1")
		atDistance(t, ps, len(ps), 20*time.Second)
		if len(ps) < 3 {
			t.Errorf("b:1 has %d samples", len(ps))
		}
	})
}

// TestJobDiff: what a change means for loops, without any that run.
func TestJobDiff(t *testing.T) {
	p, err := New(Options{Log: &countLog{}, Guard: order.New(), Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	made := func(c promconfig.ScrapeConfig, addresses ...string) (*targets.Job, []*targets.Target) {
		c.JobName = "j"
		j := &targets.Job{Name: "j", Config: &c}
		var out []*targets.Target
		for _, a := range addresses {
			added, err := targets.FromGroup(j, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": model.LabelValue(a)}}})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, added...)
		}
		return j, out
	}
	ten := every(10*time.Second, time.Second)
	j1, old := made(ten, "a:1", "b:1", "c:1")
	j := newJob(j1)
	var d loopDiff
	j.apply(&p.shared, targets.Change{Job: j1, Added: old}, &d)
	if len(d.end) != 0 || len(d.start) != 3 || len(j.loops) != 3 {
		t.Fatalf("%d end, %d start, %d loops", len(d.end), len(d.start), len(j.loops))
	}
	tables := map[string]*table{}
	for _, l := range d.start {
		l.stop = func() {} // as if it ran
		tables[l.target.Labels.Get("__address__")] = l.table
	}

	j2, now := made(every(20*time.Second, time.Second), "a:1", "b:1", "d:1")
	d = loopDiff{}
	j.apply(&p.shared, targets.Change{Job: j2, Added: now, Removed: old}, &d)
	if len(d.end) != 3 || len(d.start) != 3 || len(j.loops) != 3 {
		t.Fatalf("%d end, %d start, %d loops", len(d.end), len(d.start), len(j.loops))
	}
	for _, l := range d.end {
		if address := l.target.Labels.Get("__address__"); l.handedOver != (address != "c:1") {
			t.Errorf("%s has handed its table over: %t", address, l.handedOver)
		}
	}
	for _, l := range d.start {
		address := l.target.Labels.Get("__address__")
		if takes := l.table == tables[address]; takes != (address != "d:1") || takes != (l.after != nil) {
			t.Errorf("%s takes over a table: %t, waits for another loop: %t", address, takes, l.after != nil)
		}
	}
	d = loopDiff{}
	if j.endAll(&d); len(d.end) != 3 {
		t.Errorf("%d end with the job", len(d.end))
	}
	if fmt.Sprint(sameSeries(j1.Config)) != fmt.Sprint(sameSeries(j2.Config)) {
		t.Error("another interval makes other series")
	}
}
