package relay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/storage/remote"

	"promrelay/config"
	"promrelay/config/redact"
)

const (
	// clientLife is how long connections are used. After that, a name may resolve to other addresses.
	clientLife = 3 * time.Minute
	// maxRedirects is how many redirects a request follows.
	maxRedirects = 10
	// maxAttempt is the highest attempt number that the receiver sees. The higher it is, the longer the pauses that Mimir demands.
	maxAttempt = 3
)

// client exchanges HTTP requests with one destination.
type client struct {
	cfg       config.Destination
	hosts     []string // to which requests may be redirected, besides the host of the URL
	secrets   *redact.Redactor
	url       *url.URL
	timeout   time.Duration
	transport http.RoundTripper // replaces that of the configuration; only tests set it

	mu      sync.Mutex   // guards what follows
	http    *http.Client // with the destination's credentials
	bare    *http.Client // without credentials, for redirects to other hosts; nil until the first such redirect
	renewed time.Time    // when http was made
}

// newClient makes the HTTP client with storage/remote, so that authentication, TLS and proxy work as in Prometheus. The relay sends
// the requests with its own code, since storage/remote hides the status and the headers.
func newClient(d config.Destination, hosts []string, transport http.RoundTripper) (*client, error) {
	c := &client{cfg: d, hosts: hosts, secrets: redact.Of(d.RemoteWriteConfig), url: d.URL.URL, timeout: time.Duration(d.RemoteTimeout), transport: transport, renewed: time.Now()}
	var err error
	c.http, err = c.newHTTPClient(d)
	return c, err
}

func (c *client) newHTTPClient(d config.Destination) (*http.Client, error) {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.transport != nil {
		return &http.Client{Transport: c.transport, CheckRedirect: stay}, nil
	}
	wc, err := remote.NewWriteClient(d.ID(), &remote.ClientConfig{
		URL: d.URL, Timeout: d.RemoteTimeout, HTTPClientConfig: d.HTTPClientConfig, SigV4Config: d.SigV4Config,
		AzureADConfig: d.AzureADConfig, GoogleIAMConfig: d.GoogleIAMConfig, Headers: d.Headers, RoundRobinDNS: d.RoundRobinDNS,
	})
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", ofFile(d, withoutURL(err)))
	}
	rc, ok := wc.(*remote.Client)
	if !ok {
		return nil, fmt.Errorf("HTTP client: storage/remote gives a %T", wc)
	}
	rc.Client.CheckRedirect = stay
	return rc.Client, nil
}

// bareConfig returns d without the settings that only the configured host may know.
func bareConfig(d config.Destination) config.Destination {
	rw := *d.RemoteWriteConfig
	h := config_util.DefaultHTTPClientConfig
	h.ProxyConfig, h.FollowRedirects, h.EnableHTTP2 = rw.HTTPClientConfig.ProxyConfig, rw.HTTPClientConfig.FollowRedirects, rw.HTTPClientConfig.EnableHTTP2
	t := rw.HTTPClientConfig.TLSConfig
	h.TLSConfig = config_util.TLSConfig{CA: t.CA, CAFile: t.CAFile, CARef: t.CARef, InsecureSkipVerify: t.InsecureSkipVerify, MinVersion: t.MinVersion, MaxVersion: t.MaxVersion}
	rw.HTTPClientConfig, rw.SigV4Config, rw.AzureADConfig, rw.GoogleIAMConfig, rw.Headers = h, nil, nil, nil, nil
	d.RemoteWriteConfig = &rw
	return d
}

// current returns the HTTP client, and replaces it when it is old. (A transport keeps a connection as long as it is used, even if
// the name of the host resolves to another address by then.) If no new client can be made, because a file is missing, the old one stays.
func (c *client) current(now time.Time) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.renewed) >= clientLife {
		c.renewed = now
		if h, err := c.newHTTPClient(c.cfg); err == nil {
			c.http, c.bare = h, nil // the old one's connections end when they idle
		}
	}
	return c.http
}

// withoutCredentials returns the client for hosts that the configuration does not name.
func (c *client) withoutCredentials() (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bare == nil {
		h, err := c.newHTTPClient(bareConfig(c.cfg))
		if err != nil {
			return nil, err
		}
		c.bare = h
	}
	return c.bare, nil
}

var userAgent = "promrelay/" + cmp.Or(version.Version, "dev")

// post sends r once. It removes credentials from the texts of the answer: a receiver or a proxy may repeat them.
func (c *client) post(ctx context.Context, r *request, attempt int) answer {
	a := c.exchange(ctx, r, attempt)
	a.text, a.location, a.err = c.secrets.Text(a.text), c.secrets.Text(a.location), c.secrets.Error(a.err)
	return a
}

func (c *client) exchange(ctx context.Context, r *request, attempt int) answer {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %s", c.timeout))
	defer cancel()
	h := c.current(time.Now())
	to := c.url
	for range maxRedirects {
		req, err := newRequest(ctx, to, r, attempt)
		if err != nil {
			return answer{err: err}
		}
		resp, err := h.Do(req)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && context.Cause(ctx) != nil {
				err = context.Cause(ctx)
			}
			return answer{err: ofFile(c.cfg, withoutURL(err))}
		}
		next := c.redirect(resp, to)
		if next == nil {
			return readAnswer(resp, time.Now())
		}
		readAnswer(resp, time.Now())
		if h, err = c.clientFor(next); err != nil {
			return answer{err: err}
		}
		to = next
	}
	return answer{err: fmt.Errorf("more than %d redirects", maxRedirects)}
}

// redirect returns where to send a request again. Only after 307 and 308 does a POST stay a POST: after 301, 302 and 303 a client
// would read a login page, and its 200 would count as success. Samples go to another host only if the configuration names that host.
func (c *client) redirect(resp *http.Response, from *url.URL) *url.URL {
	if resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect || !c.cfg.HTTPClientConfig.FollowRedirects {
		return nil
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || to.Scheme != "http" && to.Scheme != "https" {
		return nil
	}
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil // what was encrypted stays encrypted
	}
	if to.Hostname() != c.url.Hostname() && !slices.Contains(c.hosts, to.Hostname()) {
		return nil
	}
	return to
}

// clientFor returns the client for a host: only the configured host gets credentials.
func (c *client) clientFor(to *url.URL) (*http.Client, error) {
	if to.Scheme == c.url.Scheme && to.Host == c.url.Host {
		return c.current(time.Now()), nil
	}
	return c.withoutCredentials()
}

// newRequest returns the HTTP request. See "Protocol" in the specification.
func newRequest(ctx context.Context, to *url.URL, r *request, attempt int) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(r.payload))
	if err != nil {
		return nil, withoutURL(err)
	}
	h := req.Header
	h.Set("Content-Encoding", "snappy")
	h.Set("User-Agent", userAgent)
	if r.version == version2 {
		h.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		h.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	} else {
		h.Set("Content-Type", "application/x-protobuf")
		h.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	}
	if attempt > 0 {
		h.Set("Retry-Attempt", strconv.Itoa(min(attempt, maxAttempt)))
	}
	return req, nil
}
