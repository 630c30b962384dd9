package scrape

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"promrelay/scrape/order"
	"promrelay/targets"
)

// TestOwnToken reaches a server that is trusted, and no other one: that does not even see a
// request, nor does one to which it redirects.
func TestOwnToken(t *testing.T) {
	var requests, elsewhere atomic.Int32
	var redirect atomic.Bool
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != "Bearer hush" {
			t.Errorf("Authorization is %q", r.Header.Get("Authorization"))
		}
		if redirect.Load() {
			http.Redirect(w, r, other.URL, http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("m 1\n"))
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := promconfig.DefaultScrapeConfig
	c.JobName, c.Scheme, c.ScrapeInterval, c.ScrapeTimeout = "j", "https", model.Duration(10*time.Second), model.Duration(5*time.Second)
	c.ScrapeProtocols, c.MetricNameValidationScheme = promconfig.DefaultScrapeProtocols, model.UTF8Validation
	c.HTTPClientConfig = config_util.HTTPClientConfig{BearerTokenFile: file, TLSConfig: config_util.TLSConfig{InsecureSkipVerify: true}}
	if err := c.HTTPClientConfig.Validate(); err != nil {
		t.Fatal(err)
	}
	j := &targets.Job{Name: "j", Config: &c, OwnToken: true}
	address := strings.TrimPrefix(srv.URL, "https://")
	added, err := targets.FromGroup(j, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": model.LabelValue(address)}}})
	if err != nil {
		t.Fatal(err)
	}
	var distrust atomic.Bool
	trusted := func(at netip.AddrPort) error {
		if distrust.Load() || at.String() != address {
			return errors.New("its Node is gone")
		}
		return nil
	}
	for name, step := range map[string]struct {
		trusted            func(netip.AddrPort) error
		distrust, redirect bool
		health             Health
		says               string
		requests           int32
	}{
		"trusted":      {trusted: trusted, health: HealthUp, requests: 1},
		"not trusted":  {trusted: trusted, distrust: true, health: HealthDown, says: "not sent to " + srv.URL + "/metrics: its Node is gone"},
		"nobody knows": {health: HealthDown, says: "the Nodes are not known"},
		"redirected":   {trusted: trusted, redirect: true, health: HealthDown, says: "302 Found", requests: 1},
	} {
		t.Run(name, func(t *testing.T) {
			requests.Store(0)
			distrust.Store(step.distrust)
			redirect.Store(step.redirect)
			p, err := New(Options{Log: &countLog{}, Guard: order.New(), Host: "h", Trusted: step.trusted})
			if err != nil {
				t.Fatal(err)
			}
			l := newLoop(&p.shared, added[0], newTable(p.guard), nil)
			l.scrape(t.Context(), time.Now())
			l.shared.clients.put(l.client)
			if s := l.state(); s.Health != step.health || !strings.Contains(s.Error, step.says) {
				t.Errorf("is %s: %q, want %s with %q", s.Health, s.Error, step.health, step.says)
			}
			if got := requests.Load(); got != step.requests {
				t.Errorf("%d requests, want %d", got, step.requests)
			}
			if elsewhere.Load() > 0 {
				t.Error("the token went where the redirect leads")
			}
		})
	}
}
