package relay

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/config"
	"promrelay/record"
	fake "promrelay/test/receiver"
)

// panicky panics over some requests, as a fault in the sending code would.
type panicky struct {
	http.RoundTripper
	host  string
	fatal func(n int64) bool // whether to panic over the nth request to the host
	n     atomic.Int64
}

func (p *panicky) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == p.host && p.fatal(p.n.Add(1)) {
		panic("a fault in sending")
	}
	return p.RoundTripper.RoundTrip(r)
}

// TestPanicInSending: a fault costs one destination some time, and another one nothing.
func TestPanicInSending(t *testing.T) {
	tests := map[string]struct {
		profile fake.Profile
		fatal   func(n int64) bool
	}{
		"once":               {fake.Plain(), func(n int64) bool { return n == 5 }},
		"now and then":       {fake.Plain(), func(n int64) bool { return n%10 == 0 }},
		"while looked into":  {fake.Plain().With(fake.Accept(fake.Bad("one", isSeries(3))), fake.Atomically()), func(n int64) bool { return n == 8 }},
		"in the first place": {fake.Plain(), func(n int64) bool { return n <= 3 }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.profile, 20, "")
				healthy := fake.New(fake.Plain())
				w.settings.Destinations = append(w.settings.Destinations, dest(t, "http://healthy.test/api/v1/write", ""))
				w.close()
				w.through = func(next http.RoundTripper) http.RoundTripper {
					return &panicky{RoundTripper: byHost{"healthy.test": healthy, "receiver.test": next}, host: "receiver.test", fatal: tt.fatal}
				}
				w.open()
				w.play(200*time.Millisecond, 20*time.Second)
				synctest.Wait()
				if n := len(healthy.Stored()[w.names[0]]); n < 90 {
					t.Errorf("the other destination has %d of 100 samples of a series", n)
				}
				w.drain()
				if n := w.counters()["panics_total"]; n == 0 {
					t.Error("no panic is counted")
				}
				if n := w.logs.FilterMessage("a destination panicked; it begins again at its position").Len(); n != 1 {
					t.Errorf("the log has panics %d times, want once", n)
				}
				b := w.audit()
				for name, n := range b.missingOf {
					if tt.profile.Atomic == nil || !isSeries(3)(name) {
						t.Errorf("%d samples of %s are missing", n, name)
					}
				}
			})
		})
	}
}

// byHost sends requests to a receiver by the host in their URL.
type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) { return b[r.URL.Host].RoundTrip(r) }

// TestPanicInEncoding: a block that cannot be put into requests without a panic is skipped and counted, and the rest is sent.
func TestPanicInEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Plain(), 5, "")
		w.play(time.Second, 3*time.Second)
		d := *w.settings.Destinations[0].RemoteWriteConfig
		// Without a scheme of names this rule panics, over series that it matches.
		d.WriteRelabelConfigs = []*relabel.Config{{
			SourceLabels: model.LabelNames{"poison"}, Regex: relabel.MustNewRegexp("yes"), Action: relabel.Replace, TargetLabel: "x", Replacement: "y", Separator: ";",
		}}
		w.settings.Destinations = []config.Destination{{RemoteWriteConfig: &d, Negotiate: true}}
		if err := w.relay.Apply(w.settings); err != nil {
			t.Fatal(err)
		}
		w.play(time.Second, 3*time.Second)
		poison := record.NewTable(2)
		poison.Add(labels.FromStrings("__name__", "m", "poison", "yes"), 0)
		wr := &writer{t: t, wal: w.wal, tables: []*record.Table{poison}, written: []uint64{0}}
		wr.append(0, &record.Scrape{Time: time.Now().UnixMilli(), Values: []float64{1}})
		w.play(time.Second, 3*time.Second)
		if s := w.relay.Statuses()[0]; !strings.Contains(s.Error, "panic") && s.Error != "" {
			t.Errorf("status says %q", s.Error)
		}
		w.drain()
		if n := w.dropped(dropLost); n != 1 {
			t.Errorf("%d samples are counted as lost, want 1", n)
		}
		if b := w.audit(); b.missing > 0 {
			t.Errorf("%d of %d good samples are missing", b.missing, b.scraped)
		}
	})
}

// TestReloadFinishesWhatIsUnderWay: if the receiver answers, nothing comes twice after a change of the configuration. If it does not
// answer, the change does not wait long.
func TestReloadFinishesWhatIsUnderWay(t *testing.T) {
	tests := map[string]struct {
		profile  fake.Profile
		most     time.Duration // that a reload may take
		repeated bool
	}{
		"well": {fake.Plain().With(fake.Back(fake.Latency(300 * time.Millisecond))), time.Second, false},
		"slow": {fake.Plain().With(fake.Back(fake.Latency(5 * time.Second))), quitTime + time.Millisecond, true},
		"away": {fake.Plain().With(fake.OnWire(fake.NoConnection())), quitTime + time.Millisecond, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.profile, 50, "")
				for i := range uint64(5) {
					w.play(100*time.Millisecond, 3*time.Second)
					begun := time.Now()
					w.reload(i + 1)
					if took := time.Since(begun); took > tt.most {
						t.Errorf("a reload took %s", took)
					}
				}
				w.receiver.Set(fake.Plain())
				w.drain()
				if b := w.audit(); b.missing > 0 || b.repeated > 0 && !tt.repeated {
					t.Errorf("%d samples are missing, %d came twice", b.missing, b.repeated)
				}
			})
		})
	}
}
