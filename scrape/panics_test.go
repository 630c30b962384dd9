package scrape

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	promconfig "github.com/prometheus/prometheus/config"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/targets"
	"promrelay/wal"
)

// panicLog panics while panics is set.
type panicLog struct {
	readLog
	panics bool
}

func (l *panicLog) Append(segment uint64, group ...wal.Frame) (wal.Position, error) {
	if l.panics {
		panic("no log")
	}
	return l.readLog.Append(segment, group...)
}

// panicBody panics when it is read.
type panicBody struct{ io.ReadCloser }

// TestPanicCostsOneScrape: wherever a scrape panics, it fails alone; it is counted, and logged once
// with its stack.
func TestPanicCostsOneScrape(t *testing.T) {
	for name, where := range map[string]string{"while the page is fetched": "fetch", "while the page is read": "read", "while the scrape is written": "write"} {
		t.Run(name, func(t *testing.T) {
			log := &panicLog{readLog: readLog{t: t, points: map[string][]point{}}}
			panics := true
			answer := served(typeText, false, "a 1\nb 2\n")
			l := testLoop(t, log, promconfig.DefaultScrapeConfig, roundTrip(func(r *http.Request) (*http.Response, error) {
				if where == "fetch" && panics {
					panic("no page")
				}
				resp, err := answer(r)
				if where == "read" && panics {
					resp.Body = panicBody{}
				}
				return resp, err
			}))
			core, logged := observer.New(zap.ErrorLevel)
			l.shared.panics.logger = zap.New(core)
			start := time.Now()
			scrape := func(i int) Status {
				log.panics = panics && where == "write"
				l.scrape(t.Context(), start.Add(time.Duration(i)*time.Second))
				return l.state()
			}
			panics = false
			if s := scrape(0); s.Health != HealthUp {
				t.Fatal(s.Error)
			}
			panics = true
			for i := range 3 {
				if s := scrape(1 + i); s.Health != HealthDown || !strings.Contains(s.Error, "panic at") {
					t.Errorf("%s, %q", s.Health, s.Error)
				}
			}
			panics = false
			if s := scrape(4); s.Health != HealthUp || s.Samples != 2 {
				t.Errorf("%+v", s)
			}
			if n := len(log.points["a@a:1"]); n < 2 {
				t.Errorf("the series has %d samples", n)
			}
			if n := testutil.ToFloat64(l.shared.metrics.panics); n != 3 {
				t.Errorf("%g panics are counted, want 3", n)
			}
			if logged.Len() != 1 || logged.All()[0].ContextMap()["target"] != "http://a:1/metrics" || !strings.Contains(logged.All()[0].ContextMap()["stack"].(string), "goroutine") {
				t.Errorf("logged %+v", logged.All())
			}
		})
	}
}

// TestPanicInAChange: a panic in one job's change affects that job, and leaves the pool in use.
func TestPanicInAChange(t *testing.T) {
	p, _ := testPool(t, &countLog{}, promconfig.DefaultScrapeConfig, served(typeText, false, "a 1\n"))
	bad := &targets.Job{Name: "bad"} // without a configuration
	p.Apply([]targets.Change{{Job: bad, Added: []*targets.Target{{Job: bad}}}})
	if n := testutil.ToFloat64(p.metrics.panics); n != 1 {
		t.Errorf("%g panics are counted, want 1", n)
	}
	if s := p.Statuses("j"); len(s) != 1 {
		t.Errorf("the other job has %d targets, want 1", len(s))
	}
}
