package scrape

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/record"
	"promrelay/scrape/order"
	"promrelay/targets"
	"promrelay/wal"
)

// readLog reads what it is given, as a destination does.
type readLog struct {
	t      testing.TB
	mu     sync.Mutex
	tables record.Tables
	points map[string][]point // by series
	bytes  [3]int             // by type of frame
	drop   func(wal.Frame) bool
	lost   int // samples
}

type point struct {
	ms int64
	v  float64
}

func (*readLog) Segment() uint64 { return 1 }

func (l *readLog) Append(_ uint64, group ...wal.Frame) (wal.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range group {
		l.bytes[f.Type] += len(f.Payload)
		if l.drop != nil && l.drop(f) {
			l.lost += int(f.Count)
			continue
		}
		if f.Type == record.FrameTable {
			_, _ = l.tables.Apply(f.Payload)
			continue
		}
		var s record.Scrape
		table, missing, err := l.tables.Scrape(f.Payload, &s)
		l.lost += missing
		if err != nil {
			l.lost += int(f.Count)
			continue
		}
		l.take(table, &s)
	}
	return wal.Position{}, nil
}

func (l *readLog) take(table *record.Table, s *record.Scrape) {
	var b labels.ScratchBuilder
	cur := table.Cursor()
	for row := 0; cur.Next() && row < len(s.Values); row++ {
		if !s.Present.Has(row) {
			continue
		}
		ls := cur.Labels(&b)
		for _, i := range s.Irregular {
			if name := "exemplar@" + ls.Get("instance"); i.Kind == record.Exemplar && int(i.Row) == row {
				l.points[name] = append(l.points[name], point{i.Time, i.Value})
			}
		}
		p := point{s.Time, s.Values[row]}
		if len(s.Times) > 0 {
			p.ms = s.Times[row]
		}
		name := ls.Get("__name__") + "@" + ls.Get("instance")
		l.points[name] = append(l.points[name], p)
	}
}

// between returns the samples of a series from from on and before to.
func (l *readLog) between(series string, from, to time.Time) (out []point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.points[series] {
		if p.ms >= from.UnixMilli() && p.ms < to.UnixMilli() {
			out = append(out, p)
		}
	}
	return out
}

// inOrder requires that no series goes back in time, except from a mistaken time: one later than
// limit.
func (l *readLog) inOrder(limit time.Time) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, ps := range l.points {
		last := int64(math.MinInt64)
		for _, p := range ps {
			if p.ms > limit.UnixMilli() {
				continue
			}
			if p.ms <= last {
				l.t.Errorf("%s: a sample of %s after one of %s", name, time.UnixMilli(p.ms), time.UnixMilli(last))
			}
			last = p.ms
		}
	}
}

// setClock is a clock that can be set.
type setClock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *setClock) set(by time.Duration) {
	c.mu.Lock()
	c.by = by
	c.mu.Unlock()
}

func (c *setClock) wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Round(0).Add(c.by)
}

// clocked is a pool of some targets with a page each, under a clock that can be set.
type clocked struct {
	*Pool
	setClock
	log   *readLog
	seen  *observer.ObservedLogs
	job   *targets.Job
	start time.Time

	mu   sync.Mutex
	page string
	wait map[string]time.Duration // for an answer, by host
}

func (c *clocked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	page, wait := c.page, c.wait[r.URL.Host]
	c.mu.Unlock()
	time.Sleep(wait)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/openmetrics-text; version=1.0.0"}}, Body: io.NopCloser(strings.NewReader(page)), Request: r,
	}, nil
}

func (c *clocked) show(page string) {
	c.mu.Lock()
	c.page = page
	c.mu.Unlock()
}

func (c *clocked) dropped(reason string) float64 {
	return testutil.ToFloat64(c.metrics.dropped.WithLabelValues(reason))
}

// sleep lets the pool run so long.
func (c *clocked) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// withClock runs f together with a pool that scrapes two targets, a:1 and b:1, every interval.
func withClock(t *testing.T, interval time.Duration, f func(t *testing.T, c *clocked)) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zap.WarnLevel)
		c := &clocked{log: &readLog{t: t, points: map[string][]point{}}, seen: seen, page: "m 1\nn 1\n# EOF\n", wait: map[string]time.Duration{}}
		var err error
		if c.Pool, err = New(Options{Log: c.log, Guard: order.New(), Host: "h", Logger: zap.New(core)}); err != nil {
			t.Fatal(err)
		}
		c.start = time.Now().Round(0)
		start := time.Now()
		c.clock.read = func() (time.Time, time.Duration) { return c.wall(), time.Since(start) }
		c.clock.start()
		conf := promconfig.DefaultScrapeConfig
		conf.JobName, conf.ScrapeInterval, conf.ScrapeTimeout = "j", model.Duration(interval), model.Duration(interval)
		conf.ScrapeProtocols, conf.MetricNameValidationScheme = promconfig.DefaultScrapeProtocols, model.UTF8Validation
		c.job = &targets.Job{Name: "j", Config: &conf}
		added, err := targets.FromGroup(c.job, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": "a:1"}, {"__address__": "b:1"}}})
		if err != nil {
			t.Fatal(err)
		}
		c.clients.byHint = map[string][]*client{}
		c.Apply([]targets.Change{{Job: c.job, Added: added}})
		for _, l := range c.jobs["j"].loops {
			l.client = &client{Client: &http.Client{Transport: c}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = c.Run(ctx); close(done) }()
		f(t, c)
		cancel()
		<-done
	})
}

const year = 365 * 24 * time.Hour

// TestClockYearAhead sets the clock a year ahead for 3 s: then all goes on at once, report series,
// exemplars and staleness markers, too, also where a scrape was under way when the clock was set
// back.
func TestClockYearAhead(t *testing.T) {
	withClock(t, time.Second, func(t *testing.T, c *clocked) {
		c.wait["b:1"] = 900 * time.Millisecond
		page := func(i int) {
			c.show(fmt.Sprintf("# TYPE m counter\nm_total %d # {trace=\"%d\"} 1\nn 1\n# EOF\n", i, i))
		}
		for i := range 200 {
			switch i {
			case 52:
				c.set(year)
			case 84:
				c.set(0)
			}
			page(i)
			c.sleep(100 * time.Millisecond)
		}
		c.show("n 1\n# EOF\n") // m ends
		c.sleep(5 * time.Second)
		back := c.start.Add(8400 * time.Millisecond)
		for _, series := range []string{"m_total@a:1", "n@a:1", "up@a:1", "scrape_series_added@b:1", "m_total@b:1", "exemplar@a:1", "exemplar@b:1"} {
			if n := len(c.log.between(series, c.start, back.Add(-3*time.Second))); n < 4 {
				t.Errorf("%s: %d samples before", series, n)
			}
			if n := len(c.log.between(series, back, back.Add(10*time.Second))); n < 9 {
				t.Errorf("%s: %d samples in the 10 s after", series, n)
			}
			if series == "m_total@a:1" || series == "m_total@b:1" {
				ps := c.log.points[series]
				if last := ps[len(ps)-1]; !value.IsStaleNaN(last.v) || last.ms > c.start.Add(25*time.Second).UnixMilli() {
					t.Errorf("%s ends with %v", series, last)
				}
			}
		}
		if got := c.dropped(dropClock); got < 7 || got > 10 {
			t.Errorf("%v samples are dropped, not those of the scrape that was under way", got)
		}
		c.log.inOrder(c.start.Add(time.Hour))
		if n := c.seen.Len(); n != 2 {
			t.Errorf("%d lines in the log: %v", n, c.seen.All())
		}
		for direction, want := range map[string]float64{clockAhead: 1, clockBack: 1} {
			if got := testutil.ToFloat64(c.metrics.clockSteps.WithLabelValues(direction)); got != want {
				t.Errorf("%v steps %s", got, direction)
			}
		}
		if c.dropped(dropRepeated)+c.dropped(dropLate) > 0 {
			t.Errorf("%v repeated, %v late", c.dropped(dropRepeated), c.dropped(dropLate))
		}
	})
}

// TestClockBack sets the clock back by ten seconds, and later ahead again: what cannot be written
// in order is dropped with its reason, and ten seconds later all is as before.
func TestClockBack(t *testing.T) {
	withClock(t, time.Second, func(t *testing.T, c *clocked) {
		c.sleep(20 * time.Second)
		scrapes := testutil.ToFloat64(c.metrics.scrapes.WithLabelValues("up"))
		samples := testutil.ToFloat64(c.metrics.samples)
		c.set(-10 * time.Second)
		c.show("n 1\n# EOF\n") // m ends meanwhile
		c.sleep(9 * time.Second)
		if got := testutil.ToFloat64(c.metrics.samples) - samples; got != 0 {
			t.Errorf("%v samples are written while the clock is behind", got)
		}
		scrapes = testutil.ToFloat64(c.metrics.scrapes.WithLabelValues("up")) - scrapes
		if got, want := c.dropped(dropClock), scrapes*6; got != want || scrapes < 17 { // n and five report series
			t.Errorf("%v samples of %v scrapes are dropped for the clock, want %v", got, scrapes, want)
		}
		c.sleep(11 * time.Second)
		now := c.wall()
		if n := len(c.log.between("n@a:1", now.Add(-9*time.Second), now)); n != 9 {
			t.Errorf("%d samples in the last 9 s", n)
		}
		for _, series := range []string{"m@a:1", "m@b:1"} {
			ps := c.log.points[series]
			if last := ps[len(ps)-1]; !value.IsStaleNaN(last.v) || last.ms <= ps[len(ps)-2].ms {
				t.Errorf("%s ends with %v", series, ps[len(ps)-2:])
			}
		}
		c.log.inOrder(now)
		for _, reason := range []string{dropRepeated, dropLate, dropTwice, dropFuture} {
			if c.dropped(reason) > 0 {
				t.Errorf("%v samples are dropped as %s", c.dropped(reason), reason)
			}
		}
		if n := c.seen.Len(); n != 1 {
			t.Errorf("%d lines in the log: %v", n, c.seen.All())
		}
		// A target that ends while the clock is behind: its markers follow its last samples.
		c.set(-20 * time.Second)
		c.sleep(2 * time.Second)
		c.Apply([]targets.Change{{Job: c.job, Gone: true}})
		c.sleep(4 * time.Second)
		for series, ps := range c.log.points {
			if last := ps[len(ps)-1]; !value.IsStaleNaN(last.v) {
				t.Errorf("%s ends with %v", series, last)
			}
		}
		c.log.inOrder(now.Add(time.Hour))
	})
}

// TestClockPlan sets the clock by little and by much, either way: scrapes keep their rhythm, have
// the clock's time at even distances, and none is late. Small steps are not logged.
func TestClockPlan(t *testing.T) {
	for by, logged := range map[time.Duration]int{
		300 * time.Millisecond: 0, -300 * time.Millisecond: 0, time.Millisecond: 0, 7 * time.Second: 1, -7 * time.Second: 1, -time.Hour: 1,
		year: 1, -20 * year: 1, 200 * year: 1,
	} {
		t.Run(by.String(), func(t *testing.T) {
			withClock(t, 2*time.Second, func(t *testing.T, c *clocked) {
				c.sleep(20*time.Second + 500*time.Millisecond)
				before := len(c.log.points["up@a:1"])
				c.set(by)
				c.sleep(40 * time.Second)
				ps := c.log.points["up@a:1"][before:]
				lost := 0
				if by < 0 && -by < order.MaxAhead {
					lost = int(math.Ceil(-by.Seconds() / 2))
				}
				if n := len(ps); n < 20-lost || n > 20 {
					t.Errorf("%d samples in 40 s", n)
				}
				ps = slices.Clone(ps)
				for i := range ps[1:] {
					if d := ps[i+1].ms - ps[i].ms; d != 2000 {
						t.Errorf("samples %d ms apart", d)
					}
				}
				var late dto.Metric
				if err := c.metrics.late.Write(&late); err != nil || late.GetHistogram().GetSampleSum() > 0.1 {
					t.Errorf("scrapes begin %v s late in all, %v", late.GetHistogram().GetSampleSum(), err)
				}
				if c.seen.Len() != logged {
					t.Errorf("%d lines in the log: %v", c.seen.Len(), c.seen.All())
				}
			})
		})
	}
}

// TestClockSlews moves the clock by half a second again and again.
func TestClockSlews(t *testing.T) {
	withClock(t, time.Second, func(t *testing.T, c *clocked) {
		for i := range 100 {
			c.set(time.Duration(i) * 500 * time.Millisecond)
			c.sleep(time.Second)
		}
		for i := range 100 {
			c.set(time.Duration(100-i) * 500 * time.Millisecond)
			c.sleep(time.Second)
		}
		if c.seen.Len() > 0 {
			t.Errorf("the log tells %v", c.seen.All())
		}
		if n := len(c.log.points["up@a:1"]); n < 198 {
			t.Errorf("%d samples in 200 s", n)
		}
		c.log.inOrder(c.wall().Add(time.Hour))
	})
}

// TestClockRestored starts from a log that was written under a clock a year ahead, and from one
// that is a minute ahead.
func TestClockRestored(t *testing.T) {
	for by, want := range map[time.Duration]struct{ written, clock int }{year: {1, 0}, time.Minute: {0, 1}, -time.Minute: {1, 0}} {
		dir := t.TempDir()
		open := func() *wal.WAL {
			w, err := wal.Open(wal.Options{Dir: dir, MinFreeBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		ls := labels.FromStrings("__name__", "m")
		now := time.Now()
		write := func(w *writer, ms int64) (newExemplar bool) {
			tab := newTable(w.guard)
			slot, _ := w.guard.Acquire(ls.Bytes(nil))
			tab.addRow(ls, slot, 0)
			e := record.Irregular{Kind: record.Exemplar, Time: ms, Value: 1}
			if err := w.commit(tab, &record.Scrape{Time: ms, Values: []float64{1}, Present: record.Bits{1}, Irregular: []record.Irregular{e}}); err != nil {
				t.Fatal(err)
			}
			_, _, newExemplar = w.guard.AddExemplar(slot, order.Exemplar{Time: now.UnixMilli(), Own: true, Value: 2})
			return newExemplar
		}
		log, g := open(), order.New()
		ahead := newClock()
		ahead.read = func() (time.Time, time.Duration) { return now.Add(by), 0 }
		ahead.start()
		write(&writer{guard: g, log: log, metrics: newMetrics(nil, g), clock: ahead}, now.Add(by).UnixMilli())
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		log = open()
		r, err := log.NewReader(log.Tail())
		if err != nil {
			t.Fatal(err)
		}
		core, seen := observer.New(zap.WarnLevel)
		next := order.New()
		if err := next.RestoreFrom(r); err != nil {
			t.Fatal(err)
		}
		p, err := New(Options{Log: log, Guard: next, Host: "h", Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		if passes := write(&p.writer, now.UnixMilli()); passes != (by != time.Minute) {
			t.Errorf("%v: exemplar passes: %t", by, passes)
		}
		if got := testutil.ToFloat64(p.metrics.samples); got != float64(want.written) {
			t.Errorf("%v: %v samples are written, want %d", by, got, want.written)
		}
		if got := testutil.ToFloat64(p.metrics.dropped.WithLabelValues(dropClock)); got != float64(want.clock) {
			t.Errorf("%v: %v samples are dropped for the clock, want %d", by, got, want.clock)
		}
		if logged := seen.Len() > 0; logged != (by > 0) {
			t.Errorf("%v: the log tells %v", by, seen.All())
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A clock that comes back in two steps, or too far, or was ahead from the start.
func TestClockSteps(t *testing.T) {
	start := time.Unix(1e9, 0)
	type look struct{ mono, wall, behind time.Duration }
	const never = math.MinInt64
	for name, looks := range map[string][]look{
		"nothing":          {{1, 1, never}, {2, 2, never}},
		"two steps back":   {{1e9, 1e9, never}, {2e9, year, never}, {3e9, year - 300e9, year}, {4e9, 4e9, never}},
		"too far back":     {{9e9, 9e9, never}, {10e9, year, never}, {11e9, 5e9, 9e9}, {20e9, 14e9, 9e9}},
		"from the start":   {{1e9, -1800e9, never}},
		"ahead twice":      {{10e9, 10e9, never}, {11e9, year, never}, {12e9, 2 * year, never}, {13e9, 3e9, 10e9}},
		"ten seconds back": {{20e9, 20e9, never}, {21e9, 11e9, 20e9}, {26e9, 6e9, 20e9}},
	} {
		var mono, wall time.Duration
		c := newClock()
		c.read = func() (time.Time, time.Duration) { return start.Add(wall), mono }
		c.start()
		for i, l := range looks {
			mono, wall = l.mono, l.wall
			c.now()
			want := int64(never)
			if l.behind != never {
				want = start.Add(l.behind).UnixMilli()
			}
			if got := c.behind.Load(); got != want {
				t.Errorf("%s: look %d: behind %s, want %s", name, i, time.UnixMilli(got), time.UnixMilli(want))
			}
		}
	}
}
