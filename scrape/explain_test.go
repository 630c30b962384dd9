package scrape

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/units"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
)

// TestErrorsTell: an error names the limit and the number, the line, the time, the name.
func TestErrorsTell(t *testing.T) {
	page := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(body))
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", code) }
	}
	auth := func(c *promconfig.ScrapeConfig) {
		c.HTTPClientConfig.BasicAuth = &config_util.BasicAuth{Username: "u", Password: "hush"}
	}
	blank := strings.Repeat("a 1\n\n", 40_000)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		set     func(*promconfig.ScrapeConfig)
		tls     bool
		want    string
	}{
		"sample_limit":     {handler: page(typeText, strings.Repeat("a 1 1\n", 20)), set: func(c *promconfig.ScrapeConfig) { c.SampleLimit = 5 }, want: "sample_limit 5: the page has 20"},
		"label_limit":      {handler: page(typeText, "a{b=\"1\"} 1\n"), set: func(c *promconfig.ScrapeConfig) { c.LabelLimit = 2 }, want: "line 1: label_limit exceeded (metric: a, number of labels: 4, limit: 2)"},
		"body_size_limit":  {handler: page(typeText, "a 1\nb 1\n"), set: func(c *promconfig.ScrapeConfig) { c.BodySizeLimit = 5 * units.Base2Bytes(1) }, want: "body_size_limit 5: the page has as many bytes, or more"},
		"first line":       {handler: page(typeText, "a\n"), want: "line 1: expected value after metric"},
		"after blanks":     {handler: page(typeText, "a 1\n\n  \n\t\n# HELP a b\n# c\nb x\n"), want: "line 7: "},
		"after many lines": {handler: page(typeText, blank+"b x\n"+blank), want: "line 80001: "},
		"label of 3 lines": {handler: page(typeText, "a{b=\"1\n2\n3\"} 1\nb x\n"), want: "line 4: "},
		"no # EOF":         {handler: page(typeOpenMetrics, "a 1\nb 1\n"), want: "line 3: data does not end with # EOF"},
		"protobuf":         {handler: page(typeProtobuf, familyOf("a", "", metric(1))+familyOf("b", "", metric(1))+"\x05abc"), want: "metric family 2, or the one behind it: "},
		"long line":        {handler: page(typeText, "a{b=\""+strings.Repeat("x", 5000)+"\"} x\n"), want: " bytes)"},
		"401":              {handler: status(401), want: "server returned HTTP status 401 Unauthorized (no credentials were sent): go away"},
		"401, credentials": {handler: status(401), set: auth, want: "server returned HTTP status 401 Unauthorized (credentials were sent, of type Basic): go away"},
		"404":              {handler: status(404), set: auth, want: "server returned HTTP status 404 Not Found: go away"},
		"no answer": {handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, set: func(c *promconfig.ScrapeConfig) {
			c.ScrapeInterval, c.ScrapeTimeout = model.Duration(time.Minute), model.Duration(100*time.Millisecond)
		}, want: "scrape_timeout 100ms: no answer: "},
		"half an answer": {handler: func(w http.ResponseWriter, r *http.Request) {
			page(typeText, "a 1\n")(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, set: func(c *promconfig.ScrapeConfig) {
			c.ScrapeInterval, c.ScrapeTimeout = model.Duration(time.Minute), model.Duration(200*time.Millisecond)
		}, want: "scrape_timeout 200ms: the page was not read to its end, 4 bytes of it came: "},
		"a name of the URL":        {handler: status(200), tls: true, want: `(asked for "localhost", the name of the URL; tls_config.server_name sets another)`},
		"a name of the tls_config": {handler: status(200), tls: true, set: func(c *promconfig.ScrapeConfig) { c.HTTPClientConfig.TLSConfig.ServerName = "other" }, want: `(asked for "other", the name of tls_config.server_name)`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(c.handler)
			if c.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			cfg := promconfig.DefaultScrapeConfig
			cfg.HTTPClientConfig = config_util.DefaultHTTPClientConfig
			if c.set != nil {
				c.set(&cfg)
			}
			l := testLoop(t, &countLog{}, cfg, nil)
			l.client = nil
			target := *l.target
			target.URL = server.URL
			if c.tls {
				target.URL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			}
			l.target = &target
			l.scrape(t.Context(), time.Now())
			l.client.CloseIdleConnections()
			if s := l.state(); !strings.Contains(s.Error, c.want) || strings.Contains(s.Error, "hush") || len(s.Error) > 1000 {
				t.Errorf("the error is %.500q\nwant %q", s.Error, c.want)
			}
		})
	}
}
