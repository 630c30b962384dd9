package scrape

import (
	"net/http"
	"strings"

	config_util "github.com/prometheus/common/config"
)

// redirects sends requests as they are configured. After a redirect to another host it leaves out
// the configured headers and credentials: another server must not get the target's secrets.
type redirects struct {
	first http.RoundTripper // for the host of the target
	other http.RoundTripper // for other hosts
}

// withoutSecrets returns the part of a configuration that any host may have.
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
		return r.other.RoundTrip(req)
	}
	return r.first.RoundTrip(req)
}

// CloseIdleConnections is called by http.Client.
func (r *redirects) CloseIdleConnections() {
	for _, t := range [...]http.RoundTripper{r.first, r.other} {
		if c, ok := t.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}

// leaves reports whether a request follows a redirect to another host than the first, or one from
// TLS to plain text. The same holds for all further redirects.
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
