package scrape

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/units"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
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
		owner   targets.Kind
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
		"long line":        {handler: page(typeText, "a{b=\""+strings.Repeat("x", 5000)+"\"} x\n"), want: " bytes) ..."},
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
		"a name of the URL":          {handler: status(200), tls: true, want: `(asked for "localhost", the name of the URL; tls_config.server_name sets another)`},
		"a name of the tls_config":   {handler: status(200), tls: true, set: func(c *promconfig.ScrapeConfig) { c.HTTPClientConfig.TLSConfig.ServerName = "other" }, want: `(asked for "other", the name of tls_config.server_name)`},
		"a name of a monitor":        {handler: status(200), tls: true, owner: targets.ServiceMonitor, want: `(asked for "localhost", the name of the URL; tlsConfig.serverName sets another)`},
		"a name of a tlsConfig":      {handler: status(200), tls: true, owner: targets.Probe, set: func(c *promconfig.ScrapeConfig) { c.HTTPClientConfig.TLSConfig.ServerName = "other" }, want: `(asked for "other", the name of tlsConfig.serverName)`},
		"a name of nodes":            {handler: status(200), tls: true, owner: targets.NodesBlock, set: func(c *promconfig.ScrapeConfig) { c.HTTPClientConfig.TLSConfig.ServerName = "other" }, want: `(asked for "other", the name of nodes.tls_config.server_name)`},
		"the address of a Node":      {handler: status(200), tls: true, owner: targets.NodesBlock, want: `(asked for "localhost", the address of the Node: kubelets with serverTLSBootstrap get certificates for it, the CA of which is nodes.tls_config.ca_file; nodes.insecure_skip_verify: true takes any unchecked)`},
		"sampleLimit of a monitor":   {handler: page(typeText, strings.Repeat("a 1 1\n", 20)), owner: targets.PodMonitor, set: func(c *promconfig.ScrapeConfig) { c.SampleLimit = 5 }, want: "sampleLimit 5: the page has 20"},
		"labelLimit of a monitor":    {handler: page(typeText, "a{b=\"1\"} 1\n"), owner: targets.PodMonitor, set: func(c *promconfig.ScrapeConfig) { c.LabelLimit = 2 }, want: "line 1: labelLimit exceeded (metric: a, number of labels: 4, limit: 2)"},
		"bodySizeLimit of a monitor": {handler: page(typeText, "a 1\nb 1\n"), owner: targets.ScrapeConfig, set: func(c *promconfig.ScrapeConfig) { c.BodySizeLimit = 5 * units.Base2Bytes(1) }, want: "bodySizeLimit 5: the page has as many bytes, or more"},
		"scrapeTimeout of a monitor": {handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, owner: targets.ServiceMonitor, set: func(c *promconfig.ScrapeConfig) {
			c.ScrapeInterval, c.ScrapeTimeout = model.Duration(time.Minute), model.Duration(100*time.Millisecond)
		}, want: "scrapeTimeout 100ms: no answer: "},
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
			job := *target.Job
			job.Owner.Kind = c.owner
			target.Job, target.URL = &job, server.URL
			l.set = newSettings(&target)
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

// TestHintsOfCertificates: for each fault of a certificate the error says what to do, with the
// fields of the target's owner.
func TestHintsOfCertificates(t *testing.T) {
	noIP := x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"node1"}}, Host: "10.0.0.1"}
	for name, c := range map[string]struct {
		owner targets.Kind
		err   error
		want  string // empty where there is no hint
	}{
		"no IP SANs, a Node":         {targets.NodesBlock, noIP, "nodes.insecure_skip_verify: true"},
		"no IP SANs, a monitor":      {targets.ServiceMonitor, noIP, "tlsConfig.serverName sets another"},
		"no IP SANs, a block":        {targets.ScrapeConfigBlock, noIP, "tls_config.server_name sets another"},
		"an unknown CA, a Node":      {targets.NodesBlock, x509.UnknownAuthorityError{}, "(nodes.tls_config.ca_file names the CA of the kubelets' certificates; where they have signed them themselves, nodes.insecure_skip_verify: true takes them unchecked)"},
		"an unknown CA, a monitor":   {targets.PodMonitor, x509.UnknownAuthorityError{}, "(tlsConfig.ca names the CA)"},
		"an unknown CA, a block":     {targets.ScrapeConfigBlock, x509.UnknownAuthorityError{}, "(tls_config.ca_file names the CA)"},
		"an end in the past, a Node": {targets.NodesBlock, x509.CertificateInvalidError{Reason: x509.Expired}, ""},
	} {
		cfg := promconfig.DefaultScrapeConfig
		target := &targets.Target{Job: &targets.Job{Owner: targets.Owner{Kind: c.owner}, Config: &cfg}}
		before := fmt.Errorf("get: %w", &tls.CertificateVerificationError{Err: c.err})
		err := explain(before, target, -1)
		switch {
		case c.want == "" && err != before:
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), before.Error()):
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		case c.owner == targets.NodesBlock && strings.Contains(err.Error(), "server_name"):
			t.Errorf("%s names one name for all Nodes: %v", name, err)
		}
	}
}

// TestCut: of a long text the beginning and the end are left, and no half characters.
func TestCut(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"short", "short"},
		{strings.Repeat("a", 30), strings.Repeat("a", 30)},
		{strings.Repeat("a", 40) + "the reason", strings.Repeat("a", 20) + "... (20 bytes) ...the reason"},
		{strings.Repeat("ä", 40), strings.Repeat("ä", 10) + "... (50 bytes) ..." + strings.Repeat("ä", 5)},
		{"x" + strings.Repeat("ä", 40), "x" + strings.Repeat("ä", 9) + "... (52 bytes) ..." + strings.Repeat("ä", 5)},
	} {
		if got := cut(c.text, 30); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
