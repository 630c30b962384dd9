package scrape

import (
	"net/http"
	"strings"

	config_util "github.com/prometheus/common/config"
)

// redirects sends requests as they are configured, but without headers and credentials of the configuration where a redirect led to
// another host: who may answer for the target is not to get what is meant for it.
type redirects struct {
	home http.RoundTripper
	away http.RoundTripper // without them
}

// withoutSecrets is what of a configuration counts for any host.
func withoutSecrets(c config_util.HTTPClientConfig) config_util.HTTPClientConfig {
	return config_util.HTTPClientConfig{
		ProxyConfig: c.ProxyConfig, FollowRedirects: c.FollowRedirects, EnableHTTP2: c.EnableHTTP2,
		TLSConfig: config_util.TLSConfig{
			CA: c.TLSConfig.CA, CAFile: c.TLSConfig.CAFile, CARef: c.TLSConfig.CARef, InsecureSkipVerify: c.TLSConfig.InsecureSkipVerify,
			MinVersion: c.TLSConfig.MinVersion, MaxVersion: c.TLSConfig.MaxVersion,
		},
	}
}

// RoundTrip implements http.RoundTripper.
func (r *redirects) RoundTrip(req *http.Request) (*http.Response, error) {
	if leaves(req) {
		return r.away.RoundTrip(req)
	}
	return r.home.RoundTrip(req)
}

// CloseIdleConnections is called by http.Client.
func (r *redirects) CloseIdleConnections() {
	for _, t := range [...]http.RoundTripper{r.home, r.away} {
		if c, ok := t.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}

// leaves tells whether a request follows a redirect that led away from the host that was asked first, or from TLS. What was led away
// stays away.
func leaves(req *http.Request) bool {
	for r := req; r.Response != nil && r.Response.Request != nil; {
		from := r.Response.Request
		if !strings.EqualFold(r.URL.Hostname(), from.URL.Hostname()) || from.URL.Scheme == "https" && r.URL.Scheme != "https" {
			return true
		}
		r = from
	}
	return false
}
