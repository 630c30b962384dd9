package scrape

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/scrape/order"
	"promrelay/targets"
)

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestUnauthorized: Options.Unauthorized is called for targets that want other credentials, and for
// no others.
func TestUnauthorized(t *testing.T) {
	for code, want := range map[int]bool{401: true, 403: true, 404: false, 500: false, 200: false} {
		synctest.Test(t, func(t *testing.T) {
			var called atomic.Int32
			p, err := New(Options{Log: &countLog{}, Guard: order.New(), Host: "h", Unauthorized: func(tg *targets.Target) {
				if tg.URL != "http://a:1/metrics" {
					t.Errorf("called for %s", tg.URL)
				}
				called.Add(1)
			}})
			if err != nil {
				t.Fatal(err)
			}
			c := promconfig.DefaultScrapeConfig
			c.JobName, c.ScrapeInterval, c.ScrapeTimeout = "j", model.Duration(10*time.Second), model.Duration(time.Second)
			c.ScrapeProtocols, c.MetricNameValidationScheme = promconfig.DefaultScrapeProtocols, model.UTF8Validation
			j := &targets.Job{Name: "j", Config: &c}
			added, err := targets.FromGroup(j, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": "a:1"}}})
			if err != nil {
				t.Fatal(err)
			}
			p.clients.byHint = map[string][]*client{}
			p.Apply([]targets.Change{{Job: j, Added: added}})
			for _, l := range p.jobs["j"].loops {
				l.client = &client{Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					rec := httptest.NewRecorder()
					rec.Header().Set("Content-Type", "text/plain")
					rec.WriteHeader(code)
					_, _ = strings.NewReader("m 1\n").WriteTo(rec)
					return rec.Result(), nil
				})}}
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { _ = p.Run(ctx); close(done) }()
			time.Sleep(15 * time.Second)
			cancel()
			<-done
			if got := called.Load() > 0; got != want {
				t.Errorf("HTTP status %d: called %t, want %t", code, got, want)
			}
		})
	}
}
