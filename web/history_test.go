package web

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"promrelay/relay"
	"promrelay/wal"
)

// growing is a log and its destinations, which grow with the time since the start.
type growing struct{ begun time.Time }

func (g growing) count(perSecond int) uint64 {
	return uint64(time.Since(g.begun).Seconds()) * uint64(perSecond)
}

func (g growing) log() wal.Status {
	return wal.Status{Head: wal.Position{Count: g.count(100)}, Appended: g.count(1000), Bytes: int64(g.count(1000))}
}

// Statuses has a second destination between 10 and 20 minutes, which takes half of the samples.
func (g growing) Statuses() []relay.Status {
	out := []relay.Status{{Name: "central", Sent: g.count(100)}}
	if m := time.Since(g.begun).Minutes(); m > 10 && m < 20 {
		out = append(out, relay.Status{Name: "guest", Sent: g.count(50), Behind: 7, BehindBytes: 70, Newest: time.Now().Add(-5 * time.Second).UnixMilli()})
	}
	return out
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := growing{time.Now()}
		h := NewHistory(g, g.log)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		time.Sleep(30*time.Minute + time.Second)
		points := h.Points()
		if len(points) != 120 {
			t.Fatalf("%d points in half an hour", len(points))
		}
		guests := 0
		for i, p := range points {
			if p.Scraped != 100 || p.Appended != 1000 || p.Destinations[0].Sent != 100 || p.Destinations[0].Lag != 0 {
				t.Fatalf("point %d is %+v", i, p)
			}
			if len(p.Destinations) < 2 {
				continue
			}
			guests++
			if d := p.Destinations[1]; d.Name != "guest" || d.Lag != 5 || d.Behind != 7 || d.BehindBytes != 70 || d.Sent != 50 && guests > 1 || d.Sent != 0 && guests == 1 {
				t.Errorf("point %d of the guest is %+v", i, d)
			}
		}
		if guests < 38 || guests > 40 {
			t.Errorf("the guest of ten minutes has %d points", guests)
		}
		time.Sleep(3 * time.Hour)
		points = h.Points()
		if n := len(points); n != historyPoints || points[n-1].At.Sub(points[0].At) != time.Hour-historyEvery || time.Since(points[n-1].At) > historyEvery || len(points[0].Destinations) != 1 {
			t.Errorf("%d points after three hours, from %s to %s", n, points[0].At, points[n-1].At)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
