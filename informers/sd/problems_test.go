package sd

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	config_util "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
)

// TestComplaints are those of all jobs that share a discovery.
func TestComplaints(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		sd, dns, k8s := w.config("pass-a"), w.config("pass-b"), w.config("pass-c")
		dns.Mechanism, k8s.Mechanism = "dns", "kubernetes"
		w.jobs(map[string][]discovery.Config{"i": {sd, dns}, "j": {w.config("pass-a")}})
		w.problems("i")
		w.discoverer("pass-a").log.Error("Unable to refresh", "err", errors.New("401"))
		w.discoverer("pass-a").log.Warn("Odd")
		const wrong = "http_sd_configs fails: Unable to refresh: 401"
		w.problems("i", wrong)
		w.problems("j", wrong)
		w.discoverer("pass-b").log.With("x", "y").WithGroup("z").Error("Not found", "name", "n.example")
		w.problems("i", wrong, "dns_sd_configs fails: Not found (name n.example)")
		w.finds("pass-a", "a:1")
		w.problems("j")
		// One of several names is not found: the others are all the same.
		w.finds("pass-b", "b:1")
		w.problems("i", "dns_sd_configs fails: Not found (name n.example)")
		w.pass(partsWithin)
		w.finds("pass-b", "b:1")
		w.problems("i")
		// It stays as long as it may be true.
		w.discoverer("pass-a").log.Error("Unable to refresh", "error", "500")
		w.pass(4 * time.Minute)
		w.problems("j", "http_sd_configs fails: Unable to refresh: 500")
		w.pass(2 * time.Minute)
		w.problems("j")
		// One that does not complain.
		w.job(k8s)
		w.problems("j")
		w.pass(silentFor)
		w.problems("j", "kubernetes_sd_configs has found nothing yet: its API server does not answer, or has nothing of the kind; the log may tell")
		w.finds("pass-c", "c:1")
		w.problems("j")
	})
}

// TestUnanswered is of the discoverers that have found nothing.
func TestUnanswered(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		dns := w.config("b")
		dns.Mechanism = "dns"
		w.job(w.config("a"), dns)
		is := func(want ...string) {
			t.Helper()
			if got := w.m.Unanswered("j"); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		is("dns_sd_configs has not answered yet", "http_sd_configs has not answered yet")
		w.finds("a")
		is("dns_sd_configs has not answered yet", "http_sd_configs answered with no targets")
		w.finds("b", "b:1")
		is("http_sd_configs answered with no targets")
		w.finds("a", "a:1")
		is()
	})
}

// TestNoSecrets: the text of an error on a page has no secrets.
func TestNoSecrets(t *testing.T) {
	sd := &fakeConfig{Mechanism: "http", Password: "abcd", URL: "http://me:p%40ss@host/"}
	s := newShared(1, sd, Options{})
	for message, want := range map[string]string{
		`Get "http://me:***@host/?token=xyz": no route`: `Get "http://host/?...": no route`,
		`parse "http://me:p%40ss@host:x/"`:              `parse "..."`,
		"abcd and p@ss\n\tand not ab":                   "<secret> and <secret> and not ab",
		"why? http://host/a/b?c=d":                      "why? http://host/a/b?...",
		"a@b://c/d@e":                                   "a@b://c/d@e",
		strings.Repeat("ö", 600):                        strings.Repeat("ö", 500) + "...",
	} {
		if got := s.redact(message); got != want {
			t.Errorf("%s: got %s, want %s", message, got, want)
		}
	}
	deep := &promconfig.ScrapeConfig{HTTPClientConfig: config_util.HTTPClientConfig{
		BasicAuth:   &config_util.BasicAuth{Username: "u", Password: "s1"},
		OAuth2:      &config_util.OAuth2{ClientSecret: "s2", TokenURL: "http://a:s3@b/"},
		ProxyConfig: config_util.ProxyConfig{ProxyConnectHeader: config_util.ProxyHeader{"X": {"s4", "s5"}}},
	}}
	deep.HTTPClientConfig.ProxyURL.URL = &url.URL{Scheme: "http", Host: "b", User: url.UserPassword("a", "s6")}
	got := secretsOf(deep)
	slices.Sort(got)
	if want := []string{"s1", "s2", "s3", "s4", "s5", "s6"}; !slices.Equal(got, want) {
		t.Errorf("secrets are %s, want %s", fmt.Sprint(got), want)
	}
}

// TestNoSecretsInTheLog: what a discoverer logs has none in it either.
func TestNoSecretsInTheLog(t *testing.T) {
	var out strings.Builder
	s := newShared(1, &fakeConfig{Mechanism: "http", Password: "SEKRET-pass", URL: "http://me:SEKRET-2@host/"}, Options{})
	log := s.logger(slog.New(slog.NewTextHandler(&out, nil))).With("url", "http://me:SEKRET-2@host/?token=SEKRET-3")
	log.Error("Unable to refresh with SEKRET-pass", "err", errors.New(`Get "http://me:SEKRET-2@host/?token=SEKRET-3": no SEKRET-pass`), "n", 3)
	got := out.String()
	if strings.Contains(got, "SEKRET") || !strings.Contains(got, "http://host/?token=<secret>") || !strings.Contains(got, "n=3") {
		t.Error(got)
	}
}
