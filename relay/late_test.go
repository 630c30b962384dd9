package relay

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	fake "promrelay/test/receiver"
)

// A backlog that is too old, refused in words without headers, by 2.0.
func TestTooOldAfterAnOutage(t *testing.T) {
	for name, h := range map[string]fake.Written{"no headers": fake.Absent, "zero": fake.Zero} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := fake.Plain().With(fake.Accept(fake.Bounds(5*time.Minute, 0)), fake.Atomically(), fake.RefusedBy(fake.Tell(http.StatusBadRequest, h, func(fake.Outcome) string { return "out of bounds" })))
				w := newWorld(t, p, 20, "queue_config: {batch_send_deadline: 500ms}\n")
				w.play(time.Second, 30*time.Second)
				w.receiver.Set(p.With(fake.Fault(fake.Status(404, "no such route"))))
				w.play(5*time.Second, 15*time.Minute)
				w.receiver.Set(p)
				live := w.playUntilLive(5*time.Second, 20*time.Minute, nil)
				t.Logf("live after %s; version %d; requests %d", live, w.relay.Statuses()[0].Version, len(w.receiver.Requests()))
				t.Log(w)
				w.close()
			})
		})
	}
}

// The first destination of all, by 1.0; the receiver has newer samples of each series than the first forty that are sent.
func TestReceiverHasNewer(t *testing.T) {
	for _, backlog := range []int{20, 60} {
		for _, words := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d samples, words %v", backlog, words), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := fake.Atomic10()
					if !words {
						p = p.With(fake.RefusedBy(fake.Tell(400, fake.Absent, nil)))
					}
					cut := time.Now().Add(time.Duration(backlog) * time.Second).UnixMilli()
					late := fake.Rule{Name: "has newer", Judge: func(_ *fake.View, i fake.Item) fake.Verdict {
						if i.Sample.Time < cut {
							return fake.Verdict{Reason: fake.OutOfOrder}
						}
						return fake.Verdict{}
					}}
					p = p.With(fake.Accept(late))
					w := newWorld(t, p.With(fake.OnWire(fake.NoConnection())), 20, v1)
					w.play(time.Second, time.Duration(backlog)*time.Second)
					w.receiver.Set(p)
					live := w.playUntilLive(time.Second, 3*time.Minute, nil)
					b := w.audit()
					t.Logf("live after %s; requests %d; missing %d, of which %d are late", live, len(w.receiver.Requests()), b.missing, 20*backlog)
				})
			})
		}
	}
}

// The same without latency, while many samples come too late and while not.
func TestHurryCostsNoGoodSeries(t *testing.T) {
	for _, many := range []bool{false, true} {
		t.Run(fmt.Sprint(many), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fake.Atomic10(), 60, v1)
				w.play(time.Second, 20*time.Second)
				d := w.relay.running[0].current.Load().splitter
				if many {
					d.mu.Lock()
					d.lateSpent, d.lateSpentAt = 30*time.Second, time.Now() // as a backlog that the receiver had leaves it
					d.mu.Unlock()
				}
				w.receiver.Set(fake.Atomic10().With(fake.Accept(refusesLate(2))))
				w.play(time.Second, 2*time.Minute)
				w.drain()
				b := w.audit()
				good := 0
				for name, n := range b.missingOf {
					if name >= `{__name__="m", i="0002"}` {
						good += n
					}
				}
				t.Logf("many late %v: %d of %d samples of good series are missing", many, good, 58*140)
				if good > 0 {
					t.Error("samples of good series are missing")
				}
			})
		})
	}
}
