package relay

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/config"
	"promrelay/wal"
)

// trial is a destination whose receiver accepted one scrape. The receiver answers later scrapes with answer.
type trial struct {
	*wire
	*running
	wr     *writer
	reg    *prometheus.Registry
	logs   *observer.ObservedLogs
	before int // requests for the first scrape
}

// try makes a trial with so many series and lets what comes after the first scrape be settled.
func try(t *testing.T, more string, relay config.Relay, series int, answer func(n int, p *posted, w http.ResponseWriter) int) *trial {
	t.Helper()
	tr := begin(t, more, relay, series, answer)
	tr.drain(t)
	return tr
}

// begin is try without waiting for the end.
func begin(t *testing.T, more string, relay config.Relay, series int, answer func(n int, p *posted, w http.ResponseWriter) int) *trial {
	t.Helper()
	tr := &trial{wire: newWire(t)}
	w := openSpec(t)
	tr.wr = newWriter(t, w, 1, series)
	var ready sync.Map
	tr.wire.answer = func(n int, p *posted, w http.ResponseWriter) int {
		if _, ok := ready.Load(0); !ok {
			return 0
		}
		return answer(n-tr.before, p, w)
	}
	tr.running, tr.reg, tr.logs = launch(t, w, Settings{Destinations: destinations(t, tr.URL, more), Relay: relay})
	tr.wr.scrape()
	wait(t, "the first scrape", func() bool {
		s := tr.Statuses()[0]
		return s.Behind == 0 && len(tr.stored()) == series
	})
	tr.before = len(tr.all())
	ready.Store(0, true)
	tr.wr.scrape()
	return tr
}

// second returns the requests after the first scrape.
func (tr *trial) second() []*posted { return tr.all()[tr.before:] }

// pauses returns how long after the answer to each of the requests the next one came.
func pauses(posts []*posted) (out []time.Duration) {
	for i := 1; i < len(posts); i++ {
		out = append(out, posts[i].at.Sub(posts[i-1].answered))
	}
	return out
}

// launch is start with metrics and a log to look at.
func launch(t testing.TB, w *wal.WAL, s Settings) (*running, *prometheus.Registry, *observer.ObservedLogs) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	core, logs := observer.New(zap.DebugLevel)
	r, err := New(Options{WAL: w, Logger: zap.New(core), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	r.pace.hold = 30 * time.Millisecond
	if err := r.Apply(s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	x := &running{Relay: r}
	x.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(x.stop)
	return x, reg, logs
}

// counters returns the counters of the package by name and labels, without the label destination.
func counters(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			if m.Counter == nil {
				continue
			}
			name := f.GetName()
			for _, l := range m.Label {
				if l.GetName() != "destination" {
					name += " " + l.GetName() + "=" + l.GetValue()
				}
			}
			out[name] += m.Counter.GetValue()
		}
	}
	return out
}

// dropped sums the samples that are counted as not delivered.
func dropped(t testing.TB, reg *prometheus.Registry) (n int) {
	t.Helper()
	for name, v := range counters(t, reg) {
		if strings.HasPrefix(name, "promrelay_relay_dropped_samples_total ") {
			n += int(v)
		}
	}
	return n
}

// logged returns the log as text.
func logged(logs *observer.ObservedLogs) string {
	var b strings.Builder
	for _, e := range logs.All() {
		fmt.Fprintf(&b, "%s %s %v\n", e.Level, e.Message, e.ContextMap())
	}
	return b.String()
}

// destinations is one of dest, for settings.
func destinations(t testing.TB, url, more string) []config.Destination {
	return []config.Destination{dest(t, url, more)}
}
