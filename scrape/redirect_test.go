package scrape

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

// TestRedirects: what the configuration sends goes to the target's host, and to no other one.
func TestRedirects(t *testing.T) {
	var got http.Header
	last := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if back := r.URL.Query().Get("back"); back != "" {
			http.Redirect(w, r, back, http.StatusTemporaryRedirect)
			return
		}
		got = r.Header
	}))
	defer last.Close()
	port := last.URL[strings.LastIndex(last.URL, ":"):]
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		got = r.Header
	}))
	defer first.Close()
	for name, c := range map[string]struct {
		to   string
		want bool
	}{
		"no redirect":                {"", true},
		"to a path of the same host": {"/other", true},
		"to another port":            {last.URL, true},
		"to another host":            {"http://localhost" + port, false},
		"there and back":             {"http://localhost" + port + "?back=" + first.URL, false},
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			cfg := config_util.DefaultHTTPClientConfig
			cfg.BasicAuth = &config_util.BasicAuth{Username: "u", Password: "p"}
			cfg.HTTPHeaders = &config_util.Headers{Headers: map[string]config_util.Header{"X-Api-Key": {Secrets: []config_util.Secret{"key"}}, "Cookie": {Values: []string{"c=1"}}}}
			var cs clients
			client, err := cs.get(cfg, "")
			if err != nil {
				t.Fatal(err)
			}
			defer cs.put(client)
			scrape := promconfig.DefaultScrapeConfig
			scrape.MetricNameValidationScheme = model.UTF8Validation
			body, err := fetch(t.Context(), client.Client, &targets.Target{URL: first.URL + "?to=" + url.QueryEscape(c.to), Job: &targets.Job{Config: &scrape}})
			if err != nil {
				t.Fatal(err)
			}
			body.close()
			for _, h := range []string{"Authorization", "X-Api-Key", "Cookie"} {
				if has := got.Get(h) != ""; has != c.want {
					t.Errorf("%s came: %t, want %t", h, has, c.want)
				}
			}
			if got.Get("User-Agent") != userAgent || got.Get("Accept") == "" {
				t.Errorf("headers are %v", got)
			}
		})
	}
}

// TestFromTLS: a redirect from HTTPS to HTTP of the same host leads away.
func TestFromTLS(t *testing.T) {
	for from, want := range map[string]map[string]bool{
		"https://a:1/": {"https://a:2/": false, "http://a:1/": true, "https://A/": false, "https://b.a/": true},
		"http://a:1/":  {"https://a:2/": false, "http://a:9/": false, "http://b/": true},
	} {
		for to, want := range want {
			first, err := http.NewRequest(http.MethodGet, from, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			next, err := http.NewRequest(http.MethodGet, to, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			next.Response = &http.Response{Request: first}
			if leaves(next) != want {
				t.Error(fmt.Sprintf("%s to %s", from, to), "leads away:", !want)
			}
		}
	}
}
