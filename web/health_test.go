package web

import (
	"strings"
	"testing"
	"time"
)

// TestHealthyKnowsWhetherLoopsAdvance: one that has not for long is named. One that has not begun, or waits on purpose, is healthy.
func TestHealthyKnowsWhetherLoopsAdvance(t *testing.T) {
	s, srv := newServer(t, nil)
	src := newWorld(t).sources()
	var turned map[string]time.Time
	src.Turned = func() map[string]time.Time { return turned }
	s.Ready(src)
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for name, c := range map[string]struct {
		turned map[string]time.Time
		status int
		want   string
	}{
		"no loops":           {nil, 200, "promrelay is healthy."},
		"all advance":        {map[string]time.Time{"discovery": ago(time.Second), "scrapes": ago(stalledAfter - time.Minute)}, 200, "promrelay is healthy."},
		"not begun":          {map[string]time.Time{"discovery": {}}, 200, "promrelay is healthy."},
		"waits on purpose":   {map[string]time.Time{"destination a": ago(-time.Hour)}, 200, "promrelay is healthy."},
		"one has stopped":    {map[string]time.Time{"discovery": ago(12 * time.Minute), "scrapes": ago(0)}, 503, "These have stopped: discovery (12 min ago)."},
		"several, by name":   {map[string]time.Time{"scrapes": ago(time.Hour), "destination a": ago(3 * time.Hour)}, 503, "These have stopped: destination a (3 h ago), scrapes (60 min ago)."},
		"at the bound of it": {map[string]time.Time{"scrapes": ago(stalledAfter)}, 503, "scrapes"},
	} {
		turned = c.turned
		if status, body := ask(t, "GET", srv.URL+"/-/healthy"); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}
