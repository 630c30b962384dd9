package relay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/config"
	"promrelay/record"
	fake "promrelay/test/receiver"
	"promrelay/wal"
)

// world is a relay and its receiver in a bubble of testing/synctest, where minutes take milliseconds.
type world struct {
	t        *testing.T
	dir      string
	wal      *wal.WAL
	relay    *running
	registry *prometheus.Registry
	logs     *observer.ObservedLogs
	receiver *fake.Receiver
	watch    *watch                                    // nil unless WATCH names a series
	through  func(http.RoundTripper) http.RoundTripper // nil: requests go straight to the receiver
	settings Settings
	table    *record.Table
	written  uint64             // segment in which the table was written last
	names    []string           // of the series, by row
	sent     map[string][]int64 // timestamps of all samples that were scraped, by series
	before   map[string]float64 // counters of the relays before, by name and reason
}

func newWorld(t *testing.T, p fake.Profile, series int, more string) *world {
	w := &world{t: t, dir: t.TempDir(), receiver: fake.New(p), sent: map[string][]int64{}, before: map[string]float64{}}
	w.settings = Settings{Destinations: []config.Destination{dest(t, "http://receiver.test/api/v1/write?p=secret", more)}, Relay: config.DefaultRelay}
	w.table = record.NewTable(1)
	for i := range series {
		ls := labels.FromStrings("__name__", "m", "i", fmt.Sprintf("%04d", i))
		w.table.Add(ls, 0)
		w.names = append(w.names, ls.String())
	}
	w.open()
	return w
}

// open starts a relay on the log.
func (w *world) open() {
	w.t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	w.logs, w.registry, w.written = logs, prometheus.NewRegistry(), 0
	log := zap.New(core)
	var err error
	if w.wal, err = wal.Open(wal.Options{Dir: w.dir, SegmentBytes: 256 << 10, MinFreeBytes: -1, Logger: log}); err != nil {
		w.t.Fatal(err)
	}
	r, err := New(Options{WAL: w.wal, Logger: log, Registerer: w.registry})
	if err != nil {
		w.t.Fatal(err)
	}
	r.transport = w.receiver
	if name := os.Getenv("WATCH"); name != "" {
		if w.watch == nil {
			w.watch = &watch{RoundTripper: w.receiver, series: name, begin: time.Now()}
		}
		r.transport = w.watch
	}
	if w.through != nil {
		r.transport = w.through(r.transport)
	}
	if err := r.Apply(w.settings); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 2)
	go func() { done <- r.Run(ctx) }()
	go func() { done <- w.wal.Run(ctx) }()
	w.relay = &running{Relay: r, stop: func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				w.t.Error(err)
			}
		}
	}}
}

// close ends the relay without letting it send what it has, as a SIGKILL does that finds the positions noted.
func (w *world) close() {
	w.relay.stop()
	for k, v := range w.counters() {
		w.before[k] = v
	}
	w.registry = prometheus.NewRegistry()
	if err := w.wal.Close(); err != nil {
		w.t.Error(err)
	}
}

// scrape appends a sample of each series.
func (w *world) scrape() {
	w.t.Helper()
	now := time.Now().UnixMilli()
	s := &record.Scrape{Time: now, Values: make([]float64, w.table.Len())}
	for row := range s.Values {
		s.Values[row] = w.value(w.names[row], now)
		w.sent[w.names[row]] = append(w.sent[w.names[row]], now)
	}
	wr := &writer{t: w.t, wal: w.wal, tables: []*record.Table{w.table}, written: []uint64{w.written}}
	wr.append(0, s)
	w.written = wr.written[0]
}

// value is that of a sample.
func (w *world) value(name string, ms int64) float64 { return float64(ms%1e6) + float64(len(name)) }

// play scrapes at an interval.
func (w *world) play(interval, length time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(interval) {
		w.scrape()
	}
}

// playUntilLive scrapes until the receiver has a sample of each series that is younger than this call, except for the bad series. It returns
// how long that took.
func (w *world) playUntilLive(interval, most time.Duration, bad func(string) bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	for time.Since(start) < most {
		w.scrape()
		time.Sleep(interval)
		stored, missing := w.receiver.Stored(), 0
		for _, name := range w.names {
			if s := stored[name]; (bad == nil || !bad(name)) && (len(s) == 0 || s[len(s)-1].Time < start.UnixMilli()) {
				missing++
			}
		}
		if missing == 0 {
			return time.Since(start)
		}
	}
	w.t.Errorf("no live data of all series within %s; %+v", most, w.relay.Statuses())
	return most
}

// drain lets the relay deliver what is left.
func (w *world) drain() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	if err := w.relay.Drain(ctx); err != nil {
		w.t.Errorf("%v; %+v", err, w.relay.Statuses())
	}
}

// books say what happened to the samples.
type books struct {
	scraped, stored, missing, repeated int
	missingOf                          map[string]int
}

// audit ends the relay and compares what was scraped with what is stored.
func (w *world) audit() books {
	w.t.Helper()
	w.close()
	b := books{missingOf: map[string]int{}}
	stored, entries := w.receiver.Stored(), w.receiver.Entries()
	for name, times := range w.sent {
		has := map[int64]bool{}
		for _, s := range stored[name] {
			has[s.Time] = true
		}
		for _, ms := range times {
			b.scraped++
			if has[ms] {
				b.stored++
			} else {
				b.missing++
				b.missingOf[name]++
			}
		}
		for _, e := range entries[name] {
			b.repeated += max(e.Taken-1, 0)
		}
	}
	for _, p := range w.receiver.Problems() {
		w.t.Errorf("the receiver complains: %s", p)
	}
	return b
}

// counters returns the relay's counters of samples, of all lives: sent, and dropped by reason.
func (w *world) counters() map[string]float64 {
	out := maps.Clone(w.before)
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			key := strings.TrimPrefix(f.GetName(), "promrelay_relay_")
			for _, l := range m.Label {
				if l.GetName() == "reason" || l.GetName() == "status" {
					key += " " + l.GetValue()
				}
			}
			if f.GetType() == dto.MetricType_COUNTER {
				out[key] += m.GetCounter().GetValue()
			}
		}
	}
	return out
}

// dropped is the sum of the samples that the relay says the receiver does not have, by reason; without reasons all.
func (w *world) dropped(reasons ...string) (n int) {
	for k, v := range w.counters() {
		if reason, ok := strings.CutPrefix(k, "dropped_samples_total "); ok && (len(reasons) == 0 || slices.Contains(reasons, reason)) {
			n += int(v)
		}
	}
	return n
}

func (w *world) String() string {
	s := w.relay.Statuses()
	c := w.counters()
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(c)) {
		if c[k] > 0 {
			lines = append(lines, fmt.Sprintf("%s=%v", k, c[k]))
		}
	}
	return fmt.Sprintf("%+v\n%s", s, strings.Join(lines, " "))
}

func isSeries(i ...int) func(string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(i, func(n int) bool { return strings.Contains(name, fmt.Sprintf(`i="%04d"`, n)) })
	}
}

// each is true for every nth series.
func each(n int) func(string) bool {
	return func(name string) bool {
		var i int
		_, rest, _ := strings.Cut(name, `i="`)
		_, err := fmt.Sscanf(rest, "%04d", &i)
		return err == nil && i%n == 0
	}
}

const v1 = "protobuf_message: prometheus.WriteRequest\n"

// scenario is a receiver's behaviour, and the result that it must have.
type scenario struct {
	number   string // in the list
	receiver string // what it does, for the table in docs/receivers.md
	more     string // of the remote_write block
	series   int    // 0: 60
	interval time.Duration
	profile  fake.Profile
	bad      func(string) bool // series that the receiver never accepts
	trouble  time.Duration     // how long the profile holds; then after does. 0: all the time
	after    fake.Profile
	live     time.Duration // within which live data of all good series flows after the trouble
	length   time.Duration // of the whole, 0: 40s
	lost     int           // samples of good series that may be missing, at most
	reason   string        // for which samples must be counted as dropped, exactly those missing; empty for none
	upTo     bool          // reason counts more than what is missing
	unclear  bool          // missing ones count as sent, since the receiver says so
	repeated bool          // samples may be stored twice
	version  int           // that must be spoken at the end, 0 for either
	status   string        // words that the status must have had
}

func (s scenario) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s.interval = cmp.Or(s.interval, 200*time.Millisecond)
		s.length = cmp.Or(s.length, 40*time.Second)
		w := newWorld(t, s.profile, cmp.Or(s.series, 60), s.more)
		begin := time.Now()
		if s.trouble > 0 {
			w.play(s.interval, s.trouble)
			w.receiver.Set(s.after)
		}
		live := w.playUntilLive(s.interval, 2*time.Minute, s.bad)
		if live > s.live {
			t.Errorf("live data of all good series flowed after %s, want %s or less", live, s.live)
		}
		w.play(s.interval, s.length-time.Since(begin))
		state := w.relay.Statuses()[0]
		w.drain()
		b := w.audit()
		for name, n := range b.missingOf {
			if s.bad != nil && s.bad(name) {
				b.missing -= n
			}
		}
		if b.missing > s.lost {
			t.Errorf("%d samples of good series are missing, want %d or fewer", b.missing, s.lost)
		}
		all := b.scraped - b.stored
		switch counted := w.dropped(); {
		case s.unclear:
		case s.upTo && w.dropped(s.reason) < all, !s.upTo && counted != all, s.reason != "" && all > 0 && w.dropped(s.reason) == 0:
			t.Errorf("%d samples are missing, %d are counted as dropped, want them as %q", all, counted, s.reason)
		}
		if b.repeated > 0 && !s.repeated {
			t.Errorf("%d samples were stored twice", b.repeated)
		}
		if s.version != 0 && state.Version != s.version {
			t.Errorf("version %d, want %d", state.Version, s.version)
		}
		if text := fmt.Sprintf("%+v", state); !strings.Contains(text, s.status) {
			t.Errorf("the status does not say %q: %s", s.status, text)
		}
		if t.Failed() {
			t.Log(w)
			for _, e := range w.logs.All()[:min(40, w.logs.Len())] {
				t.Log(e.Time.Sub(begin), e.Level, e.Message, e.ContextMap())
			}
		}
		t.Logf("scenario %s: live after %s, %d scraped, %d missing, %d repeated, %d requests", s.number, live, b.scraped, all, b.repeated, len(w.receiver.Requests()))
	})
}
