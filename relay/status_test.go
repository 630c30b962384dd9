package relay

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"promrelay/config"
)

// TestStatusOfRefusedSeries: the status names a series that the receiver refuses, with the receiver's words.
func TestStatusOfRefusedSeries(t *testing.T) {
	w, recv := setup(t)
	recv.answer = func(_ int, w http.ResponseWriter, series []string) int {
		if !strings.Contains(strings.Join(series, ""), `n="3"`) {
			return 0
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "label n is not liked")
		return answered
	}
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "protobuf_message: prometheus.WriteRequest\n")}})
	wr := newWriter(t, w, 1, 5)
	var s Status
	deadline := time.Now().Add(20 * time.Second)
	for s.Aside == 0 && time.Now().Before(deadline) {
		wr.scrape()
		time.Sleep(50 * time.Millisecond)
		s = r.Statuses()[0]
	}
	if s.Aside != 1 || len(s.AsideSeries) != 1 {
		t.Fatalf("%d series are set aside, shown are %v", s.Aside, s.AsideSeries)
	}
	one := s.AsideSeries[0]
	if one.Labels.Get("n") != "3" || one.Error != "400 Bad Request: label n is not liked" || !one.RetryAt.After(one.Since) {
		t.Errorf("%+v", one)
	}
	if s.Sent == 0 || s.Last.At.IsZero() || s.Last.Status/100 != 2 && s.Last.Text != one.Error {
		t.Errorf("%d sent, the last answer is %+v", s.Sent, s.Last)
	}
}

// TestStatusBehind: the backlog in samples and bytes is what the receiver has not confirmed.
func TestStatusBehind(t *testing.T) {
	w, recv := setup(t)
	recv.answer = func(_ int, w http.ResponseWriter, _ []string) int {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "on holiday")
		return answered
	}
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "")}})
	wr := newWriter(t, w, 2, 50)
	first := w.Head()
	for range 20 {
		wr.scrape()
	}
	var s Status
	for s.Last.Status == 0 {
		time.Sleep(5 * time.Millisecond)
		s = r.Statuses()[0]
	}
	if all := w.Behind(first); s.Behind != 2000 || s.BehindBytes != w.Behind(s.Position) || s.BehindBytes < all/2 || s.BehindBytes > all || s.Sent != 0 {
		t.Errorf("%d samples and %d bytes behind, %d sent; want 2000 samples, and a large part of %d bytes", s.Behind, s.BehindBytes, s.Sent, all)
	}
	if s.Last.Status != 503 || s.Last.Text != "503 Service Unavailable: on holiday" || time.Since(s.Last.At) > time.Minute {
		t.Errorf("the last answer is %+v", s.Last)
	}
	if _, ok := s.CatchUp(); ok {
		t.Error("it says when a destination catches up that takes nothing")
	}
}

func TestCatchUpAndLag(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	tests := map[string]struct {
		s       Status
		catchUp time.Duration
		gains   bool
		lag     time.Duration
	}{
		"up to date":          {s: Status{Behind: 900, Rate: 95, Written: 100, Newest: 999_000}, gains: true, lag: time.Second},
		"nothing waits":       {s: Status{Newest: 10_000}, gains: true},
		"gains":               {s: Status{Behind: 7000, Rate: 300, Written: 100, Newest: 940_000}, catchUp: 30 * time.Second, gains: true, lag: time.Minute},
		"does not gain":       {s: Status{Behind: 7000, Rate: 100, Written: 100}},
		"waits":               {s: Status{Behind: 10, Rate: 0, Written: 100, Error: "503"}},
		"newest from a clock": {s: Status{Behind: 1, Written: 1, Newest: 2_000_000}, gains: true},
	}
	for name, tt := range tests {
		catchUp, gains := tt.s.CatchUp()
		if lag := tt.s.Lag(now); catchUp != tt.catchUp || gains != tt.gains || lag != tt.lag {
			t.Errorf("%s: %s, %v, lag %s; want %s, %v, %s", name, catchUp, gains, lag, tt.catchUp, tt.gains, tt.lag)
		}
	}
}
